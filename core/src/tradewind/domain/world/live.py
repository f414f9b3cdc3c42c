"""Live runs: the mutable objects the scheduler decides on, between their rows as read and as written.

A run has a :class:`Node` per task. A node has :class:`Cell` objects, one per prefix of a map index at which
mapped groups fan out; the root cell has the prefix ``()``. A cell counts the upstream instances that this
prefix looks at, and holds the instances that live there: the task's own, all mapped ones of an ``expand``,
or the placeholder of what is not expanded yet. An unmapped task is one node, one cell, one instance.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heappush
from typing import TYPE_CHECKING, Any

import msgspec

from tradewind.domain.graph import Graph, GraphTask
from tradewind.domain.reasons import ReasonKind
from tradewind.domain.records import DagRow, InstanceRow, MapIndex, RunRow, RunType
from tradewind.domain.states import RunState, TaskState
from tradewind.domain.timetable import Timetable
from tradewind.domain.world.slots import Gate, Lane
from tradewind.domain.world.tally import KINDS, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Instance(msgspec.Struct, eq=False, kw_only=True):
    """A task instance in memory: the fields of its row, and what was committed last."""

    id: int
    run: Any  # Run
    cell: Any  # Cell
    map_index: MapIndex
    state: TaskState = TaskState.NONE
    token: int = 0
    try_number: int = 0
    tries_max: int = 1
    losses: int = 0
    wake_at: datetime | None = None
    lengths: dict[str, int] = {}
    branch: tuple[str, ...] | None = None
    skip_all_downstream: bool = False
    reason: str = ""
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    first_started_at: datetime | None = None
    worker: str | None = None
    executor: str | None = None
    queue: str | None = None
    pool: str = "default"
    pool_slots: int = 1
    priority: int = 0
    held: bool = False
    label: str | None = None
    resume: dict[str, Any] | None = None

    fresh: bool = False  # not in the metastore yet
    touched: bool = False  # has to be written
    committed_state: TaskState = TaskState.NONE
    committed_token: int = 0
    lease_seconds: float | None = None
    lease_expired: bool = False
    claimant: str | None = None
    entry: Any = None  # its place in line, valid while it is scheduled
    holds: Any = None  # the Lane whose slots it holds
    parked: Any = None  # the Gate that let it back into its lane

    @property
    def task_id(self) -> str:
        """The id of its task."""
        return self.cell.node.task.task_id  # type: ignore[no-any-return]

    @property
    def is_placeholder(self) -> bool:
        """Whether it stands for instances that are not known yet."""
        return len(self.map_index) < self.cell.node.task.depth  # type: ignore[no-any-return]

    def row(self) -> InstanceRow:
        """Return the row as it is now."""
        return InstanceRow(
            id=self.id,
            run_pk=self.run.pk,
            task_id=self.cell.node.task.task_id,
            map_index=self.map_index,
            state=self.state,
            token=self.token,
            try_number=self.try_number,
            tries_max=self.tries_max,
            losses=self.losses,
            wake_at=self.wake_at,
            lengths=self.lengths,
            branch=self.branch,
            skip_all_downstream=self.skip_all_downstream,
            reason=self.reason,
            queued_at=self.queued_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            first_started_at=self.first_started_at,
            worker=self.worker,
            executor=self.executor,
            queue=self.queue,
            pool=self.pool,
            pool_slots=self.pool_slots,
            priority=self.priority,
            held=self.held,
            label=self.label,
            resume=self.resume,
        )


class Cell(Tally):
    """What the trigger rule of a task sees at one prefix, and the instances that live there."""

    __slots__ = ("checking", "children", "instances", "node", "own", "parent", "prefix", "setups")

    def __init__(self, node: Node, prefix: MapIndex, parent: Cell | None) -> None:
        main, setup = node.task.edges_at[len(prefix)]
        self.counts = [main, 0, 0, 0, 0, 0]
        self.mask = 1 if main else 0
        self.setups: Tally | None = Tally(setup) if setup else None
        self.node = node
        self.prefix = prefix
        self.parent = parent
        self.children: list[Cell] = []
        self.instances: list[Instance] = []
        # How many of the task's instances at or below here are of each kind; kept only if others map over them or
        # are skipped by them.
        self.own: list[int] | None = [0] * KINDS if node.task.is_watched else None
        self.checking = False
        if parent is not None:
            parent.children.append(self)

    def masks(self) -> tuple[int, int]:
        """Return the kinds of all upstreams and of all setups that instances here look at."""
        mask = setup_mask = 0
        cell: Cell | None = self
        while cell is not None:
            mask |= cell.mask
            if cell.setups is not None:
                setup_mask |= cell.setups.mask
            cell = cell.parent
        return mask, setup_mask

    def path(self) -> Iterator[Cell]:
        """Yield this cell and those around it, innermost first."""
        cell: Cell | None = self
        while cell is not None:
            yield cell
            cell = cell.parent

    def at_level(self, level: int) -> Iterator[Cell]:
        """Yield the cells with prefixes of length ``level`` at or below this one, in index order."""
        stack = [self]
        while stack:
            cell = stack.pop()
            if len(cell.prefix) == level:
                yield cell
            else:
                stack.extend(reversed(cell.children))

    def below(self) -> Iterator[Cell]:
        """Yield this cell and all below it, outer before inner, in index order."""
        stack = [self]
        while stack:
            cell = stack.pop()
            yield cell
            stack.extend(reversed(cell.children))

    def placeholder(self) -> Instance | None:
        """Return the placeholder that lives here and is still to be expanded."""
        for instance in self.instances:
            if instance.state is TaskState.NONE and instance.is_placeholder:
                return instance
        return None

    def count_own(self, kind: int, count: int) -> None:
        """Count own instances up the path."""
        for cell in self.path():
            if cell.own is not None:
                cell.own[kind] += count


class Node:
    """A task in a run."""

    __slots__ = ("cells", "gates", "lane", "root", "run", "task")

    def __init__(self, run: Run, task: GraphTask) -> None:
        self.run = run
        self.task = task
        self.root = Cell(self, (), None)
        self.cells: dict[MapIndex, Cell] = {(): self.root}
        self.lane: Lane | None = None  # where it waits; None: it never did
        self.gates: tuple[Gate, ...] = ()  # limits it has to pass, known together with the lane

    def cell(self, prefix: MapIndex) -> Cell:
        """Return the cell of a prefix, made with those around it if need be."""
        known = self.cells.get(prefix)
        if known is None:
            known = self.cells[prefix] = Cell(self, prefix, self.cell(prefix[:-1]))
        return known

    def instances(self) -> Iterator[Instance]:
        """Yield the task's instances in index order, placeholders too."""
        for cell in self.root.below():
            yield from cell.instances


class Dag:
    """A DAG with its newest version and its active runs."""

    __slots__ = (
        "dag_id",
        "gate",
        "graph",
        "has_urgent",
        "next_runs",
        "problem",
        "queued",
        "row",
        "running",
        "runs",
        "tasks",
        "timetable",
        "turn",
        "version_id",
        "wake_at",
    )

    def __init__(self, row: DagRow, graph: Graph) -> None:
        self.dag_id = row.dag_id
        self.row = row
        self.graph = graph
        self.timetable: Timetable | None = None
        self.problem = ""  # why its schedule cannot be used
        self.runs: dict[int, Run] = {}
        self.has_urgent = False  # a run was ever urgent
        self.running = 0  # runs that count for max_active_runs
        self.queued: list[tuple[int, datetime, int]] = []  # heap: -priority, run_after, pk
        self.turn = 0  # number of its last admission
        self.wake_at: datetime | None = None  # next tick that is waited for
        self.gate = Gate(ReasonKind.LIMIT_DAG_TASKS, row.dag_id, graph.spec.max_active_tasks)
        self.tasks: dict[str, Gate] = {}
        self.version_id = row.version_id  # that of graph
        self.next_runs: dict[int, set[int]] = {}  # run -> runs whose previous run it is, where that matters

    @property
    def priority(self) -> int:
        """Its priority against other DAGs; greater goes first."""
        return self.graph.spec.priority

    def push_queued(self, run: Run) -> None:
        """Put a queued run in line for max_active_runs."""
        heappush(self.queued, queue_entry(run))

    def task_gate(self, task_id: str, limit: int) -> Gate:
        """Return the gate of a task's limit over all runs."""
        gate = self.tasks.get(task_id)
        if gate is None:
            gate = Gate(ReasonKind.LIMIT_TASK, f"{self.dag_id}.{task_id}", limit)
            self.tasks[task_id] = gate
        return gate


class GroupCount:
    """How the instances inside a group with retries stand."""

    __slots__ = ("bad", "closed", "unfinished")

    def __init__(self) -> None:
        self.unfinished = 0
        self.bad = 0  # failed or upstream_failed
        self.closed = False  # what is inside is final and seen outside


class Past:
    """What a run knows of the run before it."""

    __slots__ = ("pk", "run", "states")

    def __init__(self, pk: int | None, run: Run | None, states: Mapping[str, Sequence[TaskState]]) -> None:
        self.pk = pk  # None: there is none, or it is not known which
        self.run = run  # when it is active too
        self.states = states  # else


class Run:
    """A run that is queued, running or paused."""

    __slots__ = (
        "answering",
        "bad",
        "bad_leaves",
        "by_id",
        "checking",
        "committed_state",
        "dag",
        "ended",
        "fresh",
        "gate",
        "graph",
        "groups",
        "moving",
        "next_ordinal",
        "nodes",
        "past",
        "pk",
        "row",
        "short_circuits",
        "touched",
        "unfinished",
        "unsettled",
        "urgent",
        "watchers",
        "woken_at",
    )

    def __init__(self, row: RunRow, dag: Dag, graph: Graph) -> None:
        self.pk = row.pk
        self.row = row
        self.dag = dag
        self.graph = graph
        self.nodes: list[Node] = []
        self.by_id: dict[int, Instance] = {}
        self.committed_state = row.state
        self.next_ordinal = row.instances
        self.unfinished = 0
        self.moving = 0  # instances that go on by themselves: neither none nor ended
        self.bad = 0  # failed or upstream_failed, teardowns apart
        self.bad_leaves = 0
        self.short_circuits: set[int] = set()  # ordinals of tasks of which an instance was one
        self.groups: dict[tuple[str, MapIndex], GroupCount] = {}  # groups with retries
        self.past: Past | None = None  # what is known of the previous run
        self.watchers: set[int] = set()  # runs whose previous run this is
        self.gate: Gate | None = None  # max_active_tasks_per_run
        self.fresh = False  # not in the metastore yet
        self.touched = False  # its row has to be written
        self.checking = False  # its end has to be looked at
        self.answering = False  # a worker was told something that holds if the next decision is committed
        self.unsettled = False  # it was touched since the last decision
        self.urgent = False  # it starts whatever max_active_runs says, because an active run waits for it
        self.woken_at: datetime | None = None  # its run_after, once a wake-up was set for it
        self.ended = False  # no longer part of the world

    @property
    def state(self) -> RunState:
        """Where the run stands."""
        return self.row.state

    @property
    def may_start(self) -> bool:
        """Whether its tasks may be decided on and started."""
        return self.row.state is RunState.RUNNING and not self.ended and not self.dag.row.held

    @property
    def is_backfill(self) -> bool:
        """Whether a backfill made it: it is no part of the DAG's past."""
        return self.row.run_type is RunType.BACKFILL

    def times_out_at(self) -> datetime | None:
        """Return when the run has taken too long, None if it has no limit or has not started."""
        seconds = self.graph.spec.run_timeout_seconds
        if seconds is None or self.row.started_at is None:
            return None
        return self.row.started_at + timedelta(seconds=seconds)

    def instances(self) -> Iterator[Instance]:
        """Yield all instances in the order of the graph."""
        for node in self.nodes:
            yield from node.instances()

    def node(self, task_id: str) -> Node | None:
        """Return the node of a task, None if this version has none of that id or the run has not started."""
        task = self.graph.by_id.get(task_id)
        return None if task is None or not self.nodes else self.nodes[task.ordinal]


def queue_entry(run: Run) -> tuple[int, datetime, int]:
    """Return a queued run's place in line: highest priority first, then as due."""
    return -run.row.priority, run.row.run_after, run.pk
