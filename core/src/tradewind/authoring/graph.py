"""The graph while it is being written: nodes that ``>>`` connects, and the structure that collects them.

Edges between groups stay edges between groups until somebody asks for task edges (see ``edges``), so that a group
may be connected first and filled afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from tradewind.authoring.place import NOWHERE, Place, author_place
from tradewind.errors import ArgumentError, AuthorError, DuplicateIdError


class Label:
    """A text on an edge: ``a >> Label("rows found") >> b``."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rrshift__(self, upstream: Any) -> LabelledEdge:
        return LabelledEdge(self, upstream=upstream)

    def __rlshift__(self, downstream: Any) -> LabelledEdge:
        return LabelledEdge(self, downstream=downstream)


class LabelledEdge:
    """One half of a labelled edge: waits for the other ``>>``."""

    def __init__(self, label: Label, *, upstream: Any = None, downstream: Any = None) -> None:
        self.label = label
        self._upstream = upstream
        self._downstream = downstream

    def __rshift__(self, other: Any) -> Any:
        connect(self._upstream, other, label=self.label.text)
        return other

    def __lshift__(self, other: Any) -> Any:
        connect(other, self._downstream, label=self.label.text)
        return other


class NodeFunction:
    """A decorated function: it makes a task, a group or a DAG when it is called, and is none itself."""

    __name__: str


class Connectable:
    """What ``>>`` and ``<<`` accept on either side: tasks, groups and references to a task's output."""

    def edge_node(self) -> Node:
        """Return the node an edge to or from this ends at."""
        raise NotImplementedError

    def set_downstream(self, other: Any) -> None:
        """Let ``other`` (one or a list) wait for this."""
        connect(self, other)

    def set_upstream(self, other: Any) -> None:
        """Let this wait for ``other`` (one or a list)."""
        connect(other, self)

    def __rshift__(self, other: Any) -> Any:
        if isinstance(other, Label):
            return LabelledEdge(other, upstream=self)
        connect(self, other)
        return other

    def __lshift__(self, other: Any) -> Any:
        if isinstance(other, Label):
            return LabelledEdge(other, downstream=self)
        connect(other, self)
        return other

    def __rrshift__(self, other: Any) -> Any:
        connect(other, self)
        return self

    def __rlshift__(self, other: Any) -> Any:
        connect(self, other)
        return self


class Node(Connectable):
    """A task or a group of a DAG.

    ``dag`` is None for a node made outside every DAG (such as the operator of one map index). ``group`` is the
    innermost group around it.
    """

    node_kind: ClassVar[str] = "node"
    dag: Structure | None = None
    group: GroupNode | None = None
    place: Place = NOWHERE

    @property
    def node_id(self) -> str:
        """Full id, group prefixes included."""
        raise NotImplementedError

    def edge_node(self) -> Node:
        return self

    def enclosing_groups(self) -> list[GroupNode]:
        """Return the groups around this node, from inside out."""
        found = []
        group = self.group
        while group is not None:
            found.append(group)
            group = group.group
        return found


class TaskNode(Node):
    """A node that runs."""

    node_kind: ClassVar[str] = "task"
    task_id: str = ""  # full id
    is_setup: bool = False
    is_teardown: bool = False

    @property
    def node_id(self) -> str:
        return self.task_id

    def as_setup(self) -> Any:
        """Make this a setup."""
        raise NotImplementedError

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool = False) -> Any:
        """Make this a teardown."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        """Open the block whose tasks run between this teardown's setups and this teardown."""
        raise NotImplementedError

    def __exit__(self, *error: object) -> None:
        raise NotImplementedError

    @property
    def upstream_task_ids(self) -> frozenset[str]:
        """Ids of the direct upstream tasks, edges through groups and references included."""
        return frozenset() if self.dag is None else frozenset(self.dag.upstream_of(self.task_id))

    @property
    def downstream_task_ids(self) -> frozenset[str]:
        """Ids of the direct downstream tasks, edges through groups and references included."""
        return frozenset() if self.dag is None else frozenset(self.dag.downstream_of(self.task_id))


class GroupNode(Node):
    """A node that holds others."""

    node_kind: ClassVar[str] = "group"
    group_id: str = ""  # full id
    prefix_group_id: bool = True
    default_args: Mapping[str, Any] = MappingProxyType({})
    mapped: bool = False  # whether everything inside is expanded together

    @property
    def node_id(self) -> str:
        return self.group_id

    def child_id(self, name: str) -> str:
        """Return the full id of a child called ``name``."""
        return f"{self.group_id}.{name}" if self.prefix_group_id else name


class Structure:
    """Tasks, groups and edges of one DAG, in the order they were written."""

    dag_id: str = ""
    place: Place = NOWHERE

    def __init__(self) -> None:
        self.default_args: dict[str, Any] = {}
        self.task_nodes: dict[str, TaskNode] = {}
        self.group_nodes: dict[str, GroupNode] = {}
        self.edges: dict[tuple[Node, Node], str | None] = {}  # value: the label
        self.edge_places: dict[tuple[Node, Node], Place] = {}
        self.build_errors: list[AuthorError] = []  # found while writing, reported together by compile
        self._resolved: tuple[int, dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]] | None = None
        self._changes = 0
        self._last_suffix: dict[str, int] = {}

    def add_node(self, node: TaskNode | GroupNode) -> None:
        """Take a new node in; an id that is taken is noted as an error for the compiler."""
        self._changes += 1
        taken = self.task_nodes.get(node.node_id) or self.group_nodes.get(node.node_id)
        if taken is not None:
            self.build_errors.append(
                DuplicateIdError(
                    f'The id "{node.node_id}" is given to a {taken.node_kind} ({taken.place}) and again to a '
                    f'{node.node_kind} ({node.place}) of DAG "{self.dag_id}". Give one of them another id.',
                    file=node.place.file,
                    line=node.place.line,
                )
            )
        elif isinstance(node, TaskNode):
            self.task_nodes[node.task_id] = node
        else:
            self.group_nodes[node.group_id] = node

    def add_edge(self, upstream: Node, downstream: Node, *, label: str | None, place: Place) -> None:
        """Connect two nodes; a second edge between them only adds its label."""
        self._changes += 1
        key = (upstream, downstream)
        self.edges[key] = label if label is not None else self.edges.get(key)
        self.edge_places.setdefault(key, place)

    def free_id(self, wanted: str) -> str:
        """Return ``wanted``, or ``wanted__1``, ``wanted__2`` … when it is taken."""
        if wanted not in self.task_nodes and wanted not in self.group_nodes:
            return wanted
        # remembered, because a loop may ask for the same name thousands of times
        number = self._last_suffix.get(wanted, 0) + 1
        while (candidate := f"{wanted}__{number}") in self.task_nodes or candidate in self.group_nodes:
            number += 1
        self._last_suffix[wanted] = number
        return candidate

    def upstream_of(self, task_id: str) -> tuple[str, ...]:
        """Return the direct upstream task ids, in the order they were connected."""
        return self._task_edges()[0].get(task_id, ())

    def downstream_of(self, task_id: str) -> tuple[str, ...]:
        """Return the direct downstream task ids, in the order they were connected."""
        return self._task_edges()[1].get(task_id, ())

    def _task_edges(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        if self._resolved is None or self._resolved[0] != self._changes:
            upstream: dict[str, list[str]] = {}
            downstream: dict[str, list[str]] = {}
            for above, below in self.resolve_edges():
                upstream.setdefault(below, []).append(above)
                downstream.setdefault(above, []).append(below)
            self._resolved = (
                self._changes,
                {task: tuple(ids) for task, ids in upstream.items()},
                {task: tuple(ids) for task, ids in downstream.items()},
            )
        return self._resolved[1], self._resolved[2]

    def resolve_edges(self) -> Iterable[tuple[str, str]]:
        """Return the edges between tasks that the edges between tasks and groups stand for."""
        raise NotImplementedError


def connect(upstream: Any, downstream: Any, *, label: str | None = None) -> None:
    """Let everything in ``downstream`` wait for everything in ``upstream``; raises ArgumentError."""
    place = author_place()
    below = list(_nodes_of(downstream, place))
    for first in _nodes_of(upstream, place):
        for second in below:
            _home_of(first, second, place).add_edge(first, second, label=label, place=place)


def _nodes_of(value: Any, place: Place) -> Iterator[Node]:
    if isinstance(value, Connectable):
        yield value.edge_node()
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _nodes_of(item, place)
    else:
        raise ArgumentError(
            f">> and << connect tasks, groups and lists of them, not {type(value).__name__} ({value!r:.60}). "
            "A decorated function must be called first: extract() >> load().",
            file=place.file,
            line=place.line,
        )


def _home_of(upstream: Node, downstream: Node, place: Place) -> Structure:
    for node in (upstream, downstream):
        if node.dag is None:
            raise ArgumentError(
                f'The {node.node_kind} "{node.node_id}" belongs to no DAG, so nothing can be connected to it. '
                "Make it inside `with DAG(...):` or give it dag=.",
                file=place.file,
                line=place.line,
            )
    if upstream.dag is not downstream.dag:
        names = [node.dag.dag_id for node in (upstream, downstream) if node.dag is not None]
        raise ArgumentError(
            f'"{upstream.node_id}" belongs to DAG "{names[0]}" and "{downstream.node_id}" to DAG "{names[1]}": tasks '
            "of two DAGs cannot be connected. Use ExternalTaskSensor, TriggerDagRunOperator or an asset.",
            file=place.file,
            line=place.line,
        )
    assert upstream.dag is not None
    return upstream.dag
