"""Mapped tasks: one task in the DAG, at run time one instance per element of what it is expanded over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tradewind.authoring.arguments import Accepted, unknown_arguments
from tradewind.authoring.graph import GroupNode, Structure
from tradewind.authoring.options import TASK_OPTION_NAMES, TaskDefaults
from tradewind.authoring.place import Place, author_place
from tradewind.authoring.scope import detached
from tradewind.authoring.task import Task
from tradewind.authoring.xcom import Ref
from tradewind.errors import ArgumentError

Home = tuple[Structure | None, GroupNode | None]
Build = Callable[[type, Mapping[str, Any], Place], Any]


class MappedOperator(Task):
    """A task that is expanded.

    ``partial_kwargs``: what all instances share, options included. ``expand_kwargs``: what they differ in, each value
    a literal list or dict, or a reference; the last one varies fastest. ``expand_kwargs_input``: instead of
    ``expand_kwargs``, a list of dicts or a reference to one, one dict of arguments per instance; else None.
    ``argument_field``: the dict argument that takes the expanded values ("op_kwargs" of decorated functions); None:
    they are arguments of the operator itself.
    """

    def __init__(
        self,
        operator_class: type,
        partial_kwargs: Mapping[str, Any],
        *,
        expand_kwargs: Mapping[str, Any] | None = None,
        expand_kwargs_input: Any = None,
        argument_field: str | None = None,
        build: Build,
        guards: tuple[tuple[bool, Any, str | None], ...] = (),
    ) -> None:
        self.operator_class = operator_class
        self.partial_kwargs: Mapping[str, Any] = MappingProxyType(dict(partial_kwargs))
        self.expand_kwargs: Mapping[str, Any] = MappingProxyType(dict(expand_kwargs or {}))
        self.expand_kwargs_input = expand_kwargs_input
        self.argument_field = argument_field
        self.guards = guards
        self.task_id = partial_kwargs["task_id"]
        self._build = build
        self._take_class_defaults()
        self._set_options({k: v for k, v in partial_kwargs.items() if k in TASK_OPTION_NAMES})
        own = {k: v for k, v in partial_kwargs.items() if k not in TASK_OPTION_NAMES and k != "task_id"}
        self.given = MappingProxyType({**own, "expand": self.expand_input})

    @property
    def operator_type(self) -> type[Any]:
        return self.operator_class

    @property
    def expand_input(self) -> Any:
        """What is expanded over: the dict of ``expand_kwargs``, or ``expand_kwargs_input``."""
        return dict(self.expand_kwargs) if self.expand_kwargs_input is None else self.expand_kwargs_input

    def join(self, home: Home, place: Place) -> MappedOperator:
        """Become part of the DAG, if there is one; returns the task."""
        dag, group = home
        self.place = place
        if dag is not None:
            self._join(dag, group, place)
        return self

    def unmap(self, kwargs: Mapping[str, Any]) -> Any:
        """Return the operator of one instance, made with its expanded arguments; the DAG does not change.

        It has the task's id, DAG, group and guards. Raises ArgumentError when ``kwargs`` has names that the operator
        does not accept, or that ``partial`` gave already.
        """
        fixed = (
            self.partial_kwargs
            if self.argument_field is None
            else self.partial_kwargs.get(self.argument_field, {})
        )
        doubled = [name for name in kwargs if name in fixed]
        if doubled:
            raise ArgumentError(
                f'Task "{self.task_id}" got {", ".join(doubled)} from partial() and again from the element it is '
                "expanded over. Take it out of one of them.",
                file=self.place.file,
                line=self.place.line,
            )
        arguments = dict(self.partial_kwargs)
        if self.argument_field is None:
            arguments.update(kwargs)
        else:
            arguments[self.argument_field] = {**fixed, **kwargs}
        with detached():
            operator = self._build(self.operator_class, arguments, self.place)
        operator.dag, operator.group = self.dag, self.group
        operator.is_setup, operator.is_teardown, operator.setups = (
            self.is_setup,
            self.is_teardown,
            self.setups,
        )
        operator.on_failure_fail_dagrun = self.on_failure_fail_dagrun
        operator.trigger_rule = self.trigger_rule
        operator.guards = self.guards
        return operator

    def _take_class_defaults(self) -> None:
        for name in TASK_OPTION_NAMES:
            value = getattr(self.operator_class, name, None)
            if value is not getattr(TaskDefaults, name):
                setattr(self, name, value)

    def __repr__(self) -> str:
        return f"<MappedOperator {self.task_id} of {self.operator_class.__name__}>"


class OperatorPartial:
    """What ``Operator.partial(…)`` gives: waits for ``expand`` or ``expand_kwargs``."""

    def __init__(
        self,
        operator_class: type,
        kwargs: Mapping[str, Any],
        accepted: Accepted,
        *,
        home: Home,
        place: Place,
        build: Build,
    ) -> None:
        self.operator_class = operator_class
        self.kwargs = dict(kwargs)
        self._accepted = accepted
        self._home = home
        self._place = place
        self._build = build

    def expand(self, **mapped: Any) -> MappedOperator:
        """Make one instance per element of the cross product; values are lists, dicts or references."""
        place = author_place()
        what = f'{self.operator_class.__name__} "{self.kwargs["task_id"]}"'
        check_expand(what, mapped, self._accepted.own, self.kwargs, place)
        missing = [name for name in self._accepted.required if name not in mapped and name not in self.kwargs]
        if missing:
            raise ArgumentError(
                f"{what} needs {', '.join(missing)}: give it to partial() or expand().",
                file=place.file,
                line=place.line,
            )
        return self._make(place, expand_kwargs=mapped)

    def expand_kwargs(self, source: Any) -> MappedOperator:
        """Make one instance per dict of arguments in ``source``, a list of dicts or a reference to one."""
        place = author_place()
        check_expand_kwargs(f'{self.operator_class.__name__} "{self.kwargs["task_id"]}"', source, place)
        return self._make(place, expand_kwargs_input=source)

    def _make(self, place: Place, **expansion: Any) -> MappedOperator:
        dag, group = self._home
        arguments = dict(self.kwargs)
        if group is not None and isinstance(arguments["task_id"], str):
            arguments["task_id"] = group.child_id(arguments["task_id"])
        mapped = MappedOperator(self.operator_class, arguments, build=self._build, **expansion)
        return mapped.join((dag, group), place)


def check_expand(
    what: str, mapped: Mapping[str, Any], accepted: frozenset[str], fixed: Mapping[str, Any], place: Place
) -> None:
    """Raise ArgumentError when ``expand(**mapped)`` has nothing, a name that cannot be mapped, or a bad value."""
    problem = ""
    unknown = [name for name in mapped if name not in accepted]
    options = [name for name in unknown if name in TASK_OPTION_NAMES or name == "task_id"]
    doubled = [name for name in mapped if name in fixed]
    if not mapped:
        problem = "expand() needs at least one argument to map over. For no mapping call the operator itself."
    elif options:
        problem = f"{', '.join(options)} is the same for all instances. Give it to partial()."
    elif unknown:
        problem = unknown_arguments(unknown, accepted)
    elif doubled:
        problem = f"{', '.join(doubled)} is given to partial() and to expand(). Take it out of one of them."
    else:
        problem = next((found for name, value in mapped.items() if (found := not_mappable(name, value))), "")
    if problem:
        raise ArgumentError(f"{what}: {problem}", file=place.file, line=place.line)


def check_expand_kwargs(what: str, source: Any, place: Place) -> None:
    """Raise ArgumentError when ``source`` is neither a list of dicts with string keys nor a reference."""
    problem = ""
    if isinstance(source, Ref):
        return
    if not isinstance(source, list | tuple):
        problem = f"expand_kwargs() takes a list of dicts or a task's output, not {type(source).__name__}."
    else:
        for number, item in enumerate(source):
            if isinstance(item, Ref):
                continue
            if not isinstance(item, Mapping) or not all(isinstance(key, str) for key in item):
                problem = f"element {number} of expand_kwargs() is {item!r:.60}; it must be a dict with names as keys."
                break
    if problem:
        raise ArgumentError(f"{what}: {problem}", file=place.file, line=place.line)


def not_mappable(name: str, value: Any) -> str:
    """Return why ``value`` cannot be expanded over; empty when it can."""
    if isinstance(value, Ref | list | tuple | Mapping | range):
        return ""
    if isinstance(value, str | bytes):
        kind = type(value).__name__
        return f"expand({name}={value!r:.40}) maps over a {kind}. Give a list: {name}=[{value!r:.40}]."
    if isinstance(value, set | frozenset):
        return f"expand({name}=…) maps over a set, which has no order. Give a list: {name}=sorted(…)."
    return (
        f"expand({name}=…) maps over {type(value).__name__} ({value!r:.40}). Give a list, a dict or a task's output; "
        f"a value that is the same for all goes to partial({name}=…)."
    )
