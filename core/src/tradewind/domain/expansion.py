"""Mapping: how many instances an expansion makes, and which source element each of them gets.

Two sides ask. The scheduler asks for the :func:`length`, and knows sources by their lengths only. The task
process asks with :func:`elements` what to fetch for its own index, and fetches no more than that. Both see a
source through a :data:`Lookup`: the length of what a task pushed under a key; for a mapped task the number
of its successful instances, which are its elements in index order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, assert_never

from tradewind.domain.spec import (
    MAP_LENGTH_MAX,
    MAP_LENGTH_MAX_DEFAULT,
    ConcatInput,
    ExpandInput,
    ExpandSpec,
    LiteralInput,
    MapInput,
    RefInput,
    ZipInput,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an expansion is impossible: a sentence for people. The mapped task fails with it."""

    message: str

    def __str__(self) -> str:
        return self.message


Length: TypeAlias = int | Problem | None
"""A length, None while it is not known yet, or why there is none."""

Lookup: TypeAlias = Callable[[str, str], Length]
"""(task id, XCom key) -> the length of that source."""


# ---- the scheduler's side: how many ------------------------------------------------------------------


def length(expand: ExpandSpec, lookup: Lookup, *, limit: int = MAP_LENGTH_MAX_DEFAULT) -> Length:
    """Return the number of instances ``expand`` makes; None while a source is not finished.

    A problem wins over what is not known yet. More than ``limit`` is a :class:`Problem` that names the limit.
    Zero is a length: the mapped task is skipped.
    """
    lengths = argument_lengths(expand, lookup)
    if lengths is None or isinstance(lengths, Problem):
        return lengths
    total = prod(lengths)
    return total if total <= limit else _too_long(expand, lengths, total, limit)


def argument_lengths(expand: ExpandSpec, lookup: Lookup) -> tuple[int, ...] | Problem | None:
    """Return the length of each mapped argument, as written; None or a problem as in :func:`length`."""
    lengths = [input_length(source, lookup) for _, source in expand.inputs]
    for one in lengths:
        if isinstance(one, Problem):
            return one
    known = tuple(one for one in lengths if isinstance(one, int))
    return known if len(known) == len(lengths) else None


def input_length(source: ExpandInput, lookup: Lookup) -> Length:
    """Return how many elements ``source`` has."""
    match source:
        case LiteralInput(value=list() | tuple() | dict() as value):
            return len(value)
        case LiteralInput(value=value):
            return Problem(f"expand needs a list or a dict, not {type(value).__name__}")
        case RefInput(task_id=task_id, key=key):
            return lookup(task_id, key)
        case MapInput(source=inner):
            return input_length(inner, lookup)
        case ZipInput(sources=sources, fill=fill):
            return _combined(sources, lookup, _longest if fill else _shortest)
        case ConcatInput(sources=sources):
            return _combined(sources, lookup, sum)
        case _:
            assert_never(source)


def _combined(
    sources: Sequence[ExpandInput], lookup: Lookup, combine: Callable[[Sequence[int]], int]
) -> Length:
    lengths = [input_length(source, lookup) for source in sources]
    for one in lengths:
        if isinstance(one, Problem):
            return one
    known = [one for one in lengths if isinstance(one, int)]
    return combine(known) if len(known) == len(lengths) else None


def _shortest(lengths: Sequence[int]) -> int:
    return min(lengths, default=0)


def _longest(lengths: Sequence[int]) -> int:
    return max(lengths, default=0)


def _too_long(expand: ExpandSpec, lengths: Sequence[int], total: int, limit: int) -> Problem:
    parts = " x ".join(
        f"{name or 'expand_kwargs'}: {one:,}" for (name, _), one in zip(expand.inputs, lengths, strict=True)
    )
    return Problem(
        f"the mapping would make {total:,} instances ({parts}); the limit max_map_length is {limit:,}. "
        f"Map over batches, or raise DAG(max_map_length=), at most {MAP_LENGTH_MAX:,}"
    )


# ---- the task's side: which one ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """The element itself: of a literal, or the fill value of a zip. A dict's is a (key, value) pair."""

    value: Any


@dataclass(frozen=True, slots=True)
class Fetch:
    """Element ``index`` of what ``task_id`` pushed under ``key``.

    Of an unmapped task: that item of its list, or that (key, value) pair of its dict. Of a mapped one: the
    value of its ``index``-th successful instance.
    """

    task_id: str
    key: str
    index: int


@dataclass(frozen=True, slots=True)
class Apply:
    """The author's function called with ``element``."""

    function: str
    element: Element


@dataclass(frozen=True, slots=True)
class Together:
    """A tuple of elements, one from each zipped source."""

    elements: tuple[Element, ...]


Element: TypeAlias = Value | Fetch | Apply | Together


def product_position(index: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Return the position in each argument of instance ``index``: the last argument moves fastest.

    ``IndexError`` when the index is not below the product of the lengths.
    """
    if not 0 <= index < prod(lengths):
        raise IndexError(f"map index {index} is not below {prod(lengths)}, the number of instances")
    position: list[int] = []
    for one in reversed(lengths):
        index, here = divmod(index, one)
        position.append(here)
    return tuple(reversed(position))


def elements(expand: ExpandSpec, index: int, lookup: Lookup) -> dict[str, Element]:
    """Return argument name -> what to fetch for instance ``index``; ``expand_kwargs`` has one name, ``""``.

    Every source must be finished: ``ValueError`` with the reason otherwise. ``IndexError`` past the end.
    """
    lengths = argument_lengths(expand, lookup)
    if lengths is None or isinstance(lengths, Problem):
        raise ValueError(str(lengths or "an input of the mapping is not finished"))
    position = product_position(index, lengths)
    return {
        name: locate(source, here, lookup)
        for (name, source), here in zip(expand.inputs, position, strict=True)
    }


def locate(source: ExpandInput, index: int, lookup: Lookup) -> Element:
    """Return which element of which source stands at ``index`` of ``source``; it must be a finished one.

    ``IndexError`` when ``source`` is not that long.
    """
    match source:
        case LiteralInput(value=value):
            return Value(list(value.items())[index] if isinstance(value, dict) else value[index])
        case RefInput(task_id=task_id, key=key):
            return Fetch(task_id, key, index)
        case MapInput(source=inner, function=function):
            return Apply(function, locate(inner, index, lookup))
        case ZipInput(sources=sources, fill=fill, fill_value=fill_value):
            return Together(
                tuple(
                    Value(fill_value) if fill and index >= _known(one, lookup) else locate(one, index, lookup)
                    for one in sources
                )
            )
        case ConcatInput(sources=sources):
            return _locate_in_row(sources, index, lookup)
        case _:
            assert_never(source)


def _locate_in_row(sources: Sequence[ExpandInput], index: int, lookup: Lookup) -> Element:
    rest = index
    for source in sources:
        here = _known(source, lookup)
        if rest < here:
            return locate(source, rest, lookup)
        rest -= here
    raise IndexError(f"map index {index} lies past the end of the joined inputs")


def _known(source: ExpandInput, lookup: Lookup) -> int:
    found = input_length(source, lookup)
    if not isinstance(found, int):
        raise ValueError(str(found or "an input of the mapping is not finished"))  # noqa: TRY004 - about a state
    return found
