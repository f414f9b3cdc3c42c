"""The operator that calls a Python function, and how a function gets parts of the context as parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Unpack

from tradewind.authoring.context import CONTEXT_NAMES, TEMPLATE_NAMES, WHOLE_CONTEXT_NAMES, Context
from tradewind.authoring.operator import ActionOperator
from tradewind.authoring.options import TaskOptions
from tradewind.errors import ArgumentError

SIGNATURES_KEPT_MAX = 4096  # functions whose parameters are remembered


class PythonOperator(ActionOperator):
    """Call ``python_callable(*op_args, **op_kwargs)``; what it returns is the output. ``async def`` is awaited.

    Parameters that are not given and are named like a template name (``ds``, ``ti``, ``params`` …) get it from the
    context; ``context`` and ``ctx`` get the context itself, ``**kwargs`` all template names. Strings in ``op_args``
    and ``op_kwargs`` are templates.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("op_args", "op_kwargs")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] = (),
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise ArgumentError(
                f'python_callable of task "{self.task_id}" is {type(python_callable).__name__} '
                f"({python_callable!r:.60}), which cannot be called. Give the function itself, without ()."
            )
        self.python_callable = python_callable
        self.op_args = list(op_args)
        self.op_kwargs = dict(op_kwargs or {})

    def execute(self, context: Context) -> Any:
        """Call the function and return its result."""
        return call_with_context(self.python_callable, self.op_args, self.op_kwargs, context)


def call_with_context(
    function: Callable[..., Any], args: Collection[Any], kwargs: Mapping[str, Any], context: Context
) -> Any:
    """Call ``function``, filling parameters from ``context``; wait for it when it is asynchronous."""
    result = function(*args, **context_arguments(function, len(args), kwargs, context), **kwargs)
    if result is not None and inspect.isawaitable(result):
        import asyncio  # costs every DAG file 25 ms, and few functions need it

        return asyncio.run(_wait_for(result))
    return result


def context_arguments(
    function: Callable[..., Any], positional: int, given: Mapping[str, Any], context: Context
) -> dict[str, Any]:
    """Return the parameters of ``function`` that come from ``context``: those named so, not given, without a default.

    A default of None does not keep a parameter from being filled.
    """
    filled: dict[str, Any] = {}
    parameters = list(parameters_of(function).values())
    for number, parameter in enumerate(parameters):
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            named = {other.name for other in parameters}
            names_there = set(context)
            names = [name for name in TEMPLATE_NAMES if name not in given and name not in named]
            filled.update({name: context[name] for name in names if name in names_there})
        elif takes_from_context(parameter) and number >= positional and parameter.name not in given:
            whole = parameter.name in WHOLE_CONTEXT_NAMES
            filled[parameter.name] = context if whole else context[parameter.name]
    return filled


def takes_from_context(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is filled from the context when its caller gives nothing."""
    by_name = parameter.kind in {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    return (
        by_name and parameter.name in CONTEXT_NAMES and parameter.default in {inspect.Parameter.empty, None}
    )


@lru_cache(maxsize=SIGNATURES_KEPT_MAX)
def _signature_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return a function's parameters; none for built-ins that do not say theirs.

    Kept for functions that were asked before: a server asks once, then each attempt forked from it knows.
    """
    try:
        return _signature_of(function)
    except TypeError:  # a callable that cannot be hashed
        return _signature_of.__wrapped__(function)


def unknown_names(function: Callable[..., Any], given: Collection[str]) -> list[str]:
    """Return the names of ``given`` that ``function`` has no parameter for; none when it does not say."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return []
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return []
    return [name for name in given if name not in parameters]


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable
