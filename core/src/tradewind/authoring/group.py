"""Task groups: a prefix for ids, a fold in the graph, and perhaps a mapping of everything inside."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from types import MappingProxyType
from typing import Any, Self

from tradewind.authoring.arguments import check_mappings
from tradewind.authoring.graph import GroupNode, Structure, connect
from tradewind.authoring.place import Place, author_place
from tradewind.authoring.scope import Scope, current_scope, enter, leave, note_made
from tradewind.authoring.xcom import find_tasks
from tradewind.errors import ArgumentError


class TaskGroup(GroupNode):
    """A group of tasks.

    ::

        with TaskGroup("load") as load:
            ...
        extract >> load >> report  # load's first tasks wait for extract, report waits for load's last ones

    ``prefix_group_id``: whether ids inside begin with the group's id. ``default_args`` win over the DAG's.
    ``retries``: when a task inside fails for good, the whole group is cleared and tried again this often.
    A mapped group (made by ``@task_group`` and ``.expand``) has ``expand_kwargs``, or ``expand_kwargs_input``.
    """

    def __init__(
        self,
        group_id: str,
        *,
        prefix_group_id: bool = True,
        default_args: Mapping[str, Any] | None = None,
        retries: int = 0,
        doc: str | None = None,
        display_name: str | None = None,
        dag: Structure | None = None,
        group: GroupNode | None = None,
        expand_kwargs: Mapping[str, Any] | None = None,
        expand_kwargs_input: Any = None,
    ) -> None:
        scope = current_scope()
        if group is None and dag in {None, scope.dag}:
            group = scope.group
        self.place: Place = author_place()
        self.group = group
        self.dag = group.dag if group is not None else dag or scope.dag
        self.prefix_group_id = prefix_group_id
        self.group_id = (
            group.child_id(group_id) if group is not None and isinstance(group_id, str) else group_id
        )
        check_mappings(f'Group "{group_id}"', {"default_args": default_args}, self.place)
        self.default_args = MappingProxyType(dict(default_args or {}))
        self.retries = retries
        self.doc = doc
        self.display_name = display_name
        self.expand_kwargs: Mapping[str, Any] = MappingProxyType(dict(expand_kwargs or {}))
        self.expand_kwargs_input = expand_kwargs_input
        self.mapped = bool(self.expand_kwargs) or expand_kwargs_input is not None
        self._tokens: list[Token[Scope]] = []
        if self.dag is None:
            raise ArgumentError(
                f'Task group "{group_id}" belongs to no DAG. Make it inside `with DAG(...):` or give it dag=.',
                file=self.place.file,
                line=self.place.line,
            )
        self.dag.add_node(self)
        note_made(self)
        for upstream in find_tasks(self.expand_input):
            connect(upstream, self)

    @property
    def expand_input(self) -> Any:
        """What a mapped group is expanded over: the dict of ``expand_kwargs``, or ``expand_kwargs_input``."""
        return dict(self.expand_kwargs) if self.expand_kwargs_input is None else self.expand_kwargs_input

    def __enter__(self) -> Self:
        scope = current_scope()
        self._tokens.append(enter(Scope(self.dag, self, scope.made)))
        return self

    def __exit__(self, *error: object) -> None:
        leave(self._tokens.pop())

    def __repr__(self) -> str:
        return f"<TaskGroup {self.group_id}>"
