"""Which instances of another task an instance sees: one, or all below its own index."""

from __future__ import annotations

from typing import Any

from tradewind.authoring.graph import GroupNode, TaskNode
from tradewind.authoring.mapped import MappedOperator
from tradewind.domain.records import MapIndex
from tradewind.runtime.task.xcoms import MISSING, XComs


def mapped_groups(task: TaskNode) -> list[GroupNode]:
    """Return the mapped groups around a task, from outside in."""
    return [group for group in reversed(task.enclosing_groups()) if group.mapped]


class Scopes:
    """The place of one instance among the mapped groups of its DAG.

    Inside groups that two tasks share, index i sees only index i. Below that, a task that is mapped further is seen
    as a whole.
    """

    def __init__(self, task: TaskNode, index: MapIndex) -> None:
        self.task = task
        self.index = index
        self.groups = mapped_groups(task)

    def knows(self, task_id: str) -> bool:
        """Whether the DAG has such a task."""
        return self.task.dag is not None and task_id in self.task.dag.task_nodes

    def seen(self, other: TaskNode) -> tuple[MapIndex, bool]:
        """Return the index of what is seen of ``other``, and whether it is one instance (else all below it)."""
        theirs = mapped_groups(other)
        shared = 0
        for mine, their in zip(self.groups, theirs, strict=False):
            if mine is not their:
                break
            shared += 1
        shared = min(shared, len(self.index))
        depth = len(theirs) + isinstance(other, MappedOperator)
        if other is self.task or other.task_id == self.task.task_id:
            return self.index, True
        return self.index[:shared], depth == shared

    def pull(self, source: XComs, task_id: str, key: str) -> Any:
        """Return what is seen of a task's XCom: a value, a lazy sequence, or MISSING."""
        assert self.task.dag is not None, "only a task of a DAG sees others"
        index, single = self.seen(self.task.dag.task_nodes[task_id])
        if single:
            return source.value(task_id, key, index)
        found = source.many(task_id, key, index)
        return found if key == "return_value" or len(found) else MISSING
