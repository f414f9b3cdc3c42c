"""What an explanation is made from: rows as they stand, and what is known beside the metastore."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tradewind.domain.graph import Edge, Graph, GraphTask
from tradewind.domain.reasons import Reason
from tradewind.domain.records import (
    DagRow,
    InstanceRow,
    MapIndex,
    PoolRow,
    RunRow,
    RunSnapshot,
    Term,
    run_pk_of,
)
from tradewind.domain.states import SLOT_STATES, RunState, TaskState
from tradewind.errors import NotFoundError


class ExecutorFacts(NamedTuple):
    """What is known of an executor."""

    slots: int  # how many attempts its workers hold at once
    workers: int  # live ones
    detail: str = ""  # why there is none, for people


class Holder(NamedTuple):
    """A task instance and its run."""

    row: InstanceRow
    run: RunRow


def _no_previous(_run: RunRow) -> RunSnapshot | None:
    return None


@dataclass(slots=True)
class Facts:
    """Rows read from the metastore in one go; nothing here changes while it is explained.

    ``runs`` are all active runs and those asked about. ``graph`` gives the graph of a version id.
    ``previous`` gives the run before another one by logical date, for tasks that depend on their past.
    ``leader`` is what the metastore says of the leadership; compare its lease with database time only.
    """

    runs: Mapping[int, RunSnapshot]
    dags: Mapping[str, DagRow]
    graph: Callable[[int], Graph]
    pools: Mapping[str, PoolRow]
    executors: Mapping[str, ExecutorFacts]
    default_executor: str = "local"
    leader: tuple[Term, datetime] | None = None
    previous: Callable[[RunRow], RunSnapshot | None] = _no_previous
    _by_task: dict[int, dict[str, list[InstanceRow]]] = field(default_factory=dict)
    _graphs: dict[int, Graph] = field(default_factory=dict)
    _holders: list[Holder] | None = None
    _ready: list[Holder] | None = None
    # (run, task, index in its groups, placeholder?, instant) -> reasons: mapped instances wait for the same.
    upstream_known: dict[tuple[Any, ...], list[Reason]] = field(default_factory=dict)

    def snapshot(self, run_pk: int) -> RunSnapshot:
        """Return a run; ``NotFoundError`` if it is not among the facts."""
        known = self.runs.get(run_pk)
        if known is None:
            raise NotFoundError(f"there is no run with the key {run_pk}")
        return known

    def instance(self, instance_id: int) -> InstanceRow:
        """Return an instance of a run among the facts; ``NotFoundError`` if there is none."""
        for row in self.snapshot(run_pk_of(instance_id)).instances:
            if row.id == instance_id:
                return row
        raise NotFoundError(f"there is no task instance with the id {instance_id}")

    def graph_of(self, run: RunRow) -> Graph:
        """Return the graph of the version a run has; made once."""
        known = self._graphs.get(run.version_id)
        if known is None:
            known = self._graphs[run.version_id] = self.graph(run.version_id)
        return known

    def rows_of(self, run_pk: int, task_id: str) -> Sequence[InstanceRow]:
        """Return the instances of a task in a run, placeholders too, in index order."""
        known = self._by_task.get(run_pk)
        if known is None:
            grouped: defaultdict[str, list[InstanceRow]] = defaultdict(list)
            for row in self.snapshot(run_pk).instances:
                grouped[row.task_id].append(row)
            for rows in grouped.values():
                rows.sort(key=lambda row: row.map_index)
            known = self._by_task[run_pk] = dict(grouped)
        return known.get(task_id, ())

    def holders(self) -> Sequence[Holder]:
        """Return everything that holds slots, the longest first."""
        if self._holders is None:
            found = [one for one in self._everything() if one.row.state in SLOT_STATES]
            found.sort(key=lambda one: (one.row.queued_at is None, one.row.queued_at, one.row.id))
            self._holders = found
        return self._holders

    def ready(self) -> Sequence[Holder]:
        """Return everything that waits for slots and may start."""
        if self._ready is None:
            self._ready = [
                one
                for one in self._everything()
                if one.row.state is TaskState.SCHEDULED
                and one.run.state is RunState.RUNNING
                and not one.row.held
                and one.row.wake_at is None
            ]
        return self._ready

    def _everything(self) -> Iterator[Holder]:
        for snapshot in self.runs.values():
            for row in snapshot.instances:
                yield Holder(row, snapshot.run)

    def executor_of(self, row: InstanceRow, task: GraphTask | None) -> str:
        """Return the name of the executor an instance is for."""
        return row.executor or (task.spec.executor if task else None) or self.default_executor

    def rows_at(self, run_pk: int, task_id: str, index: MapIndex) -> Iterator[InstanceRow]:
        """Yield a task's instances whose map index begins with ``index``, and placeholders around it."""
        rows = self.rows_of(run_pk, task_id)
        for size in range(len(index)):
            yield from _exactly(rows, index[:size])
        for place in range(bisect_left(rows, index, key=_index_of), len(rows)):
            if rows[place].map_index[: len(index)] != index:
                break
            yield rows[place]

    def looked_at(self, run: RunRow, index: MapIndex, edges: Iterable[Edge]) -> Iterator[InstanceRow]:
        """Yield the upstream instances that an instance at ``index`` looks at along ``edges``."""
        graph = self.graph_of(run)
        for edge in edges:
            yield from self.rows_at(run.pk, graph.tasks[edge.other].task_id, index[: edge.shared])

    def placeholder_around(self, row: InstanceRow, task: GraphTask) -> MapIndex | None:
        """Return the map index of a placeholder that must be expanded before ``row`` can start: perhaps its own."""
        if len(row.map_index) < task.depth:
            return row.map_index
        rows = self.rows_of(row.run_pk, row.task_id)
        for size in range(task.depth):
            for one in _exactly(rows, row.map_index[:size]):
                if one.state is TaskState.NONE:
                    return one.map_index
        return None


def _exactly(rows: Sequence[InstanceRow], index: MapIndex) -> Iterator[InstanceRow]:
    place = bisect_left(rows, index, key=_index_of)
    if place < len(rows) and rows[place].map_index == index:
        yield rows[place]


def _index_of(row: InstanceRow) -> MapIndex:
    return row.map_index
