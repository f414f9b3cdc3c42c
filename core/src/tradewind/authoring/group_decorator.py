"""Functions as groups of tasks: ``@task_group``, and its mapping."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, overload

from tradewind.authoring.arguments import check_arguments, unknown_arguments
from tradewind.authoring.callables import parameters_of, unknown_names
from tradewind.authoring.graph import NodeFunction
from tradewind.authoring.group import TaskGroup
from tradewind.authoring.mapped import check_expand, check_expand_kwargs
from tradewind.authoring.place import Place, author_place
from tradewind.authoring.scope import current_scope
from tradewind.authoring.xcom import GroupItem
from tradewind.errors import ArgumentError

_OPTIONS = frozenset(
    {"group_id", "prefix_group_id", "default_args", "retries", "doc", "display_name", "dag", "group"}
)


class DecoratedGroup(NodeFunction):
    """A function that makes a group when it is called inside a DAG, or a mapped group by ``.expand``.

    Calling returns what the function returns, or the group when that is None. Calling again makes another group:
    ``load``, ``load__1`` … Inside a mapped group the function's parameters are references to the present element.
    """

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = dict(options)
        self.shared: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        place = author_place()
        try:
            inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as error:
            unknown = unknown_names(self.function, kwargs)
            text = unknown_arguments(unknown, parameters_of(self.function)) if unknown else f"{error}."
            raise ArgumentError(f"{self._name} {text}", file=place.file, line=place.line) from None
        with self._group() as group:
            returned = self.function(*args, **kwargs)
        return group if returned is None else returned

    def override(self, **options: Any) -> DecoratedGroup:
        """Return the same function with other group options, such as ``group_id``."""
        check_arguments(f"{self._name}.override", options, _OPTIONS, (), author_place())
        return self._copy({**self.options, **options})

    def partial(self, **kwargs: Any) -> DecoratedGroup:
        """Give the arguments that all indices share; ``.expand(…)`` or ``.expand_kwargs(…)`` follows."""
        self._check_names("partial", kwargs, author_place())
        copy = self._copy(self.options)
        copy.shared = {**self.shared, **kwargs}
        return copy

    def expand(self, **mapped: Any) -> Any:
        """Run everything inside once per element of the cross product; index i depends only on index i."""
        place = author_place()
        self._check_names("expand", mapped, place)
        names = frozenset(parameters_of(self.function)) | frozenset(mapped)
        check_expand(self._name, mapped, names, self.shared, place)
        return self._mapped(list(mapped), place, expand_kwargs=mapped)

    def expand_kwargs(self, source: Any) -> Any:
        """Run everything inside once per dict of arguments in ``source``, a list of dicts or a reference to one."""
        place = author_place()
        check_expand_kwargs(self._name, source, place)
        names = [name for name in parameters_of(self.function) if name not in self.shared]
        return self._mapped(names, place, expand_kwargs_input=source)

    def _mapped(self, names: list[str], place: Place, **expansion: Any) -> Any:
        missing = [
            name
            for name, parameter in parameters_of(self.function).items()
            if name not in names and name not in self.shared and parameter.default is parameter.empty
        ]
        if missing:
            raise ArgumentError(
                f"{self._name} needs {', '.join(missing)}: give it to partial() or expand().",
                file=place.file,
                line=place.line,
            )
        with self._group(**expansion) as group:
            items = {name: GroupItem(group, name) for name in names}
            returned = self.function(**self.shared, **items)
        return group if returned is None else returned

    def _group(self, **expansion: Any) -> TaskGroup:
        options: dict[str, Any] = {"group_id": self.function.__name__, **self.options, **expansion}
        if options.get("doc") is None and self.function.__doc__:
            options["doc"] = inspect.cleandoc(self.function.__doc__)
        scope = current_scope()
        parent = options.get("group") or scope.group
        dag = options.get("dag") or scope.dag
        if dag is not None:
            full = parent.child_id(options["group_id"]) if parent is not None else options["group_id"]
            # TaskGroup puts the parent's prefix before the id itself
            options["group_id"] = options["group_id"] + dag.free_id(full).removeprefix(full)
        return TaskGroup(**options)

    def _check_names(self, what: str, given: Mapping[str, Any], place: Place) -> None:
        unknown = unknown_names(self.function, given)
        if unknown:
            text = unknown_arguments(unknown, parameters_of(self.function))
            raise ArgumentError(f"{self._name}.{what} {text}", file=place.file, line=place.line)

    def _copy(self, options: Mapping[str, Any]) -> DecoratedGroup:
        copy = DecoratedGroup(self.function, options)
        copy.shared = dict(self.shared)
        return copy

    @property
    def _name(self) -> str:
        return f"{self.function.__name__}()"


@overload
def task_group(function: Callable[..., Any], /, **options: Any) -> DecoratedGroup: ...


@overload
def task_group(
    function: str | None = None, /, **options: Any
) -> Callable[[Callable[..., Any]], DecoratedGroup]: ...


def task_group(
    function: Callable[..., Any] | str | None = None, /, **options: Any
) -> DecoratedGroup | Callable[[Callable[..., Any]], DecoratedGroup]:
    """Make a function a group of tasks: ``@task_group`` or ``@task_group(group_id="load", retries=2)``."""
    place = author_place()
    check_arguments("@task_group", options, _OPTIONS, (), place)
    if isinstance(function, str):
        options["group_id"], function = function, None
    if function is None:
        return lambda decorated: DecoratedGroup(decorated, options)
    return DecoratedGroup(function, options)
