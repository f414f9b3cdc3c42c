"""One turn of the leader: take what arrived, decide, commit it in one transaction, answer and dispatch.

Theory of operation
-------------------
A turn never sleeps and never runs user code. Everything that arrived since the last turn (workers' claims and
reports, losses, changed rows, due times) goes into the world; ``decide`` moves it forward; one commit writes all of
it. Only then are workers answered and attempts dispatched: what nobody was told before the commit can be redone.

Three ways a commit ends. *Committed*: answer. *Lost race*: somebody (a user, another worker's report) changed one of
those rows first; the runs concerned are read again and the same inbox is applied to them. *No database*: nothing is
answered, the inbox is kept for a world rebuilt when the database is back. A stale term ends the leadership.

The simulation drives this same class with a virtual clock and planted faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from tradewind.domain.decide import Decision, Dispatch, decide
from tradewind.domain.records import LostRace, Term
from tradewind.domain.states import SLOT_STATES, TaskState
from tradewind.domain.timetable import TimetableFactory
from tradewind.domain.world import World
from tradewind.errors import MetastoreUnavailableError
from tradewind.ports.executor import Executor
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import Launch
from tradewind.scheduler.feed import Feed
from tradewind.scheduler.inbox import DataService, Inbox, Lost

RUN_PKS_PER_RESERVE = 64  # keys fetched at once: one small transaction per so many new runs
RACES_PER_TURN_MAX = 8  # after so many lost races in a row the whole world is read again
RESEND_AFTER = timedelta(
    seconds=30
)  # a queued attempt nobody claimed is dispatched again: messages are hints
LOST_LEASES_PER_LOOK = 500

Trouble = Callable[[str, BaseException], None]


class Engine:
    """The leader's working state between turns. Build a new one for each term."""

    def __init__(
        self,
        store: Metastore,
        executors: Mapping[str, Executor],
        data: DataService,
        term: Term,
        *,
        default_executor: str,
        on_trouble: Trouble,
        on_commit: Callable[[Decision], None] | None = None,
        timetables: Mapping[str, TimetableFactory] | None = None,
        grace_seconds: float = 30.0,
    ) -> None:
        self._store = store
        self._executors = executors
        self._term = term
        self._grace_seconds = grace_seconds
        self._on_trouble = on_trouble
        self._on_commit = on_commit
        self._default_executor = default_executor
        self._timetables = timetables
        self._feed = Feed(store, on_trouble)
        self._inbox = Inbox(store, data, self._feed)
        self._needs_rebuild = False
        self._resent_at: datetime | None = None
        self.world = self._build_world()

    def _build_world(self) -> World:
        world = World(default_executor=self._default_executor, timetables=self._timetables)
        for name in self._executors:
            self._read_capacity(world, name)
        self._feed.load_all(world)
        return world

    def _read_capacity(self, world: World, name: str) -> None:
        capacity = self._executors[name].capacity()
        world.set_capacity(name, capacity.slots, capacity.workers, capacity.detail)

    # ---- one turn -----------------------------------------------------------------------------------------------

    def turn(self, now: datetime, *, read_feed: bool) -> datetime | None:
        """Do everything that can be done now. Return when to come back at the latest (None: when something arrives).

        Raises:
            StaleTermError: another scheduler leads; this engine must be thrown away.
            MetastoreUnavailableError: nothing was answered; call again later.
        """
        try:
            if self._needs_rebuild:
                self.world = self._build_world()
                self._needs_rebuild = False
            for executor in self._executors.values():
                self._inbox.arrive(executor, executor.poll())
            for name in self._inbox.take():
                self._read_capacity(self.world, name)
            if read_feed or self._inbox.wrote_runs():
                self._feed.follow(self.world)
            decision = self._decide_and_commit(now)
        except MetastoreUnavailableError:
            # Whether the last commit happened is unknown: only the rows can tell.
            self._needs_rebuild = True
            self._inbox.keep_unanswered()
            raise
        return decision.wake_at

    def _decide_and_commit(self, now: datetime) -> Decision:
        races = 0
        while True:
            self._inbox.apply(self.world, now)
            decision = decide(self.world, now)
            if decision.troubles:
                self._set_aside(decision)
            result = self._store.commit(decision.batch, term=self._term) if decision.batch else None
            if isinstance(result, LostRace):
                races += 1
                self._lost_race(decision, races)
                continue
            if result is not None:
                self._feed.committed(result.last_event_id, len(decision.batch.events))
            self._after_commit(decision)
            if not self._provide(decision):
                return decision

    def _set_aside(self, decision: Decision) -> None:
        """Some runs could not be decided on: they rest as they are until somebody changes them, the others go on."""
        for run_pk, error in decision.troubles:
            self._on_trouble(f"run {run_pk}", error)
        self._inbox.forget_runs({run_pk for run_pk, _ in decision.troubles})

    def _lost_race(self, decision: Decision, races: int) -> None:
        """Somebody changed one of those rows first: see what they are now."""
        self._inbox.forget_expired()
        if races >= RACES_PER_TURN_MAX:
            self.world = self._build_world()
            return
        self._feed.reload_runs(self.world, set(decision.touched_runs))
        self._feed.reload_dags(self.world, set(decision.touched_dags))
        # What was to be cancelled because of others' committed changes still has to be; the world has forgotten it.
        self._cancel([cancel for cancel in decision.cancels if not self._may_run(cancel[0], cancel[1])])
        self._feed.follow(self.world)

    def _may_run(self, instance_id: int, token: int) -> bool:
        instance = self.world.instance(instance_id)
        return instance is not None and instance.token == token and instance.state in SLOT_STATES

    def _provide(self, decision: Decision) -> bool:
        """Fetch what the decision could not go on without. Return whether there was anything."""
        if decision.need_run_pks:
            count = max(RUN_PKS_PER_RESERVE, decision.need_run_pks)
            self.world.run_pks(self._store.allocate_run_pks(count))
        for run_pk in decision.need_previous:
            run = self.world.runs.get(run_pk)
            previous = self._store.previous_run(run.row) if run is not None else None
            self.world.set_previous(run_pk, previous)
        return bool(decision.need_run_pks or decision.need_previous)

    def _after_commit(self, decision: Decision) -> None:
        self._inbox.answer()
        self._cancel(decision.cancels)
        self._dispatch(decision.dispatches)
        if self._on_commit is not None and decision.batch.events:
            self._on_commit(decision)

    # ---- what nobody reports ------------------------------------------------------------------------------------

    def look_for_lost(self, now: datetime) -> None:
        """Note expired leases for the next turn, and dispatch again what stayed queued for long."""
        if self._needs_rebuild:
            return
        held = [
            instance for pool in self.world.admission.pools.values() for instance in pool.holders.values()
        ]
        if any(instance.state is TaskState.RUNNING for instance in held):
            for instance_id, token in self._store.expired_leases(LOST_LEASES_PER_LOOK):
                reason = "its worker was not heard of for longer than the lease"
                self._inbox.lose(Lost(instance_id, token, reason, lease_expired=True))
        if self._resent_at is None or now - self._resent_at >= RESEND_AFTER:
            self._resent_at = now
            before = now - RESEND_AFTER
            self.world.redispatch.extend(
                i
                for i in held
                if i.state is TaskState.QUEUED and i.queued_at is not None and i.queued_at < before
            )

    # ---- executors ----------------------------------------------------------------------------------------------

    def _dispatch(self, dispatches: Iterable[Dispatch]) -> None:
        by_executor: dict[str, list[Launch]] = {}
        for dispatch in dispatches:
            by_executor.setdefault(dispatch.executor, []).append(self._launch(dispatch))
        for name, launches in by_executor.items():
            executor = self._executors.get(name)
            if executor is not None:  # a removed executor's queue waits for it to come back
                executor.dispatch(launches)

    def _launch(self, dispatch: Dispatch) -> Launch:
        file, sha = self._feed.source(dispatch.version_id)
        return Launch(
            instance_id=dispatch.instance_id,
            token=dispatch.token,
            dag_id=dispatch.dag_id,
            run_id=dispatch.run_id,
            task_id=dispatch.task_id,
            version_id=dispatch.version_id,
            file=file,
            source_sha=sha,
            map_index=dispatch.map_index,
            try_number=dispatch.try_number,
            executor=dispatch.executor,
            queue=dispatch.queue,
            priority=dispatch.priority,
        )

    def _cancel(self, cancels: Iterable[tuple[int, int, str]]) -> None:
        by_executor: dict[str, list[tuple[int, int]]] = {}
        for instance, token, name in cancels:
            by_executor.setdefault(name, []).append((instance, token))
        for name, attempts in by_executor.items():
            executor = self._executors.get(name)
            if executor is not None:
                executor.cancel(attempts, self._grace_seconds)
