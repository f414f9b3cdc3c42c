"""The order of tasks: upstream first, ties as written; and the cycles that make one impossible."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence


def in_order(tasks: Sequence[str], upstream: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Return the tasks in topological order, and those that cannot be ordered because of a cycle."""
    position = {task: number for number, task in enumerate(tasks)}
    waiting = {task: len(set(upstream.get(task, ()))) for task in tasks}
    downstream: dict[str, list[str]] = {}
    for task in tasks:
        for above in set(upstream.get(task, ())):
            downstream.setdefault(above, []).append(task)
    ready = [position[task] for task in tasks if waiting[task] == 0]
    heapq.heapify(ready)
    ordered: list[str] = []
    while ready:
        task = tasks[heapq.heappop(ready)]
        ordered.append(task)
        for below in downstream.get(task, ()):
            waiting[below] -= 1
            if waiting[below] == 0:
                heapq.heappush(ready, position[below])
    return ordered, [task for task in tasks if waiting[task] > 0]


def cycles(tasks: Sequence[str], upstream: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return one shortest cycle of each knot among ``tasks``, each in the direction of ``>>``, without its end.

    Each begins with the knot's task that is first in ``tasks``.
    """
    position = {task: number for number, task in enumerate(tasks)}
    downstream: dict[str, list[str]] = {task: [] for task in tasks}
    for task in tasks:
        for above in upstream.get(task, ()):
            if above in downstream:
                downstream[above].append(task)
    for below in downstream.values():
        below.sort(key=position.__getitem__)
    found = []
    for knot in _knots(tasks, downstream):
        first = min(knot, key=position.__getitem__)
        found.append(_shortest_cycle(first, knot, downstream))
    return sorted(found, key=lambda cycle: position[cycle[0]])


def _knots(tasks: Sequence[str], downstream: Mapping[str, Sequence[str]]) -> list[set[str]]:
    """Return the strongly connected components that hold a cycle (Tarjan's, without recursion)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[set[str]] = []
    for root in tasks:
        if root in number:
            continue
        work = [(root, iter(downstream[root]))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            task, rest = work[-1]
            for below in rest:
                if below not in number:
                    number[below] = low[below] = len(number)
                    stack.append(below)
                    on_stack.add(below)
                    work.append((below, iter(downstream[below])))
                    break
                if below in on_stack:
                    low[task] = min(low[task], number[below])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[task])
                if low[task] == number[task]:
                    knot = _take(stack, on_stack, task)
                    if len(knot) > 1 or task in downstream[task]:
                        found.append(knot)
    return found


def _take(stack: list[str], on_stack: set[str], root: str) -> set[str]:
    knot = set()
    while True:
        task = stack.pop()
        on_stack.discard(task)
        knot.add(task)
        if task == root:
            return knot


def _shortest_cycle(first: str, knot: set[str], downstream: Mapping[str, Sequence[str]]) -> list[str]:
    came_from: dict[str, str] = {}
    waiting = [first]
    for task in waiting:  # grows while it is read: breadth first
        for below in downstream[task]:
            if below == first:
                return _path(first, task, came_from)
            if below in knot and below not in came_from:
                came_from[below] = task
                waiting.append(below)
    raise AssertionError("a knot has a cycle through each of its tasks")


def _path(first: str, last: str, came_from: Mapping[str, str]) -> list[str]:
    path = [last]
    while path[-1] != first:
        path.append(came_from[path[-1]])
    return path[::-1]
