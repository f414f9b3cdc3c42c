"""One simulated installation: its schedulers, workers, people and faults around one metastore."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final

from tradewind.domain.graph import Graph
from tradewind.domain.records import RunRow
from tradewind.domain.states import ACTIVE_RUN_STATES
from tradewind.errors import NotFoundError
from tradewind.ports.metastore import Metastore
from tradewind.testing.clock import HostClock, VirtualClock
from tradewind.testing.simulation.auditor import Auditor
from tradewind.testing.simulation.behaviour import Behaviour
from tradewind.testing.simulation.chance import Chance
from tradewind.testing.simulation.conditions import draw_conditions
from tradewind.testing.simulation.dags import POOLS, REMOTE, draw_dag, draw_flavour
from tradewind.testing.simulation.executor import Switchboard
from tradewind.testing.simulation.links import ExecutorLink, ServiceLink
from tradewind.testing.simulation.people import People
from tradewind.testing.simulation.post import Post
from tradewind.testing.simulation.processes import SchedulerProcess
from tradewind.testing.simulation.stores import StoreKind, audited, open_store
from tradewind.testing.simulation.timeline import Timeline, Violation
from tradewind.testing.simulation.worker import Worker

HINT_SECONDS_MAX: Final = 0.01
SETTLE_SECONDS: Final = 40.0  # after the faults: a takeover, a poll, a lease
SLICE_SECONDS: Final = 10.0
STILL_SECONDS_MAX: Final = 240.0  # without a commit: longer than any task, delay and poll together
LIVENESS_SECONDS_MAX: Final = 4 * 3600.0  # for everything that is still to be done when the faults end
STEPS_MAX: Final = 120_000  # of one scenario: more is a loop


class House:
    """Everything of one scenario, drawn from one seed."""

    def __init__(self, seed: int, kind: StoreKind, stack: ExitStack) -> None:
        self.chance = Chance(seed)
        self.clock = VirtualClock()
        self.timeline = Timeline(self.clock)
        self.conditions = draw_conditions(self.chance.fork(1))
        self.down = False  # the whole database
        self.disturbed_at = 0.0
        self.store = open_store(kind, self.clock, stack)
        self.auditor = Auditor(self.store, self.timeline, self._disturbed)
        self.post = Post(self.timeline, self.chance.fork(2), self.conditions)
        self.switchboard = Switchboard()
        self.executor_names = ("local", REMOTE)
        self._graphs: dict[int, Graph] = {}
        self._faults = self.chance.fork(3)
        self._calm = not any(
            (
                self.conditions.messages_lost,
                self.conditions.messages_late,
                self.conditions.hints_lost,
                self.conditions.verb_slow,
                self.conditions.verb_fails,
                self.conditions.reply_lost,
                self.conditions.verb_kills,
            )
        )
        self._save_dags()
        self.people = People(self, self.store_for("person"), self.chance.fork(4))
        self.behaviour = Behaviour(self.chance.fork(5), self._graphs, self.conditions.task_seconds)
        self.schedulers = [SchedulerProcess(self, name) for name in "AB"[: self.conditions.schedulers]]
        self.workers = [
            self._make_worker(f"w{number}", ExecutorLink(self, "local"))
            for number in range(self.conditions.workers)
        ] + [
            self._make_worker(f"r{number}", ServiceLink(self, REMOTE))
            for number in range(self.conditions.remote_workers)
        ]

    # ---- made -------------------------------------------------------------------------------------------

    def _save_dags(self) -> None:
        chance = self.chance.fork(6)
        flavour = draw_flavour(chance)
        for pool in POOLS:
            self.store.set_pool(pool.name, pool.slots, "", actor="cli:anna")
        for number in range(chance.whole(1, 2)):
            spec = draw_dag(chance, number, flavour, self.conditions.fault_seconds)
            self.store.save_file(spec.file, b"", [(spec, f"h{number}")], now=self.clock.now())
        for dag in self.store.dags():
            spec = self.store.spec(dag.version_id)
            self._graphs[dag.version_id] = Graph(spec)
            self.auditor.know(dag.version_id, spec)

    def _make_worker(self, name: str, link: ExecutorLink) -> Worker:
        return Worker(
            name,
            self.conditions.slots,
            self.timeline,
            HostClock(self.clock, zero=self.chance.between(0, 1000)),
            self.chance.fork(),
            link,
            self.behaviour,
            self.auditor,
        )

    def store_for(self, who: str) -> Metastore:
        """Return the metastore as one party uses it: a connection of its own."""
        return audited(self.store.clone(), self.auditor, who, self._wrote)

    def graph(self, run: RunRow) -> Graph:
        """Return the graph of a run's version."""
        return self._graphs[run.version_id]

    def no_trigger(
        self,
        dag_id: str,
        *,
        run_id: str | None,
        logical_date: datetime | None,
        conf: dict[str, Any],
        note: str,
        actor: str,
    ) -> tuple[RunRow, bool]:
        """Refuse what no simulated task asks for."""
        raise NotFoundError(f"no simulated task triggers {dag_id}")

    # ---- faults -----------------------------------------------------------------------------------------

    def _disturbed(self) -> float:
        return self.disturbed_at if self._calm else float("inf")

    def _wrote(self, who: str) -> None:
        """Hint the other parties that somebody committed."""
        for scheduler in self.schedulers:
            if scheduler.name != who and not self._faults.happens(self.conditions.hints_lost):
                self.timeline.after(self._faults.between(0, HINT_SECONDS_MAX), scheduler.hint)

    def _plan(self) -> None:
        """Draw when what happens."""
        conditions, chance = self.conditions, self._faults

        def at_random(count: int, action: Callable[[], None], *, fault: bool = True) -> None:
            for _ in range(count):
                self.timeline.after(
                    chance.between(0.5, conditions.fault_seconds), self._during(action, fault=fault)
                )

        for scheduler in self.schedulers:
            self.timeline.after(chance.between(0, 1), scheduler.start)
        for worker in self.workers:
            self.timeline.after(chance.between(0, 2), worker.start)
        at_random(conditions.scheduler_crashes, lambda: chance.pick(self.schedulers).crash())
        at_random(
            conditions.scheduler_pauses, lambda: chance.pick(self.schedulers).freeze(chance.between(1, 30))
        )
        at_random(conditions.worker_crashes, lambda: chance.pick(self.workers).crash(chance.between(0.5, 60)))
        at_random(conditions.worker_pauses, lambda: chance.pick(self.workers).freeze(chance.between(1, 60)))
        at_random(conditions.outages, lambda: self._outage(chance.between(1, 30)))
        at_random(
            conditions.clock_steps,
            lambda: chance.pick(self.schedulers).step_clock(chance.between(-60, 60)),
        )
        at_random(conditions.acts, self.people.act, fault=False)
        for _ in range(conditions.triggers):
            self.timeline.after(chance.between(0.1, conditions.fault_seconds / 2), self.people.trigger)

    def _during(self, action: Callable[[], None], *, fault: bool) -> Callable[[], None]:
        def act() -> None:
            if self.timeline.now <= self.conditions.fault_seconds:
                if fault:
                    self.disturbed_at = self.timeline.now
                action()

        return act

    def _outage(self, seconds: float) -> None:
        self.timeline.note("the database is away for {:.1f} s", seconds)
        self.down = True

        def back() -> None:
            self.down = False
            self.disturbed_at = self.timeline.now

        self.timeline.after(seconds, back)

    # ---- the whole scenario -----------------------------------------------------------------------------

    def live(self) -> None:
        """Let the scenario happen; raise :class:`Violation` when a promise is broken."""
        self._plan()
        self.timeline.run_until(self.conditions.fault_seconds)
        self.timeline.note("the faults are over")
        self.conditions.calm_down()
        self.down = False
        self.people.set_free()
        self.timeline.run_until(self.timeline.now + SETTLE_SECONDS)
        until = self.timeline.now + LIVENESS_SECONDS_MAX
        moved_at, commits = self.timeline.now, self.auditor.commits
        while not self._done():
            now = self.timeline.now
            if self.auditor.commits > commits:
                moved_at, commits = now, self.auditor.commits
            if now > until or now - moved_at > STILL_SECONDS_MAX or self.timeline.steps > STEPS_MAX:
                raise Violation(f"L2: {self._what_is_left()}")
            self.timeline.run_until(self.timeline.now + SLICE_SECONDS)
            self.people.mend_the_past()
        self.auditor.finish()

    def _done(self) -> bool:
        return (
            not self.store.active_runs()
            and all(worker.idle for worker in self.workers)
            and not self.auditor.missing_ticks()
        )

    def _what_is_left(self) -> str:
        left = [
            f"run {one.run.pk} ({one.run.run_id}) is {one.run.state}: "
            + ", ".join(f"{row.task_id}{list(row.map_index) or ''} {row.state}" for row in one.instances)
            for one in self.store.active_runs()
            if one.run.state in ACTIVE_RUN_STATES
        ]
        left += [f"{worker.name} is not idle: {worker.still()}" for worker in self.workers if not worker.idle]
        left += [f"{dag_id} has no run of {tick}" for dag_id, tick in self.auditor.missing_ticks()]
        return "; ".join(left) or "the scenario takes too many steps"
