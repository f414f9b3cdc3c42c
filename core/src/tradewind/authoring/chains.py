"""Connecting many tasks at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tradewind.authoring.graph import Connectable, Label, LabelledEdge, connect
from tradewind.authoring.place import author_place
from tradewind.errors import ArgumentError


def chain(*items: Any) -> None:
    """Connect one after the other; two lists of equal length side by side are connected pair by pair.

    ``chain(a, [b, c], [d, e], f)`` is ``a >> [b, c]``, ``b >> d``, ``c >> e``, ``[d, e] >> f``. Raises ArgumentError
    for lists of different length.
    """
    for upstream, downstream in _steps(items):
        if not (isinstance(upstream[0], list | tuple) and isinstance(downstream, list | tuple)):
            _link(upstream, downstream)
            continue
        if len(upstream[0]) != len(downstream):
            place = author_place()
            raise ArgumentError(
                f"chain() pairs up lists that follow each other, and these have {len(upstream[0])} and "
                f"{len(downstream)} items. Use chain_linear() or cross_downstream() to connect each with each.",
                file=place.file,
                line=place.line,
            )
        for one, other in zip(upstream[0], downstream, strict=True):
            _link((one, upstream[1]), other)


def chain_linear(*items: Any) -> None:
    """Connect one after the other; of two lists side by side each with each."""
    for upstream, downstream in _steps(items):
        _link(upstream, downstream)


def cross_downstream(from_tasks: Sequence[Any] | Connectable, to_tasks: Sequence[Any] | Connectable) -> None:
    """Let each of ``to_tasks`` wait for each of ``from_tasks``."""
    connect(from_tasks, to_tasks)


def _steps(items: tuple[Any, ...]) -> list[tuple[tuple[Any, Label | None], Any]]:
    """Return ((upstream, label), downstream) pairs; a Label between two items belongs to their edge."""
    plain: list[Any] = []
    labels: dict[int, Label] = {}
    for item in items:
        if isinstance(item, Label):
            labels[len(plain)] = item
        else:
            plain.append(item)
    return [
        ((one, labels.get(number)), other) for number, (one, other) in enumerate(pairwise(plain), start=1)
    ]


def _link(upstream: tuple[Any, Label | None], downstream: Any) -> None:
    item, label = upstream
    if label is None:
        connect(item, downstream)
    else:
        LabelledEdge(label, upstream=item) >> downstream
