"""Schedulers without processes: time stands still until it is moved, the database fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.api.test_runtime_api import NoSecrets, OneWorker, no_trigger
from tradewind.api.data import DataService
from tradewind.api.trigger import trigger_run
from tradewind.domain.records import InstanceRow, RunRow
from tradewind.errors import MetastoreUnavailableError
from tradewind.ports.executor import ApiCall
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import (
    Beat,
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataRequest,
    OutcomeKind,
    OutcomeReport,
)
from tradewind.runtime.wire import Replies
from tradewind.scheduler.engine import Engine
from tradewind.testing.clock import VirtualClock
from tradewind.testing.conformance.runtime_api import save_sales
from tradewind.testing.memory import InMemoryMetastore

LEASE_SECONDS = 10.0


class Crash(BaseException):
    """The process ends here; nothing catches it."""


class Flaky:
    """A metastore that calls ``before`` and ``after`` each of its verbs; they may raise."""

    def __init__(self, store: InMemoryMetastore) -> None:
        self._store = store
        self.before: Callable[[str], None] = lambda _verb: None
        self.after: Callable[[str], None] = lambda _verb: None

    def __getattr__(self, verb: str) -> Any:
        call = getattr(self._store, verb)

        def called(*arguments: Any, **named: Any) -> Any:
            self.before(verb)
            answer = call(*arguments, **named)
            self.after(verb)
            return answer

        return called

    def go_away(self, *verbs: str) -> None:
        """Be unavailable for these verbs, or all, until :meth:`come_back`."""

        def refuse(verb: str) -> None:
            if not verbs or verb in verbs:
                raise MetastoreUnavailableError("the database is away")

        self.before = refuse

    def lose_answers_of(self, verb: str) -> None:
        """Do what is asked, but lose the answer."""

        def refuse(called: str) -> None:
            if called == verb:
                raise MetastoreUnavailableError("the answer was lost")

        self.after = refuse

    def come_back(self) -> None:
        self.before = self.after = lambda _verb: None


class Leader:
    """An engine, the executor it talks to, and what it had trouble with."""

    def __init__(self, house: House, holder: str) -> None:
        self._house = house
        self.worker = OneWorker()
        self.troubles: list[str] = []
        self._sequence = 0
        term = house.store.acquire_term("main", holder, LEASE_SECONDS)
        assert term is not None
        self.engine = Engine(
            house.store,
            {"local": self.worker},
            DataService(house.store, NoSecrets(), no_trigger),
            term,
            default_executor="local",
            on_trouble=lambda what, error: self.troubles.append(f"{what}: {error}"),
        )

    def turn(self) -> None:
        self.engine.turn(self._house.clock.now(), read_feed=True)

    def say(self, **lists: Any) -> int:
        """Let the worker send a call; return its number."""
        self._sequence += 1
        self.worker.calls.append(ApiCall(channel=1, sequence=self._sequence, **lists))
        return self._sequence

    def ask(self, **lists: Any) -> Replies:
        sequence = self.say(**lists)
        self.turn()
        return self.worker.answers.pop(sequence)

    def claim(self, row: InstanceRow, claimant: str = "a") -> ClaimReply:
        return self.ask(claims=(claim(row, claimant),)).claims[0]

    def report(self, row: InstanceRow, kind: OutcomeKind = OutcomeKind.SUCCESS) -> str:
        return self.ask(reports=(report(row, kind),)).reports[0].verdict

    def beat(self, row: InstanceRow) -> BeatReply:
        return self.ask(beats=(Beat(instance_id=row.id, token=row.token),)).beats[0]


class House:
    """One DAG, ``sales``: extract, then load."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.flaky = Flaky(InMemoryMetastore(self.clock, assert_edges=True))
        self.store: Metastore = self.flaky
        save_sales(self.store, self.clock)

    def leader(self, holder: str = "first") -> Leader:
        return Leader(self, holder)

    def trigger(self, run_id: str | None = None) -> RunRow:
        return trigger_run(self.store, "sales", now=self.clock.now(), actor="test", run_id=run_id)[0]

    def row(self, run: RunRow, task_id: str = "extract") -> InstanceRow:
        snapshot = self.store.run(run.pk)
        assert snapshot is not None
        return next(row for row in snapshot.instances if row.task_id == task_id)

    def state(self, run: RunRow) -> str:
        found = self.store.run_row(run.pk)
        assert found is not None
        return found.state.value

    def pass_seconds(self, seconds: float) -> None:
        self.clock.move_to(self.clock.seconds + seconds)


def claim(row: InstanceRow, claimant: str = "a") -> ClaimRequest:
    return ClaimRequest(instance_id=row.id, token=row.token, worker="w", claimant=claimant)


def report(row: InstanceRow, kind: OutcomeKind = OutcomeKind.SUCCESS) -> OutcomeReport:
    return OutcomeReport(instance_id=row.id, token=row.token, kind=kind)


def question(row: InstanceRow, verb: str, **arguments: Any) -> DataRequest:
    return DataRequest(instance_id=row.id, token=row.token, verb=verb, arguments=arguments)
