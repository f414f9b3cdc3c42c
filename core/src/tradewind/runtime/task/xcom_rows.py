"""The answering side of ``xcom_get``: from the rows there are, give no more than was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

_LISTS_KEPT = 8  # of at most 1 MiB each: the lists that running mappings take their elements from

_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def select_rows(rows: Iterable[tuple[Sequence[int], str]], arguments: dict[str, Any]) -> Any:
    """Return the answer to ``xcom_get`` (see :class:`tradewind.runtime.task.data.DataClient`).

    ``rows`` are (map index, JSON text) in any order. With ``item`` the answer is ``{"item": text}``, one element of
    the list that the first row holds; all rows when that is no list, or is shorter. Without: rows in index order,
    those below ``prefix``, from ``offset`` on, at most ``limit``.
    """
    prefix = list(arguments.get("prefix") or ())
    found = sorted([list(index), text] for index, text in rows)
    if prefix:
        found = [row for row in found if row[0][: len(prefix)] == prefix]
    position = arguments.get("item")
    if position is not None and found:
        elements = _elements(str(found[0][1]))
        if 0 <= position < len(elements):
            return {"item": elements[position].decode()}
    start = arguments.get("offset") or 0
    limit = arguments.get("limit")
    return found[start : None if limit is None else start + limit]


@lru_cache(maxsize=_LISTS_KEPT)
def _elements(text: str) -> tuple[bytes, ...]:
    """Return the elements of a JSON list, each as JSON; none for any other value."""
    if not text.startswith("["):
        return ()
    return tuple(map(bytes, _list_decoder.decode(text)))
