"""Which arguments a class accepts, and what to tell an author who gave another one."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tradewind.authoring.options import RENAMED, TASK_OPTION_NAMES
from tradewind.authoring.place import Place
from tradewind.errors import ArgumentError

_NEAREST_MAX = 3
_TASK_NAMES = TASK_OPTION_NAMES | {"task_id", "dag", "group"}


class Accepted(NamedTuple):
    """The arguments of an operator class: its own, those of them that must be given, and all with the standard ones."""

    own: frozenset[str]
    required: tuple[str, ...]
    every: frozenset[str]


_KEYWORD_KINDS = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def accepted_arguments(cls: type, root: type) -> Accepted:
    """Return what ``cls`` accepts, read from the ``__init__`` of it and of its parents up to ``root``."""
    cached = cls.__dict__.get("_accepted_arguments")
    if isinstance(cached, Accepted):
        return cached
    own: dict[str, None] = {}
    required: tuple[str, ...] | None = None
    reaches_root = True
    for parent in cls.__mro__:
        if parent is root:
            break
        init = parent.__dict__.get("__init__")
        if init is None:
            continue
        parameters = list(inspect.signature(init).parameters.values())[1:]
        named = [p for p in parameters if p.kind in _KEYWORD_KINDS]
        own.update(dict.fromkeys(p.name for p in named))
        if required is None:
            required = tuple(p.name for p in named if p.default is inspect.Parameter.empty)
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
            reaches_root = False
            break
    names = frozenset(own)
    answer = Accepted(
        names - _TASK_NAMES,
        tuple(name for name in required or () if name not in _TASK_NAMES),
        names | (_TASK_NAMES if reaches_root else frozenset({"dag", "group"})),
    )
    cls._accepted_arguments = answer  # type: ignore[attr-defined]
    return answer


def check_arguments(
    what: str, given: Mapping[str, Any], accepted: Iterable[str], required: Iterable[str], place: Place
) -> None:
    """Raise ArgumentError when ``given`` has a name that is not accepted, or lacks one that is required."""
    known = accepted if isinstance(accepted, frozenset) else set(accepted)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ArgumentError(f"{what} {unknown_arguments(unknown, known)}", file=place.file, line=place.line)
    missing = [name for name in required if name not in given]
    if missing:
        raise ArgumentError(
            f"{what} needs the argument{'s' if len(missing) > 1 else ''} {', '.join(missing)}: "
            f"{', '.join(f'{name}=…' for name in missing)}.",
            file=place.file,
            line=place.line,
        )


def check_mappings(what: str, given: Mapping[str, Any], place: Place) -> None:
    """Raise ArgumentError when one of ``given`` is neither None nor a dict with names as keys."""
    for name, value in given.items():
        if value is not None and not isinstance(value, Mapping):
            raise ArgumentError(
                f"{what} has {name}={value!r:.60}; it must be a dict with names as keys.",
                file=place.file,
                line=place.line,
            )


def unknown_arguments(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return ``has no argument "retires". Did you mean retries?``, for the end of a message."""
    names = sorted(known)
    return " It also ".join(f'has no argument "{name}". {advice(name, names)}' for name in unknown)


def advice(name: str, known: Iterable[str]) -> str:
    """Return what an author who wrote ``name`` may have meant: ``Did you mean retries?``."""
    names = sorted(known)
    renamed = RENAMED.get(name)
    if renamed in names:
        return f"It is called {renamed} here."
    close = nearest(name, names)
    return f"Did you mean {close}?" if close else f"Accepted: {', '.join(names)}."


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the names most like ``name``, joined by "or"; empty when none is near."""
    return " or ".join(difflib.get_close_matches(name, list(known), n=_NEAREST_MAX, cutoff=0.6))
