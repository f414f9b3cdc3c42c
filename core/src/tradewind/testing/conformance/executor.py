"""The conformance suite of executors: inherit, give a fixture ``stage``, and run with pytest.

::

    class TestMyExecutor(ExecutorConformance):
        @pytest.fixture
        def stage(self, tmp_path: Path) -> Iterator[Stage]:
            yield my_stage(tmp_path)
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from tradewind.ports.clock import Clock
from tradewind.ports.executor import ApiCall, Executor, ExecutorSignal, Gone, Launched, LaunchFailed
from tradewind.ports.runtime_api import (
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataReply,
    Launch,
    OutcomeKind,
    OutcomeReport,
    ReportReply,
    TaskContext,
)
from tradewind.runtime.wire import Replies, encode_replies

DEADLINE_SECONDS = 30.0
LOOK_SECONDS = 0.05

Key = tuple[int, int]


class Stage(Protocol):
    """What an executor's author provides: workers, and tasks that behave."""

    @property
    def clock(self) -> Clock:
        """Real time, for deadlines."""
        ...

    def open(self) -> Executor:
        """Return a fresh, started executor over the same workers; the one before has been stopped."""
        ...

    def launch(self, behaviour: str) -> tuple[Launch, TaskContext]:
        """Return a new attempt: ``succeed`` returns 1; ``hang`` goes on until it is stopped or let go."""
        ...

    def let_go(self) -> None:
        """Let all that hang succeed."""
        ...


class Scheduler:
    """The scheduler's half: grants what it has launched, notes what it hears."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.executor = stage.open()
        self.contexts: dict[Key, TaskContext] = {}
        self.refuses: set[Key] = set()
        self.signals: list[ExecutorSignal] = []
        self.claims: list[ClaimRequest] = []
        self.outcomes: dict[Key, list[OutcomeReport]] = {}

    def dispatch(self, behaviour: str, *, refuse: bool = False) -> Launch:
        """Dispatch a new attempt."""
        launch, context = self.stage.launch(behaviour)
        self.contexts[_key(launch)] = context
        if refuse:
            self.refuses.add(_key(launch))
        self.executor.dispatch([launch])
        return launch

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Serve until ``done()``; an error names ``what`` after the deadline."""
        deadline = self.stage.clock.monotonic() + DEADLINE_SECONDS
        while not done():
            assert self.stage.clock.monotonic() < deadline, f"waited {DEADLINE_SECONDS:g} s for {what}"
            select.select(list(self.executor.filenos()), [], [], LOOK_SECONDS)
            self.serve()

    def serve(self) -> None:
        """Answer all there is."""
        for signal in self.executor.poll():
            self.signals.append(signal)
            if isinstance(signal, ApiCall):
                self.executor.reply(signal.channel, signal.sequence, encode_replies(self._answer(signal)))

    def outcome(self, launch: Launch) -> OutcomeReport:
        """Wait for an attempt's report."""
        self.until(lambda: _key(launch) in self.outcomes, "the report")
        return self.outcomes[_key(launch)][0]

    def claimed(self, launch: Launch) -> list[ClaimRequest]:
        """Return the claims for an attempt."""
        return [claim for claim in self.claims if (claim.instance_id, claim.token) == _key(launch)]

    def restart(self) -> None:
        """Let the next scheduler take over."""
        self.executor.stop(kill_workers=False)
        self.executor = self.stage.open()

    def _answer(self, call: ApiCall) -> Replies:
        return Replies(
            claims=tuple(map(self._claim, call.claims)),
            beats=tuple(BeatReply(instance_id=beat.instance_id, token=beat.token) for beat in call.beats),
            reports=tuple(map(self._report, call.reports)),
            data=DataReply() if call.data is not None else None,
        )

    def _claim(self, claim: ClaimRequest) -> ClaimReply:
        key = (claim.instance_id, claim.token)
        first = next((c for c in self.claims if (c.instance_id, c.token) == key), claim)
        self.claims.append(claim)
        if key in self.refuses or first.claimant != claim.claimant or key in self.outcomes:
            return ClaimReply(instance_id=key[0], token=key[1], refused="not for you")
        return ClaimReply(instance_id=key[0], token=key[1], context=self.contexts[key])

    def _report(self, report: OutcomeReport) -> ReportReply:
        self.outcomes.setdefault((report.instance_id, report.token), []).append(report)
        return ReportReply(instance_id=report.instance_id, token=report.token, verdict="accepted")


def _key(launch: Launch) -> Key:
    return launch.instance_id, launch.token


class ExecutorConformance:
    """All cases. Each gets a fresh ``stage``."""

    @pytest.fixture
    def scheduler(self, stage: Stage) -> Iterator[Scheduler]:
        """Return a scheduler on the stage; its workers end with the test."""
        scheduler = Scheduler(stage)
        yield scheduler
        scheduler.executor.stop(kill_workers=True)

    def test_what_is_dispatched_is_launched_claimed_and_reported(self, scheduler: Scheduler) -> None:
        launch = scheduler.dispatch("succeed")
        assert scheduler.outcome(launch).kind is OutcomeKind.SUCCESS
        assert Launched(instance_id=launch.instance_id, token=launch.token) in scheduler.signals
        assert len(scheduler.claimed(launch)) == 1

    def test_capacity_tells_slots_or_the_reason_for_none(self, scheduler: Scheduler) -> None:
        before = scheduler.executor.capacity()
        assert before.slots > 0 or before.detail
        scheduler.until(lambda: scheduler.executor.capacity().slots > 0, "a worker")
        assert scheduler.executor.capacity().workers > 0

    def test_a_second_dispatch_starts_nothing_a_second_time(self, scheduler: Scheduler) -> None:
        launch = scheduler.dispatch("hang")
        scheduler.executor.dispatch([launch])
        scheduler.until(lambda: bool(scheduler.claimed(launch)), "the claim")
        scheduler.executor.dispatch([launch])
        scheduler.stage.let_go()
        assert scheduler.outcome(launch).kind is OutcomeKind.SUCCESS
        scheduler.outcome(scheduler.dispatch("succeed"))
        assert {claim.claimant for claim in scheduler.claimed(launch)} == {
            scheduler.claimed(launch)[0].claimant
        }
        assert len(scheduler.outcomes[_key(launch)]) == 1

    def test_a_refused_claim_is_the_end_of_it(self, scheduler: Scheduler) -> None:
        refused = scheduler.dispatch("succeed", refuse=True)
        scheduler.until(lambda: bool(scheduler.claimed(refused)), "the claim")
        scheduler.outcome(scheduler.dispatch("succeed"))
        assert _key(refused) not in scheduler.outcomes

    def test_a_cancel_ends_an_attempt(self, scheduler: Scheduler) -> None:
        launch = scheduler.dispatch("hang")
        scheduler.until(lambda: bool(scheduler.claimed(launch)), "the claim")
        scheduler.serve()
        scheduler.executor.cancel([_key(launch), (0, 0)], 0.5)
        assert scheduler.outcome(launch).kind is OutcomeKind.CANCELLED

    def test_an_answer_to_nobody_is_ignored(self, scheduler: Scheduler) -> None:
        scheduler.executor.reply(123_456, 1, encode_replies(Replies()))
        scheduler.outcome(scheduler.dispatch("succeed"))

    def test_attempts_survive_a_change_of_schedulers(self, scheduler: Scheduler) -> None:
        launch = scheduler.dispatch("hang")
        scheduler.until(lambda: bool(scheduler.claimed(launch)), "the claim")
        scheduler.restart()
        scheduler.executor.dispatch([launch])  # it may not know
        scheduler.stage.let_go()
        assert scheduler.outcome(launch).kind is OutcomeKind.SUCCESS
        assert {claim.claimant for claim in scheduler.claimed(launch)} == {
            scheduler.claimed(launch)[0].claimant
        }

    def test_nothing_is_called_gone_that_may_still_report(self, scheduler: Scheduler) -> None:
        launches = [scheduler.dispatch("succeed") for _ in range(20)]
        for launch in launches:
            scheduler.outcome(launch)
        scheduler.restart()
        scheduler.outcome(scheduler.dispatch("succeed"))
        assert [s for s in scheduler.signals if isinstance(s, Gone | LaunchFailed)] == []

    def test_attempts_of_workers_that_are_killed_do_not_go_on(self, scheduler: Scheduler) -> None:
        launch = scheduler.dispatch("hang")
        scheduler.until(lambda: bool(scheduler.claimed(launch)), "the claim")
        scheduler.executor.stop(kill_workers=True)
        scheduler.stage.let_go()
        scheduler.executor = scheduler.stage.open()
        scheduler.outcome(scheduler.dispatch("succeed"))
        assert [r.kind for r in scheduler.outcomes.get(_key(launch), [])] in ([], [OutcomeKind.INTERRUPTED])
