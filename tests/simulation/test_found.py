"""What the simulation has found in the loop, each as the smallest case that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from tradewind.domain.spec import DagSpec, TaskSpec
from tradewind.domain.world import World
from tradewind.errors import MetastoreUnavailableError
from tradewind.ports.executor import Capacity, ExecutorSignal
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import Launch
from tradewind.scheduler.engine import Engine
from tradewind.scheduler.feed import Feed
from tradewind.scheduler.leadership import Leadership
from tradewind.scheduler.loop import Scheduler
from tradewind.testing.clock import VirtualClock
from tradewind.testing.faults import with_weather
from tradewind.testing.memory import InMemoryMetastore
from tradewind.testing.simulation.processes import Silent

LEASE_SECONDS = 12.0


class Fails:
    """Weather in which one verb fails."""

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def before(self, verb: str) -> None:
        if verb == self.verb:
            raise MetastoreUnavailableError("it is away")

    def after(self, verb: str) -> None: ...


class Nobody:
    """An executor without workers that counts its starts and stops."""

    name = "local"

    def __init__(self) -> None:
        self.is_open = False

    def start(self) -> None:
        self.is_open = True

    def capacity(self) -> Capacity:
        return Capacity(slots=0, workers=0)

    def dispatch(self, launches: Sequence[Launch]) -> None: ...

    def cancel(self, attempts: Sequence[tuple[int, int]], grace_seconds: float) -> None: ...

    def filenos(self) -> tuple[int, ...]:
        return ()

    def poll(self) -> list[ExecutorSignal]:
        return []

    def reply(self, channel: int, sequence: int, payload: bytes) -> None: ...

    def stop(self, *, kill_workers: bool) -> None:
        self.is_open = False


class Process:
    """A scheduler that is driven by hand."""

    def __init__(self, store: Metastore, clock: VirtualClock) -> None:
        self.executor = Nobody()
        self.terms: list[int] = []
        leadership = Leadership(store, clock, shard="main", holder="A", lease_seconds=LEASE_SECONDS)

        def make_engine(leadership: Leadership) -> Engine:
            assert leadership.term is not None
            engine = Engine(
                store,
                {"local": self.executor},
                cast("Any", None),
                leadership.term,
                default_executor="local",
                on_trouble=self._trouble,
            )
            self.terms.append(leadership.term.number)
            return engine

        self.scheduler = Scheduler(
            store,
            {"local": self.executor},
            clock,
            leadership,
            make_engine,
            wakeup=Silent(),
            poll_seconds=5.0,
            beat=lambda **_data: None,
            log=lambda _text: None,
        )

    def _trouble(self, what: str, error: BaseException) -> None:
        raise AssertionError(what) from error


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(clock: VirtualClock) -> InMemoryMetastore:
    store = InMemoryMetastore(clock)
    spec = DagSpec(dag_id="d", file="d.py", tasks=(TaskSpec(task_id="a", operator="Op"),))
    store.save_file("d.py", b"", [(spec, "h")], now=clock.now())
    return store


def test_a_world_that_could_not_be_read_is_none(store: Metastore) -> None:
    troubles: list[str] = []
    feed = Feed(with_weather(store, Fails("spec")), lambda what, _error: troubles.append(what))
    with pytest.raises(MetastoreUnavailableError):
        feed.load_all(World())
    assert troubles == []


def test_executors_are_closed_again_when_the_first_reads_fail(store: Metastore, clock: VirtualClock) -> None:
    weather = Fails("active_runs")
    process = Process(with_weather(store, weather), clock)
    process.scheduler.round()
    assert (process.executor.is_open, process.terms) == (False, [])
    weather.verb = ""
    process.scheduler.round()
    assert (process.executor.is_open, process.terms) == (True, [1])


def test_a_term_that_was_lost_and_won_again_gets_a_new_engine(store: Metastore, clock: VirtualClock) -> None:
    process = Process(store, clock)
    process.scheduler.round()
    clock.move_to(60)  # it stood still for a minute
    other = store.acquire_term("main", "B", LEASE_SECONDS)
    assert other is not None
    store.release_term(other)
    process.scheduler.round()
    assert (process.executor.is_open, process.terms) == (True, [1, 3])


def test_a_leader_that_lost_its_term_in_a_pause_stops_at_once(store: Metastore, clock: VirtualClock) -> None:
    process = Process(store, clock)
    process.scheduler.round()
    clock.move_to(60)
    assert store.acquire_term("main", "B", LEASE_SECONDS) is not None
    process.scheduler.round()
    assert (process.executor.is_open, process.terms) == (False, [1])
