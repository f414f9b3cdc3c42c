"""The runtime API's adapters on its conformance suite: the leader's loop, the service on the metastore, HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tradewind.api.attempt_tokens import AttemptTokens
from tradewind.api.data import DataService
from tradewind.api.http_server import RuntimeHttpServer
from tradewind.api.runtime import RuntimeService
from tradewind.api.trigger import trigger_run
from tradewind.domain.records import RunRow
from tradewind.domain.states import RunState
from tradewind.metastore import connect
from tradewind.ports.executor import ApiCall, Capacity, ExecutorSignal
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import (
    Beat,
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataReply,
    DataRequest,
    Launch,
    OutcomeReport,
    ReportReply,
)
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.http_client import HttpRuntimeClient
from tradewind.runtime.wire import Replies, decode_replies
from tradewind.scheduler.engine import Engine
from tradewind.testing.conformance.runtime_api import House, RuntimeApiConformance, save_sales


class NoSecrets:
    """No connections and no variables."""

    def connection_get(self, conn_id: str) -> dict[str, Any] | None:
        return None

    def variable_get(self, key: str) -> str | None:
        return None

    def variable_set(self, key: str, value: str, *, description: str = "", actor: str) -> None:
        raise AssertionError("nothing sets variables here")


def no_trigger(*_arguments: object, **_named: object) -> Any:
    raise AssertionError("nothing triggers runs here")


class OneWorker:
    """An executor whose worker is the test: it hands calls to the engine and keeps the answers."""

    name = "local"

    def __init__(self) -> None:
        self.calls: list[ExecutorSignal] = []
        self.answers: dict[int, Replies] = {}
        self.launches: list[Launch] = []

    def start(self) -> None: ...

    def capacity(self) -> Capacity:
        return Capacity(slots=10, workers=1)

    def dispatch(self, launches: Sequence[Launch]) -> None:
        self.launches.extend(launches)

    def cancel(self, attempts: Sequence[tuple[int, int]], grace_seconds: float) -> None: ...

    def filenos(self) -> tuple[int, ...]:
        return ()

    def poll(self) -> list[ExecutorSignal]:
        calls, self.calls = self.calls, []
        return calls

    def reply(self, channel: int, sequence: int, payload: bytes) -> None:
        self.answers[sequence] = decode_replies(payload)

    def stop(self, *, kill_workers: bool) -> None: ...


class Leader:
    """An engine with its executor."""

    def __init__(self, store: Metastore, trigger: Any = no_trigger) -> None:
        self.worker = OneWorker()
        self.clock = SystemClock()
        term = store.acquire_term("main", "leader", 60)
        assert term is not None
        self.engine = Engine(
            store,
            {"local": self.worker},
            DataService(store, NoSecrets(), trigger),
            term,
            default_executor="local",
            on_trouble=self._trouble,
        )

    def _trouble(self, what: str, error: BaseException) -> None:
        raise AssertionError(what) from error

    def turn(self) -> None:
        self.engine.turn(self.clock.now(), read_feed=True)


class EngineApi:
    """The runtime API as the leader's own loop answers it."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._sequence = 0

    def _ask(self, **lists: Any) -> Replies:
        self._sequence += 1
        self._leader.worker.calls.append(ApiCall(channel=1, sequence=self._sequence, **lists))
        self._leader.turn()
        return self._leader.worker.answers.pop(self._sequence)

    def claim(self, requests: Sequence[ClaimRequest]) -> list[ClaimReply]:
        return list(self._ask(claims=tuple(requests)).claims)

    def heartbeat(self, worker: str, beats: Sequence[Beat]) -> list[BeatReply]:
        return list(self._ask(beats=tuple(beats), worker=worker).beats)

    def report(self, reports: Sequence[OutcomeReport]) -> list[ReportReply]:
        return list(self._ask(reports=tuple(reports)).reports)

    def data(self, request: DataRequest) -> DataReply:
        answer = self._ask(data=request).data
        assert answer is not None
        return answer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Metastore]:
    store = connect(f"sqlite:///{tmp_path}/tradewind.db", create=True)
    save_sales(store, SystemClock())
    yield store
    store.close()


def make_house(api: Any, store: Metastore, leader: Leader) -> House:
    def trigger() -> RunRow:
        return trigger_run(store, "sales", now=leader.clock.now(), actor="test")[0]

    return House(api=api, store=store, clock=leader.clock, turn=leader.turn, trigger=trigger)


class TestInTheLeadersLoop(RuntimeApiConformance):
    @pytest.fixture
    def house(self, store: Metastore) -> House:
        leader = Leader(store.clone())
        return make_house(EngineApi(leader), store, leader)


def test_a_run_that_a_task_makes_starts_without_waiting_for_a_poll(store: Metastore) -> None:
    leader_store = store.clone()

    def trigger(dag_id: str, *, actor: str, **_named: object) -> tuple[RunRow, bool]:
        return trigger_run(leader_store, dag_id, now=SystemClock().now(), actor=actor)

    leader = Leader(leader_store, trigger)
    api = EngineApi(leader)
    house = make_house(api, store, leader)
    row = house.start()
    house.claim(row)
    request = DataRequest(
        instance_id=row.id, token=row.token, verb="run_trigger", arguments={"dag_id": "sales"}
    )
    leader.worker.calls.append(ApiCall(channel=1, sequence=99, data=request))
    wake_at = leader.engine.turn(leader.clock.now(), read_feed=False)
    assert wake_at is not None  # it is due at the instant it was made: after that turn had begun
    leader.engine.turn(max(wake_at, leader.clock.now()), read_feed=False)
    data = leader.worker.answers[99].data
    assert data is not None
    made = store.find_run("sales", data.value["run_id"])
    assert made is not None
    assert made.state is RunState.RUNNING


class TestOnTheMetastore(RuntimeApiConformance):
    @pytest.fixture
    def house(self, store: Metastore) -> House:
        leader = Leader(store.clone())
        own = store.clone()
        data = DataService(own, NoSecrets(), no_trigger)
        return make_house(RuntimeService(own, data, leader.clock), store, leader)


class AllTokens(dict[tuple[int, int], str]):
    """The tokens of every attempt, as if each launch had arrived."""

    def __init__(self, tokens: AttemptTokens) -> None:
        super().__init__()
        self._tokens = tokens

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: tuple[int, int]) -> str:
        return self._tokens.sign(*key)


@pytest.fixture
def served(store: Metastore) -> Iterator[tuple[str, AttemptTokens]]:
    tokens = AttemptTokens(b"a key for tests")

    def make_service() -> RuntimeService:
        own = store.clone()
        return RuntimeService(own, DataService(own, NoSecrets(), no_trigger), SystemClock())

    server = RuntimeHttpServer(("127.0.0.1", 0), make_service, tokens)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", tokens
    server.shutdown()
    server.server_close()
    thread.join()


def no_pause(_seconds: float) -> None:
    raise AssertionError("the server answers at once here")


class TestOverHttp(RuntimeApiConformance):
    @pytest.fixture
    def house(self, store: Metastore, served: tuple[str, AttemptTokens]) -> Iterator[House]:
        url, tokens = served
        leader = Leader(store.clone())
        client = HttpRuntimeClient(url, "w1", AllTokens(tokens), clock=leader.clock, pause=no_pause)
        yield make_house(client, store, leader)
        client.close()

    def test_nothing_opens_without_the_attempts_own_token(
        self, house: House, served: tuple[str, AttemptTokens]
    ) -> None:
        url, tokens = served
        row, other = house.start(), house.start()
        stolen = {(row.id, row.token): tokens.sign(other.id, other.token)}
        client = HttpRuntimeClient(url, "thief", stolen, clock=house.clock, pause=no_pause)
        claim = ClaimRequest(instance_id=row.id, token=row.token, worker="thief", claimant="a")
        refused = "the call carries no valid token for this attempt"
        assert client.claim([claim]) == [ClaimReply(instance_id=row.id, token=row.token, refused=refused)]
        house.claim(row)
        assert client.data(DataRequest(instance_id=row.id, token=row.token, verb="state_get")) == DataReply(
            error=refused
        )
        assert client.heartbeat("thief", [Beat(instance_id=row.id, token=row.token)]) == [
            BeatReply(instance_id=row.id, token=row.token, stop="fenced")
        ]
        assert house.again(row).worker == "w1#a"
        client.close()
