"""What an operator and a mapped operator have in common: a task of a DAG, with its options and its place."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from tradewind.authoring.graph import GroupNode, Node, Structure, TaskNode, connect
from tradewind.authoring.options import TaskDefaults, normal_option
from tradewind.authoring.place import Place, author_place
from tradewind.authoring.scope import Scope, current_scope, enter, leave, note_made
from tradewind.authoring.xcom import XComRef, find_groups, find_tasks, find_template_task_ids
from tradewind.domain.spec import TriggerRule
from tradewind.errors import ArgumentError

OperatorKind = Literal["action", "transfer", "sensor"]


class Task(TaskDefaults, TaskNode):
    """A task: its options (see ``TaskDefaults``), its given arguments, its place in DAG and group.

    ``given`` has the operator's own arguments as the author gave them, defaults of DAG and group included.
    """

    operator_kind: ClassVar[OperatorKind] = "action"
    template_fields: ClassVar[tuple[str, ...]] = ()
    template_ext: ClassVar[tuple[str, ...]] = ()
    does_nothing: ClassVar[bool] = (
        False  # the scheduler ends such a task itself, unless it has callbacks or outlets
    )
    decides_branch: ClassVar[bool] = False  # its outcome names what to follow or skip
    start_deferred: dict[str, Any] | None = None  # trigger and arguments of a task that begins by waiting

    given: Mapping[str, Any] = MappingProxyType({})
    options_given: frozenset[str] = frozenset()
    setups: tuple[TaskNode, ...] = ()  # a teardown's setups, as given to as_teardown()
    on_failure_fail_dagrun: bool = False
    _block: tuple[Token[Scope], list[Node]] | None = None

    def _set_options(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            setattr(self, name, normal_option(name, value))
        self.options_given = frozenset(options)

    def _join(self, dag: Structure, group: GroupNode | None, place: Place) -> None:
        """Become part of ``dag`` and wait for the tasks whose outputs are among the arguments."""
        self.dag, self.group, self.place = dag, group, place
        dag.add_node(self)
        note_made(self)
        for value in self.given.values():
            for upstream in find_tasks(value):
                self._wait_for(upstream, place)
            for task_id in find_template_task_ids(value):
                written = dag.task_nodes.get(task_id)
                if written is not None:
                    self._wait_for(written, place)
            for mapped in find_groups(value):
                if mapped not in self.enclosing_groups():
                    raise ArgumentError(
                        f'Task "{self.task_id}" uses an argument of the mapped group "{mapped.group_id}", which exists '
                        "only inside the group. Let a task of the group return it and use that task's output.",
                        file=place.file,
                        line=place.line,
                    )

    def _wait_for(self, upstream: TaskNode, place: Place) -> None:
        if upstream is not self:
            connect(upstream, self)

    @property
    def operator_type(self) -> type[Any]:
        """The operator's class; of a mapped task the one its instances have."""
        return type(self)

    @property
    def output(self) -> XComRef:
        """A reference to what the task returns."""
        return XComRef(self)

    @property
    def label(self) -> str:
        """The id without the group's prefix."""
        if self.group is not None and self.group.prefix_group_id:
            return self.task_id.removeprefix(f"{self.group.group_id}.")
        return self.task_id

    def as_setup(self) -> Self:
        """Make this a setup: what is downstream of it needs it to succeed. Returns the task."""
        self.is_setup = True
        return self

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool = False) -> Self:
        """Make this a teardown of ``setups`` (one or a list; they become setups). Returns the task.

        It runs once everything between is done, if one of its setups succeeded, whatever the work did. Its failure
        does not fail the run unless ``on_failure_fail_dagrun``.
        """
        place = author_place()
        if (
            "trigger_rule" in self.options_given
            and self.trigger_rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS
        ):
            raise ArgumentError(
                f'Task "{self.task_id}" has the trigger rule {self.trigger_rule}; a teardown\'s rule is always '
                "all_done_setup_success. Take trigger_rule= away.",
                file=place.file,
                line=place.line,
            )
        self.is_teardown = True
        self.trigger_rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
        self.on_failure_fail_dagrun = on_failure_fail_dagrun
        items = setups if isinstance(setups, list | tuple) else [] if setups is None else [setups]
        for item in items:
            node = item.edge_node() if isinstance(item, XComRef | TaskNode) else None
            if not isinstance(node, Task):
                raise ArgumentError(
                    f'The setups of teardown "{self.task_id}" are tasks, not {type(item).__name__}.',
                    file=place.file,
                    line=place.line,
                )
            node.as_setup()
            self.setups = (*self.setups, node)
            connect(node, self)
        return self

    def __enter__(self) -> Self:
        """``with setup >> teardown:`` puts the tasks made in the block between them."""
        place = author_place()
        if not (self.is_setup or self.is_teardown) or self.dag is None:
            raise ArgumentError(
                f'`with` needs a setup or a teardown, and "{self.task_id}" is neither: '
                "with make.as_setup() >> drop.as_teardown(): …",
                file=place.file,
                line=place.line,
            )
        made: list[Node] = []
        scope = current_scope()
        self._block = (enter(Scope(scope.dag or self.dag, scope.group, (*scope.made, made))), made)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._block is not None, "left a block that was not entered"
        token, made = self._block
        self._block = None
        leave(token)
        if error[0] is None and self.dag is not None:
            _put_between(self, made, self.dag)


def _put_between(task: Task, made: list[Node], dag: Structure) -> None:
    """Connect the first tasks of a block to the setups, and the last ones to the teardown."""
    outer = _outermost(made)
    inside = set(made)
    home = {node: _home(node, inside) for node in made}
    has_upstream, has_downstream = set(), set()
    for upstream, downstream in dag.edges:
        above, below = home.get(upstream), home.get(downstream)
        if above is not None and below is not None and above is not below:
            has_upstream.add(below)
            has_downstream.add(above)
    setups = _setups_of(task, dag) if task.is_teardown else [task]
    for node in outer:
        if node not in has_upstream:
            connect(setups, node)
        if task.is_teardown and node not in has_downstream:
            connect(node, task)


def _setups_of(teardown: Task, dag: Structure) -> list[Node]:
    direct = [
        above
        for above, below in dag.edges
        if below is teardown and isinstance(above, Task) and above.is_setup
    ]
    return list(dict.fromkeys([*teardown.setups, *direct]))


def _outermost(made: list[Node]) -> list[Node]:
    inside = set(made)
    return [node for node in made if not any(group in inside for group in node.enclosing_groups())]


def _home(node: Node, inside: set[Node]) -> Node:
    around = [group for group in node.enclosing_groups() if group in inside]
    return around[-1] if around else node
