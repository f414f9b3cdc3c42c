"""Steps: parts of a task that are done once, however often the task is tried."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar, overload

from tradewind.authoring.context import get_current_context
from tradewind.authoring.plain import plain
from tradewind.domain.codec import encode

_DIGEST_CHARS = 16

F = TypeVar("F", bound=Callable[..., Any])


@overload
def step(function: F, /, *, name: str | None = None) -> F: ...


@overload
def step(function: str | None = None, /, *, name: str | None = None) -> Callable[[F], F]: ...


def step(function: Any = None, /, *, name: str | None = None) -> Any:
    """Make a function a step of the task that calls it: on a retry its stored result is returned.

    A step is known by its name (default: the function's) and its arguments, so the same step with other arguments is
    another one. Arguments and result must be values JSON can hold, or those XComs can. Outside a task the function
    raises RuntimeError.
    """
    if function is None:
        return lambda decorated: step(decorated, name=name)
    if isinstance(function, str):
        return lambda decorated: step(decorated, name=function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        context = get_current_context()
        return context.step(
            _step_name(name or function.__name__, args, kwargs), lambda: function(*args, **kwargs)
        )

    stepped: Callable[..., Any] = call
    return stepped


def _step_name(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if not args and not kwargs:
        return name
    text = encode(plain([list(args), kwargs], path=f"step {name}"))
    return f"{name}:{hashlib.sha256(text).hexdigest()[:_DIGEST_CHARS]}"
