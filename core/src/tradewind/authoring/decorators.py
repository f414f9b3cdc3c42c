"""Functions as tasks: ``@task`` and its variants, ``@setup``, ``@teardown``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_origin, get_type_hints, is_typeddict, overload

from tradewind.authoring.arguments import accepted_arguments, check_arguments, unknown_arguments
from tradewind.authoring.callables import parameters_of, takes_from_context, unknown_names
from tradewind.authoring.graph import NodeFunction
from tradewind.authoring.mapped import Home, MappedOperator, check_expand, check_expand_kwargs
from tradewind.authoring.operator import (
    Operator,
    accepted_defaults,
    build_operator,
    check_call,
    home_of_call,
    make_operator,
)
from tradewind.authoring.options import TASK_OPTION_NAMES
from tradewind.authoring.place import Place, author_place
from tradewind.authoring.variants import Variants
from tradewind.authoring.xcom import XComRef
from tradewind.errors import ArgumentError

Guard = tuple[bool, Callable[[Any], bool], str | None]

# Taken from the function, never from the decorator's arguments.
_CALL_ARGUMENTS = frozenset({"python_callable", "op_args", "op_kwargs"})


class DecoratedTask(NodeFunction):
    """A function that makes a task when it is called inside a DAG; the call returns a reference to its output.

    Calling it again makes another task: ``load``, ``load__1``, ``load__2`` … Arguments may be values, templates and
    references. ``multiple_outputs`` (each key of a returned dict is an output of its own) is on when it is asked for,
    or when the return annotation is a TypedDict or ``dict[str, …]``.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        operator_class: type,
        options: Mapping[str, Any],
        *,
        guards: tuple[Guard, ...] = (),
        role: Mapping[str, Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.operator_class = operator_class
        self.options = dict(options)
        self.guards = guards
        self.role = role  # {"setup": True} or the arguments of as_teardown
        self.shared: dict[str, Any] = {}  # what partial() gave

    def __call__(self, *args: Any, **kwargs: Any) -> XComRef:
        place = author_place()
        if self.shared:
            raise ArgumentError(
                f"{self._name}.partial(…) is followed by .expand(…) or .expand_kwargs(…), not called.",
                file=place.file,
                line=place.line,
            )
        op_args, op_kwargs = self._bound(args, kwargs, place)
        home, arguments = self._complete(place)
        arguments |= {"op_args": op_args, "op_kwargs": op_kwargs}
        operator = build_operator(self.operator_class, arguments, place)
        operator.guards = self.guards
        if home[0] is not None:
            operator._join(home[0], home[1], place)  # noqa: SLF001 - a decorator makes operators as their class does
        return XComRef(self._with_role(operator))

    def override(self, **options: Any) -> DecoratedTask:
        """Return the same function with other task options: ``load.override(task_id="load_eu", retries=3)``."""
        place = author_place()
        check_decorator_options(f"{self._name}.override", self.operator_class, options, place)
        return self._copy({**self.options, **options})

    def partial(self, **kwargs: Any) -> DecoratedTask:
        """Give the function's arguments that all mapped instances share; ``.expand(…)`` follows."""
        self._check_names("partial", kwargs, author_place())
        copy = self._copy(self.options)
        copy.shared = {**self.shared, **kwargs}
        return copy

    def expand(self, **mapped: Any) -> XComRef:
        """Make one instance per element of the cross product; values are lists, dicts or references."""
        place = author_place()
        self._check_names("expand", mapped, place)
        names = frozenset(parameters_of(self.function)) | frozenset(mapped)
        check_expand(self._name, mapped, names, self.shared, place)
        self._check_complete({**self.shared, **mapped}, place)
        return self._mapped(place, expand_kwargs=mapped)

    def expand_kwargs(self, source: Any) -> XComRef:
        """Make one instance per dict of arguments in ``source``, a list of dicts or a reference to one."""
        place = author_place()
        check_expand_kwargs(self._name, source, place)
        return self._mapped(place, expand_kwargs_input=source)

    def _mapped(self, place: Place, **expansion: Any) -> XComRef:
        home, arguments = self._complete(place)
        arguments["op_kwargs"] = self.shared
        check_call(self.operator_class, arguments, place)  # for all instances: what differs is in op_kwargs
        mapped = MappedOperator(
            self.operator_class,
            arguments,
            argument_field="op_kwargs",
            build=make_operator,
            guards=self.guards,
            **expansion,
        )
        return XComRef(self._with_role(mapped.join(home, place)))

    def _complete(self, place: Place) -> tuple[Home, dict[str, Any]]:
        """Return the task's home, and its operator's arguments but for those of the function."""
        options = dict(self.options)
        dag, group = home_of_call(options)
        defaults = accepted_defaults(self.operator_class, dag, group)
        arguments = {name: value for name, value in defaults.items() if name not in _CALL_ARGUMENTS}
        arguments |= {"python_callable": self.function, **options}
        if "multiple_outputs" not in arguments and returns_named_values(self.function):
            arguments["multiple_outputs"] = True
        wanted = arguments.get("task_id", getattr(self.function, "__name__", None))
        if not isinstance(wanted, str) or not wanted or wanted == "<lambda>":
            raise ArgumentError(
                f'A task made of {self._name} needs an id: task(function, task_id="…").',
                file=place.file,
                line=place.line,
            )
        full = group.child_id(wanted) if group is not None else wanted
        arguments["task_id"] = full if dag is None else dag.free_id(full)
        if arguments.get("doc") is None and self.function.__doc__:
            arguments["doc"] = inspect.cleandoc(self.function.__doc__)
        return (dag, group), arguments

    def _bound(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], place: Place
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the call's arguments, by name as far as the function has names for them."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):
            return list(args), kwargs
        try:
            bound = signature.bind_partial(*args, **kwargs)
        except TypeError as error:
            self._check_names("call", kwargs, place)
            raise ArgumentError(f"{self._name}: {error}.", file=place.file, line=place.line) from None
        self._check_complete(bound.arguments, place)
        positional = any(
            p.kind in {p.VAR_POSITIONAL, p.POSITIONAL_ONLY} and p.name in bound.arguments
            for p in signature.parameters.values()
        )
        if positional:
            return list(bound.args), bound.kwargs
        named = dict(bound.arguments)
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                named.update(named.pop(parameter.name, {}))
        return [], named

    def _check_names(self, what: str, given: Mapping[str, Any], place: Place) -> None:
        unknown = unknown_names(self.function, given)
        if not unknown:
            return
        parameters = parameters_of(self.function)
        options = [name for name in unknown if name in TASK_OPTION_NAMES]
        where = self._name if what == "call" else f"{self._name}.{what}"
        text = f"{where} {unknown_arguments(unknown, parameters)}"
        if options:
            text += (
                f" {', '.join(options)} is an option of the task: {self._name}.override({options[0]}=…)(…)."
            )
        raise ArgumentError(text, file=place.file, line=place.line)

    def _check_complete(self, given: Mapping[str, Any], place: Place) -> None:
        missing = [
            name
            for name, parameter in parameters_of(self.function).items()
            if name not in given
            and parameter.default is parameter.empty
            and parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
            and not takes_from_context(parameter)
        ]
        if missing:
            raise ArgumentError(
                f"{self._name} needs the argument{'s' if len(missing) > 1 else ''} {', '.join(missing)}.",
                file=place.file,
                line=place.line,
            )

    def _with_role(self, task: Any) -> Any:
        if self.role is None:
            return task
        return task.as_setup() if "setup" in self.role else task.as_teardown(**self.role)

    def _copy(self, options: Mapping[str, Any]) -> DecoratedTask:
        copy = DecoratedTask(self.function, self.operator_class, options, guards=self.guards, role=self.role)
        copy.shared = dict(self.shared)
        return copy

    @property
    def _name(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f'"{name}"' if name == "<lambda>" else f"{name}()"


TaskMaker = Callable[[Callable[..., Any]], DecoratedTask]
GuardMaker = Callable[[DecoratedTask], DecoratedTask]


class TaskDecorator:
    """``task``: ``@task``, ``@task(retries=3)``, ``task(function)``, ``@task.branch`` and the other variants."""

    def __init__(self, variants: Variants, variant: str = "python") -> None:
        self.variants = variants
        self._variant = variant

    @overload
    def __call__(self, function: Callable[..., Any], /, **options: Any) -> DecoratedTask: ...

    @overload
    def __call__(self, function: None = None, /, **options: Any) -> TaskMaker: ...

    def __call__(
        self, function: Callable[..., Any] | None = None, /, **options: Any
    ) -> DecoratedTask | TaskMaker:
        """Make ``function`` a task, or return a decorator that does."""
        place = author_place()
        operator_class = self.variants.load(self._variant)
        check_decorator_options(
            f"@task.{self._variant}".removesuffix(".python"), operator_class, options, place
        )
        if function is None:
            return lambda decorated: self._decorate(decorated, operator_class, options, place)
        return self._decorate(function, operator_class, options, place)

    def _decorate(
        self, function: Any, operator_class: type, options: dict[str, Any], place: Place
    ) -> DecoratedTask:
        if (
            isinstance(function, DecoratedTask)
            or not callable(function)
            or isinstance(function, type | Operator)
        ):
            raise ArgumentError(
                f"@task decorates a function, not {type(function).__name__} ({function!r:.60}).",
                file=place.file,
                line=place.line,
            )
        return DecoratedTask(function, operator_class, options)

    def __getattr__(self, name: str) -> TaskDecorator:
        if name.startswith("__"):
            raise AttributeError(name)
        self.variants.load(name)
        return TaskDecorator(self.variants, name)

    def skip_if(self, condition: Callable[[Any], bool], message: str | None = None) -> GuardMaker:
        """Skip the decorated task when ``condition(context)`` is true; stands above ``@task``."""
        return _guarding((False, condition, message), "skip_if", author_place())

    def run_if(self, condition: Callable[[Any], bool], message: str | None = None) -> GuardMaker:
        """Skip the decorated task unless ``condition(context)`` is true; stands above ``@task``."""
        return _guarding((True, condition, message), "run_if", author_place())


def _guarding(guard: Guard, name: str, place: Place) -> GuardMaker:
    if not callable(guard[1]):
        raise ArgumentError(
            f"@task.{name} takes a function of the context, such as lambda context: context.params['full'].",
            file=place.file,
            line=place.line,
        )

    def decorate(decorated: DecoratedTask) -> DecoratedTask:
        if not isinstance(decorated, DecoratedTask):
            raise ArgumentError(
                f"@task.{name}(…) stands above @task, on a decorated function.",
                file=place.file,
                line=place.line,
            )
        copy = decorated._copy(decorated.options)  # noqa: SLF001 - the same module
        copy.guards = (guard, *decorated.guards)
        return copy

    return decorate


task = TaskDecorator(Variants())


@overload
def setup(function: Callable[..., Any], /, **options: Any) -> DecoratedTask: ...


@overload
def setup(function: None = None, /, **options: Any) -> TaskMaker: ...


def setup(function: Callable[..., Any] | None = None, /, **options: Any) -> DecoratedTask | TaskMaker:
    """Make a function (or a ``@task`` below it) a setup: what is downstream of it needs it to succeed."""
    place = author_place()
    if function is None:
        return lambda decorated: _in_role({"setup": True}, decorated, options, place)
    return _in_role({"setup": True}, function, options, place)


@overload
def teardown(
    function: Callable[..., Any],
    /,
    *,
    setups: Any = None,
    on_failure_fail_dagrun: bool = False,
    **options: Any,
) -> DecoratedTask: ...


@overload
def teardown(
    function: None = None, /, *, setups: Any = None, on_failure_fail_dagrun: bool = False, **options: Any
) -> TaskMaker: ...


def teardown(
    function: Callable[..., Any] | None = None,
    /,
    *,
    setups: Any = None,
    on_failure_fail_dagrun: bool = False,
    **options: Any,
) -> DecoratedTask | TaskMaker:
    """Make a function (or a ``@task`` below it) a teardown: it runs when what its setups made is no longer needed."""
    role = {"setups": setups, "on_failure_fail_dagrun": on_failure_fail_dagrun}
    place = author_place()
    if function is None:
        return lambda decorated: _in_role(role, decorated, options, place)
    return _in_role(role, function, options, place)


def _in_role(
    role: Mapping[str, Any], function: Callable[..., Any], options: dict[str, Any], place: Place
) -> DecoratedTask:
    decorated = function if isinstance(function, DecoratedTask) else task(function)
    check_decorator_options(
        "@setup" if "setup" in role else "@teardown", decorated.operator_class, options, place
    )
    copy = decorated._copy({**decorated.options, **options})  # noqa: SLF001 - the same module
    copy.role = role
    return copy


def check_decorator_options(
    what: str, operator_class: type, options: Mapping[str, Any], place: Place
) -> None:
    """Raise ArgumentError for an option that the operator does not accept."""
    accepted = accepted_arguments(operator_class, Operator).every - _CALL_ARGUMENTS
    check_arguments(what, options, accepted, (), place)


def returns_named_values(function: Callable[..., Any]) -> bool:
    """Whether the return annotation is a TypedDict or ``dict[str, …]``: then each key is an output of its own."""
    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        if "dict" not in annotation.lower() and not annotation.isidentifier():
            return False
        try:
            annotation = get_type_hints(function).get("return")
        except (NameError, TypeError, AttributeError, SyntaxError):
            return False
    if annotation is None:
        return False
    if is_typeddict(annotation):
        return True
    return get_origin(annotation) is dict and annotation.__args__[0] is str
