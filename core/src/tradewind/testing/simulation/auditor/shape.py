"""What the auditor reads out of a DAG by itself: who looks at whom. It shares no code with the graph it audits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tradewind.domain.records import InstanceRow, MapIndex
from tradewind.domain.spec import DagSpec, TaskSpec


class Shape:
    """The edges of one DAG version, by task id."""

    def __init__(self, spec: DagSpec) -> None:
        self.spec = spec
        self.tasks = {task.task_id: task for task in spec.tasks}
        self._groups = {group.group_id: group for group in spec.groups}
        self.below: dict[str, set[str]] = {name: set() for name in self.tasks}
        for task in spec.tasks:
            for other in task.upstream:
                self.below[other].add(task.task_id)
        self.mapped_groups = {name: tuple(self._mapped_groups(task)) for name, task in self.tasks.items()}
        self.ancestors = {name: self._walk(name, lambda n: self.tasks[n].upstream) for name in self.tasks}
        self.descendants = {name: self._walk(name, lambda n: self.below[n]) for name in self.tasks}
        self.counted = {name: self._counted(task) for name, task in self.tasks.items()}
        self.setups = {name: self._setups(task) for name, task in self.tasks.items()}
        self.leaves = {name for name in self.tasks if self._is_leaf(name)}
        self.needs_past = any(task.depends_on_past or task.wait_for_downstream for task in spec.tasks)

    def depth(self, task_id: str) -> int:
        """Return how long a full map index of a task is."""
        return len(self.mapped_groups[task_id]) + (self.tasks[task_id].expand is not None)

    def shared(self, one: str, other: str) -> int:
        """Return how many mapped groups two tasks share."""
        count = 0
        for mine, its in zip(self.mapped_groups[one], self.mapped_groups[other], strict=False):
            if mine != its:
                break
            count += 1
        return count

    def seen(
        self, task_id: str, index: MapIndex, other: str, rows: Iterable[InstanceRow]
    ) -> list[InstanceRow]:
        """Return the instances of ``other`` that an instance looks at."""
        prefix = index[: self.shared(task_id, other)]
        size = len(prefix)
        return [row for row in rows if row.map_index[:size] == prefix or len(row.map_index) < size]

    def _mapped_groups(self, task: TaskSpec) -> Sequence[str]:
        chain = [name for name in self._around(task.group) if self._groups[name].expand is not None]
        return chain[::-1]

    def _around(self, group: str | None) -> Iterator[str]:
        while group is not None:
            yield group
            group = self._groups[group].parent

    def _walk(self, start: str, step: object) -> set[str]:
        assert callable(step)
        found: set[str] = set()
        front = list(step(start))
        while front:
            name = front.pop()
            if name not in found:
                found.add(name)
                front.extend(step(name))
        return found

    def _counted(self, task: TaskSpec) -> set[str]:
        """Return what a task's rule counts: for a teardown all between its setups and itself too."""
        counted = {*task.upstream, *task.setups}
        if task.is_teardown:
            for setup in task.setups:
                if setup in self.ancestors[task.task_id]:
                    counted |= {setup, *(self.descendants[setup] & self.ancestors[task.task_id])}
        return counted

    def _setups(self, task: TaskSpec) -> set[str]:
        """Return the setups a task needs: those before it that were not torn down on the way."""
        if task.is_teardown:
            return set(task.setups)
        above = self.ancestors[task.task_id]
        torn = {name for other in above if self.tasks[other].is_teardown for name in self.tasks[other].setups}
        return {name for name in above if self.tasks[name].is_setup} - torn

    def _is_leaf(self, name: str) -> bool:
        def ignorable(one: str) -> bool:
            task = self.tasks[one]
            return task.is_teardown and not task.on_failure_fail_dagrun

        return not ignorable(name) and all(ignorable(other) for other in self.below[name])
