"""Edges between groups, turned into edges between tasks.

``a >> group`` means: the group's first tasks wait for ``a``; ``group >> b``: ``b`` waits for its last ones. Groups are
looked at from inside out, so that the first and last tasks of a group are known when an edge at it is resolved.
Teardowns do not count as last tasks: what follows a group does not wait for the cleaning up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tradewind.authoring.graph import GroupNode, Node, Structure, TaskNode
from tradewind.authoring.place import NOWHERE
from tradewind.errors import AuthorError, CycleError

EDGES_MAX = 1_000_000  # of one DAG; a fan of 1,000 x 1,000 belongs through one empty task in between

TaskEdge = tuple[str, str]


@dataclass(slots=True)
class Resolution:
    """The edges between tasks, as written. ``edges``: (upstream, downstream) -> label.

    ``through``: for an edge that comes from an edge at a group, that edge as text.
    """

    edges: dict[TaskEdge, str | None] = field(default_factory=dict)
    through: dict[TaskEdge, str] = field(default_factory=dict)
    problems: list[AuthorError] = field(default_factory=list)


def task_edges(dag: Structure) -> list[TaskEdge]:
    """Return the DAG's edges between tasks, each once; impossible ones are left out."""
    return list(resolve(dag).edges)


def resolve(dag: Structure) -> Resolution:
    """Return the DAG's edges between tasks, and what is wrong with those that are impossible."""
    resolution = Resolution()
    if all(isinstance(node, TaskNode) for edge in dag.edges for node in edge):
        resolution.edges = {(up.node_id, down.node_id): label for (up, down), label in dag.edges.items()}
        return resolution
    found = _Resolver(dag, resolution).run()
    # Levels were visited from inside out; the order of writing is what people expect.
    for _number, upstream, downstream, label, through in sorted(found, key=lambda edge: edge[0]):
        key = (upstream, downstream)
        resolution.edges[key] = label if label is not None else resolution.edges.get(key)
        if through is not None:
            resolution.through.setdefault(key, through)
    return resolution


class _Resolver:
    def __init__(self, dag: Structure, resolution: Resolution) -> None:
        self.dag = dag
        self.resolution = resolution
        self.first: dict[Node, list[Node]] = {}
        self.last: dict[Node, list[Node]] = {}
        self.children: dict[Node | None, list[Node]] = {}
        for node in (*dag.task_nodes.values(), *dag.group_nodes.values()):
            self.children.setdefault(node.group, []).append(node)

    def run(self) -> list[tuple[int, str, str, str | None, str | None]]:
        levels = self._levels()
        found: list[tuple[int, str, str, str | None, str | None]] = []
        # A group is made after the one around it: backwards, inner ones come first.
        for level in (*reversed(self.dag.group_nodes.values()), None):
            followed, following = set(), set()
            for number, upstream, downstream, label in levels.get(level, ()):
                through = _text(upstream, downstream)
                for above, below in self._pairs(upstream, downstream):
                    found.append((number, above.node_id, below.node_id, label, through))
                    following.add(below)
                    if not (isinstance(below, TaskNode) and below.is_teardown):
                        followed.add(above)
            if len(found) > EDGES_MAX:
                self.resolution.problems.append(self._too_many())
                return []
            if level is not None:
                self._close(level, followed, following)
        return found

    def _pairs(self, upstream: Node, downstream: Node) -> Iterator[tuple[Node, Node]]:
        below = (
            self.first.get(downstream, [downstream]) if isinstance(downstream, GroupNode) else [downstream]
        )
        for above in self.last.get(upstream, []) if isinstance(upstream, GroupNode) else [upstream]:
            for one in below:
                yield above, one

    def _close(self, group: GroupNode, followed: set[Node], following: set[Node]) -> None:
        members = self.children.get(group, [])
        first = [task for node in members for task in self.first.get(node, [node])]
        last = [task for node in members for task in self.last.get(node, [node])]
        self.first[group] = [task for task in first if isinstance(task, TaskNode) and task not in following]
        ends = [task for task in last if isinstance(task, TaskNode) and task not in followed]
        self.last[group] = [*([task for task in ends if not task.is_teardown] or ends)]

    def _levels(self) -> dict[Node | None, list[tuple[int, Node, Node, str | None]]]:
        """Return the edges by the innermost group that holds both ends."""
        levels: dict[Node | None, list[tuple[int, Node, Node, str | None]]] = {}
        around: dict[Node, list[GroupNode]] = {}
        for number, ((upstream, downstream), label) in enumerate(self.dag.edges.items()):
            for node in (upstream, downstream):
                if node not in around:
                    around[node] = node.enclosing_groups()
            if upstream is downstream and isinstance(upstream, GroupNode):
                self._refuse(upstream, downstream, f'Group "{upstream.node_id}" waits for itself.')
            elif upstream in around[downstream]:
                self._refuse(upstream, downstream, _inside_text(upstream, downstream))
            elif downstream in around[upstream]:
                self._refuse(upstream, downstream, _inside_text(downstream, upstream))
            else:
                outer = set(around[downstream])
                level = next((group for group in around[upstream] if group in outer), None)
                levels.setdefault(level, []).append((number, upstream, downstream, label))
        return levels

    def _refuse(self, upstream: Node, downstream: Node, why: str) -> None:
        place = self.dag.edge_places.get((upstream, downstream), NOWHERE)
        self.resolution.problems.append(
            CycleError(f'{why} DAG "{self.dag.dag_id}" has a cycle.', file=place.file, line=place.line)
        )

    def _too_many(self) -> AuthorError:
        text = (
            f'DAG "{self.dag.dag_id}" has more than {EDGES_MAX:,} edges. Put an EmptyOperator between two groups that '
            "are connected each to each."
        )
        return AuthorError(text, file=self.dag.place.file, line=self.dag.place.line)


def _inside_text(group: Node, inner: Node) -> str:
    return (
        f'Group "{group.node_id}" is connected to the {inner.node_kind} "{inner.node_id}", which is inside it, so it '
        "would wait for itself."
    )


def _text(upstream: Node, downstream: Node) -> str | None:
    if isinstance(upstream, TaskNode) and isinstance(downstream, TaskNode):
        return None
    return f"{upstream.node_id} >> {downstream.node_id}"
