"""The one place where a live instance or run changes state, with everything that hangs on it."""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush
from typing import Any

import msgspec

from tradewind.domain.graph import Edge, GraphTask, Scope
from tradewind.domain.records import (
    AttemptRow,
    DagRow,
    EventRow,
    Guard,
    InstanceRow,
    MapIndex,
    RunRow,
    XComWrite,
    instance_id,
)
from tradewind.domain.spec import INSTANCES_PER_RUN_MAX
from tradewind.domain.states import (
    SLOT_STATES,
    RunEvent,
    RunState,
    TaskEvent,
    TaskState,
    advance,
    advance_run,
)
from tradewind.domain.world.admission import Admission
from tradewind.domain.world.live import Cell, Dag, GroupCount, Instance, Node, Run
from tradewind.domain.world.tally import FAILED, KIND, UNFINISHED, UPSTREAM_FAILED

_BAD = frozenset({FAILED, UPSTREAM_FAILED})


class Wakes:
    """What is due when: a heap of (instant, what). Entries that no longer matter are recognised when due."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, str, Any]] = []
        self._count = 0

    def add(self, at: datetime, kind: str, what: Any) -> None:
        """Wake up at ``at`` for ``what``."""
        self._count += 1
        heappush(self._heap, (at, self._count, kind, what))

    def pop_due(self, now: datetime) -> tuple[datetime, str, Any] | None:
        """Remove and return the next thing that is due, None if nothing is."""
        if not self._heap or self._heap[0][0] > now:
            return None
        at, _, kind, what = heappop(self._heap)
        return at, kind, what

    def next_at(self) -> datetime | None:
        """Return the instant of the next wake-up."""
        return self._heap[0][0] if self._heap else None


class Ledger:
    """The live objects, and everything that has changed since the last decision.

    :class:`~tradewind.domain.world.World` adds what the scheduler's loop calls.
    """

    def __init__(self, default_executor: str) -> None:
        self.admission = Admission(default_executor)
        self.dags: dict[str, Dag] = {}
        self.runs: dict[int, Run] = {}
        self.wakes = Wakes()
        # To be written by the next decision.
        self.touched: list[Instance] = []
        self.unsettled: dict[int, Run] = {}  # runs with anything touched
        self.removed: list[tuple[int, Guard]] = []
        self.attempts: list[AttemptRow] = []
        self.xcoms: list[XComWrite] = []
        self.xcoms_cleared: list[tuple[int, str, MapIndex]] = []
        self.dag_writes: dict[str, tuple[DagRow, datetime | None]] = {}  # new row, guard
        self.events: list[EventRow] = []
        # To be done by the next decision.
        # Cells whose rule may say something new, as a heap in the order of the graph: a rule is asked after all
        # that it waits for, so what is decided does not depend on the order in which the news came.
        self.checks: list[tuple[int, int, MapIndex, int, Cell]] = []
        self._checked = 0
        self.expansions: dict[tuple[int, Scope, MapIndex], Run] = {}
        self.checked_runs: dict[int, Run] = {}  # runs that may be over
        self.group_checks: dict[tuple[int, str, MapIndex], Run] = {}  # groups with retries in which all ended
        self.failing: dict[int, tuple[Run, Instance]] = {}  # fail_fast runs, and what failed
        self.starting: dict[str, Dag] = {}  # DAGs with queued runs or room for them
        self.due_dags: dict[str, Dag] = {}  # DAGs whose schedule has to be looked at
        self.ready: list[Instance] = []  # scheduled, but not in line yet
        self.redispatch: list[Instance] = []  # queued, but perhaps never handed over
        self.cancels: list[tuple[int, int, str]] = []
        self.need_previous: dict[int, Run] = {}
        self.troubles: list[tuple[int, Exception]] = []  # runs that were set aside
        self.lacking: dict[str, Dag] = {}  # DAGs that could not make runs for want of run keys

    @property
    def has_work(self) -> bool:
        """Whether a decision taken now would find something to do, without anything new."""
        return bool(
            self.checks
            or self.expansions
            or self.ready
            or self.starting
            or self.due_dags
            or self.checked_runs
            or self.group_checks
        )

    # ---- touching ------------------------------------------------------------------------------------

    def touch(self, instance: Instance) -> None:
        """Remember what was committed before the first change, and that the row has to be written."""
        if not instance.touched:
            instance.touched = True
            instance.committed_state = instance.state
            instance.committed_token = instance.token
            self.touched.append(instance)
            run: Run = instance.run
            if not run.unsettled:
                run.unsettled = True
                self.unsettled[run.pk] = run

    def change_run(self, run: Run, **fields: Any) -> None:
        """Change fields of a run's row, its state apart."""
        if not run.touched:
            run.touched = True
            run.committed_state = run.row.state
            run.unsettled = True
            self.unsettled[run.pk] = run
        run.row = msgspec.structs.replace(run.row, **fields)

    def move_run(self, run: Run, event: RunEvent, **fields: Any) -> None:
        """Let ``event`` happen to a run."""
        before = run.row.state
        after = advance_run(before, event)
        self.change_run(run, state=after, **fields)
        if (before is RunState.RUNNING) != (after is RunState.RUNNING):
            run.dag.running += 1 if after is RunState.RUNNING else -1
            self.starting[run.dag.dag_id] = run.dag

    # ---- moving --------------------------------------------------------------------------------------

    def move(self, instance: Instance, event: TaskEvent, reason: str = "") -> None:
        """Let ``event`` happen to an instance: state, slots, tallies, and who has to be looked at next."""
        before = instance.state
        after = advance(before, event)
        self.touch(instance)
        instance.state = after
        instance.reason = reason
        self.moved(instance, before, after)

    def moved(self, instance: Instance, before: TaskState, after: TaskState) -> None:
        """Bring slots and tallies up to an instance's new state, whoever has changed it."""
        instance.entry = None
        if before in SLOT_STATES:
            if after not in SLOT_STATES:
                self.admission.release(instance)
        elif after in SLOT_STATES:
            self.admission.acquire(instance)
        run: Run = instance.run
        was, now = KIND[before], KIND[after]
        run.moving += (now == UNFINISHED and after is not TaskState.NONE) - (
            was == UNFINISHED and before is not TaskState.NONE
        )
        if was != now:
            self._recount(instance, run, was, now)

    def _recount(self, instance: Instance, run: Run, was: int, now: int) -> None:
        """Move an instance from one kind to another in every tally that counts it."""
        task = instance.cell.node.task
        if was == UNFINISHED:
            run.unfinished -= 1
        elif now == UNFINISHED:
            run.unfinished += 1
        count_bad(run, instance, was, -1)
        count_bad(run, instance, now, 1)
        if instance.cell.own is not None:
            self._recount_own(instance, was, now)
        if task.retry_groups:
            self.group_checks.update(count_groups(run, instance, was, -1))
            self.group_checks.update(count_groups(run, instance, now, 1))
        if now == FAILED and run.graph.spec.fail_fast and not task.spec.is_teardown:
            self.failing[run.pk] = (run, instance)
        if run.watchers and was == UNFINISHED:
            self._tell_watchers(run, task)
        index = instance.map_index
        nodes = run.nodes
        for other, shared, main, setup in task.out:
            if shared <= len(index):
                known = nodes[other].cells.get(index[:shared])
                if known is not None:
                    self._shift(known, was, now, main=main, setup=setup)
            else:
                self._shift_below(nodes[other].cells.get(index), Edge(other, shared, main, setup), was, now)
        if task.out_held:
            self._recount_held(instance, was, now)
        if not run.checking and (run.unfinished == 0 or run.moving == 0):
            run.checking = True
            self.checked_runs[run.pk] = run

    def _recount_held(self, instance: Instance, was: int, now: int) -> None:
        index = instance.map_index
        for edge, _, level in instance.cell.node.task.out_held:
            if len(index) < level:  # a group that was never expanded cannot be tried again
                around = instance.run.nodes[edge.other].cells.get(index[: edge.shared])
                self._shift_below(around, edge, was, now)

    def _recount_own(self, instance: Instance, was: int, now: int) -> None:
        for outer in instance.cell.path():
            outer.own[was] -= 1
            outer.own[now] += 1
        if was == UNFINISHED:
            self._tell_expanders(instance)
            if instance.cell.node.task.spec.decides_branch:
                self._tell_skipped(instance)

    def show(self, instance: Instance, group: str, was: int, now: int) -> None:
        """Let what is outside of a group with retries see an instance inside as of kind ``now``."""
        index = instance.map_index
        nodes = instance.run.nodes
        for edge, name, _ in instance.cell.node.task.out_held:
            if name == group:
                self._shift_below(nodes[edge.other].cells.get(index[: edge.shared]), edge, was, now)

    def _shift_below(self, around: Cell | None, edge: Edge, was: int, now: int) -> None:
        for cell in list(around.at_level(edge.shared)) if around is not None else ():
            self._shift(cell, was, now, main=edge.main, setup=edge.setup)

    def _shift(self, cell: Cell, was: int, now: int, *, main: bool, setup: bool) -> None:
        changed = main and cell.shift(was, now)
        if setup and cell.setups is not None and cell.setups.shift(was, now):
            changed = True
        if changed:
            self.check(cell)

    def _tell_watchers(self, run: Run, task: GraphTask) -> None:
        """Look again at the same task in the next run, and at those that wait for this one as a downstream."""
        near = {task.task_id, *(run.graph.tasks[ordinal].task_id for ordinal in task.above)}
        for pk in run.watchers:
            follower = self.runs.get(pk)
            for node in map(follower.node, near) if follower is not None else ():
                if node is not None and node.task.needs_past:
                    self.check(node.root)

    def _tell_skipped(self, instance: Instance) -> None:
        """Look at what a branch or short circuit may have skipped, where all its instances in sight have ended."""
        run: Run = instance.run
        task: GraphTask = instance.cell.node.task
        if instance.skip_all_downstream and instance.state is TaskState.SUCCESS:
            run.short_circuits.add(task.ordinal)
        graph = run.graph
        far = task.ordinal in run.short_circuits
        targets = graph.descendants(task.ordinal) if far else task.below
        for outer in instance.cell.path():
            if outer.own[UNFINISHED]:
                return
            for ordinal in targets:
                if graph.shared(task, graph.tasks[ordinal]) == len(outer.prefix):
                    cell = run.nodes[ordinal].cells.get(outer.prefix)
                    if cell is not None:
                        self.check(cell)

    def _tell_expanders(self, instance: Instance) -> None:
        """Look at the mappings over this instance's task when all they need is finished."""
        cell: Cell = instance.cell
        run: Run = instance.run
        for scope in cell.node.task.expanders:
            for source in scope.sources:
                if source.task != cell.node.task.ordinal:
                    continue
                prefix = instance.map_index[: source.shared]
                around = cell.node.cells.get(prefix)
                if around is not None and around.own is not None and not around.own[UNFINISHED]:
                    self.expansions[run.pk, scope, prefix] = run

    def executor_of(self, instance: Instance) -> str:
        """Return the name of the executor an instance goes to."""
        return instance.executor or instance.cell.node.task.spec.executor or self.admission.default_executor

    def arm_timeout(self, run: Run) -> None:
        """Wake up when a run has taken too long."""
        at = run.times_out_at()
        if at is not None:
            self.wakes.add(at, "timeout", run)

    # ---- asking --------------------------------------------------------------------------------------

    def check(self, cell: Cell) -> None:
        """Ask the rule again for everything that waits at or below a cell."""
        level = cell.node.task.group_depth
        if len(cell.prefix) == level:
            if not cell.checking and cell.instances:
                cell.checking = True
                self._checked += 1
                node = cell.node
                heappush(self.checks, (node.run.pk, node.task.ordinal, cell.prefix, self._checked, cell))
            return
        for unit in cell.at_level(level):
            self.check(unit)

    def check_run(self, run: Run) -> None:
        """Look again at everything in a run that is not decided, and whether the run is over."""
        for node in run.nodes:
            for scope in node.task.scopes[: node.task.group_depth]:
                if scope.tasks[0] == node.task.ordinal:
                    self.expansions[run.pk, scope, ()] = run
            self.check(node.root)
            for instance in node.instances():
                if instance.state is TaskState.SCHEDULED and instance.wake_at is None:
                    self.ready.append(instance)
        for key, group in run.groups.items():
            if not group.unfinished and not group.closed:
                self.group_checks[run.pk, *key] = run
        run.checking = True
        self.checked_runs[run.pk] = run

    # ---- making --------------------------------------------------------------------------------------

    def new_instance(self, node: Node, index: MapIndex, cell: Cell) -> Instance:
        """Make an instance in state none and put it into its cell; tallies are the caller's work."""
        run, task = node.run, node.task
        ordinal = run.next_ordinal
        assert ordinal <= INSTANCES_PER_RUN_MAX, "a run's instances are limited where mappings are expanded"
        run.next_ordinal = ordinal + 1
        spec = task.spec
        instance = Instance(
            id=instance_id(run.pk, ordinal),
            run=run,
            cell=cell,
            map_index=index,
            tries_max=spec.retry.retries + 1,
            queue=spec.queue,
            pool=spec.pool,
            pool_slots=spec.pool_slots,
            priority=task.weight,
            fresh=True,
            touched=True,
        )
        run.by_id[instance.id] = instance
        cell.instances.append(instance)
        if task.retry_groups:
            count_groups(run, instance, UNFINISHED, 1)
        self.touched.append(instance)
        if not run.unsettled:
            run.unsettled = True
            self.unsettled[run.pk] = run
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """Delete a placeholder that was expanded; tallies are the caller's work."""
        self.touch(instance)
        run: Run = instance.run
        count_groups(run, instance, UNFINISHED, -1)
        del run.by_id[instance.id]
        instance.cell.instances.remove(instance)
        if not instance.fresh:
            self.removed.append((instance.id, Guard(instance.committed_state, instance.committed_token)))
        instance.fresh = False
        instance.touched = False  # nothing is left to write
        instance.cell = None

    def add_event(self, kind: str, run: RunRow, **data: Any) -> None:
        """Add an event about a run."""
        self.events.append(
            EventRow(kind=kind, dag_id=run.dag_id, run_pk=run.pk, run_id=run.run_id, data=data)
        )


def count_bad(run: Run, instance: Instance, kind: int, count: int) -> None:
    """Count an instance of ``kind`` towards what makes a run fail."""
    if kind in _BAD:
        task = instance.cell.node.task
        if not task.spec.is_teardown or task.spec.on_failure_fail_dagrun:
            run.bad += count
            if task.is_leaf:
                run.bad_leaves += count


def count_groups(run: Run, instance: Instance, kind: int, count: int) -> dict[tuple[int, str, MapIndex], Run]:
    """Count an instance in the groups with retries around it; return those in which all have ended now."""
    ended = {}
    for name, level, _ in instance.cell.node.task.retry_groups:
        if len(instance.map_index) < level:
            continue  # a placeholder: the group's instances are not known yet
        key = (name, instance.map_index[:level])
        group = run.groups.get(key)
        if group is None:
            group = run.groups[key] = GroupCount()
        if kind == UNFINISHED:
            group.unfinished += count
            group.closed = False
        elif kind in _BAD:
            group.bad += count
        if not group.unfinished:
            ended[run.pk, *key] = run
    return ended


def from_row(row: InstanceRow, run: Run, cell: Cell) -> Instance:
    """Return the live form of a row."""
    return Instance(
        id=row.id,
        run=run,
        cell=cell,
        map_index=row.map_index,
        state=row.state,
        token=row.token,
        try_number=row.try_number,
        tries_max=row.tries_max,
        losses=row.losses,
        wake_at=row.wake_at,
        lengths=row.lengths,
        branch=row.branch,
        skip_all_downstream=row.skip_all_downstream,
        reason=row.reason,
        queued_at=row.queued_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        first_started_at=row.first_started_at,
        worker=row.worker,
        executor=row.executor,
        queue=row.queue,
        pool=row.pool,
        pool_slots=row.pool_slots,
        priority=row.priority,
        held=row.held,
        label=row.label,
        resume=row.resume,
    )
