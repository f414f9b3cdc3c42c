"""Which task instances of a run an act is meant for, and what hangs on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.domain.graph import Graph
from tradewind.domain.records import InstanceRow, MapIndex
from tradewind.domain.states import TaskState
from tradewind.errors import NotFoundError

FAILED_STATES = frozenset(
    {TaskState.FAILED, TaskState.UPSTREAM_FAILED, TaskState.CANCELLED, TaskState.UNKNOWN}
)
_NAMES_MAX = 20  # in an error message

Reach = dict[int, set[MapIndex]]
"""Task ordinal -> map index prefixes; ``()`` is the whole task."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a person pointed at.

    ``tasks`` None is the whole run. ``map_index`` narrows to the instances whose map index starts with it.
    ``upstream`` and ``downstream`` add all tasks before and after; inside a mapped group only at the same
    index. ``only_failed`` then keeps what failed, could not run because of a failure, was cancelled or is
    unknown.
    """

    tasks: tuple[str, ...] | None = None
    map_index: MapIndex = ()
    upstream: bool = False
    downstream: bool = False
    only_failed: bool = False

    def told(self) -> dict[str, Any]:
        """Return it for the audit: JSON, without what was not asked for."""
        data = {
            "tasks": None if self.tasks is None else list(self.tasks),
            "map_index": list(self.map_index),
            "upstream": self.upstream,
            "downstream": self.downstream,
            "only_failed": self.only_failed,
        }
        return {name: value for name, value in data.items() if value}


WHOLE_RUN = Selection()


def select(graph: Graph, rows: Sequence[InstanceRow], selection: Selection) -> list[InstanceRow]:
    """Return the rows that ``selection`` covers, in the order of the DAG and of the map index.

    ``NotFoundError`` names a task that the DAG does not have, or a map index that no instance has.
    """
    picked = covered(graph, rows, _reach(graph, selection))
    if selection.map_index and not picked:
        index = ".".join(map(str, selection.map_index))
        raise NotFoundError(f"no instance of {', '.join(selection.tasks or ())} has map index {index}")
    if selection.only_failed:
        picked = [row for row in picked if row.state in FAILED_STATES]
    return picked


def with_setups(graph: Graph, rows: Sequence[InstanceRow], picked: list[InstanceRow]) -> list[InstanceRow]:
    """Return ``picked`` with the setups they run between, and the teardowns of those.

    Work that runs again needs its resources again, and they have to go away again. A teardown that was
    picked by itself runs again by itself.
    """
    teardowns: dict[int, list[int]] = defaultdict(list)
    for task in graph.tasks:
        if task.spec.is_teardown:
            for name in task.spec.setups:
                teardowns[graph.task(name).ordinal].append(task.ordinal)
    if not any(task.spec.is_setup for task in graph.tasks):
        return picked

    def frame(ordinal: int) -> Iterable[int]:
        task = graph.tasks[ordinal]
        if task.spec.is_teardown:
            return ()
        setups = [edge.other for edge in task.setups] + [ordinal] * task.spec.is_setup
        return [*setups, *(other for setup in setups for other in teardowns[setup])]

    start: Reach = {}
    for row in picked:
        start.setdefault(graph.task(row.task_id).ordinal, set()).add(row.map_index)
    found = _walk(graph, start, frame)
    return picked if found == start else covered(graph, rows, found)


def failed_because_of(
    graph: Graph, rows: Iterable[InstanceRow], picked: Sequence[InstanceRow]
) -> list[InstanceRow]:
    """Return the rows downstream of ``picked`` that never ran because something before them failed."""
    after: set[int] = set()
    for task_id in {row.task_id for row in picked}:
        after |= graph.descendants(graph.task(task_id).ordinal)
    known = {row.id for row in picked}
    return [
        row
        for row in rows
        if row.state is TaskState.UPSTREAM_FAILED
        and row.id not in known
        and row.task_id in graph.by_id
        and graph.task(row.task_id).ordinal in after
    ]


def covered(graph: Graph, rows: Iterable[InstanceRow], found: Reach) -> list[InstanceRow]:
    """Return the rows whose task and map index ``found`` names, in the order of the DAG and the map index."""
    picked = []
    for row in rows:
        task = graph.by_id.get(row.task_id)
        if task is not None and _begins(row.map_index, found.get(task.ordinal, ())):
            picked.append((task.ordinal, row.map_index, row))
    picked.sort(key=lambda one: one[:2])
    return [row for _, _, row in picked]


def _reach(graph: Graph, selection: Selection) -> Reach:
    names = tuple(graph.by_id) if selection.tasks is None else selection.tasks
    for name in names:
        if name not in graph.by_id:
            raise NotFoundError(
                f'DAG "{graph.spec.dag_id}" has no task "{name}". Tasks: {_listed(graph.by_id)}'
            )
    start: Reach = {graph.task(name).ordinal: {selection.map_index} for name in names}
    found = {ordinal: set(prefixes) for ordinal, prefixes in start.items()}
    for wanted, neighbours in (
        (selection.downstream, graph.downstream),
        (selection.upstream, graph.upstream),
    ):
        if wanted:
            for ordinal, prefixes in _walk(graph, start, neighbours).items():
                found.setdefault(ordinal, set()).update(prefixes)
    return found


def _walk(graph: Graph, start: Reach, neighbours: Callable[[int], Iterable[int]]) -> Reach:
    """Return ``start`` and all that is reached from it, at the indexes that the shared mapped groups leave."""
    found: Reach = {ordinal: set(prefixes) for ordinal, prefixes in start.items()}
    pending = [(ordinal, prefix) for ordinal, prefixes in start.items() for prefix in prefixes]
    while pending:
        here, prefix = pending.pop()
        for there in neighbours(here):
            step = prefix[: graph.shared(graph.tasks[here], graph.tasks[there])]
            known = found.setdefault(there, set())
            if not _begins(step, known):
                known.add(step)
                pending.append((there, step))
    return found


def _begins(index: MapIndex, prefixes: Iterable[MapIndex]) -> bool:
    """Whether ``index`` begins with one of ``prefixes``."""
    return bool(prefixes) and any(index[:length] in prefixes for length in range(len(index) + 1))


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _NAMES_MAX
    return ", ".join(ordered[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
