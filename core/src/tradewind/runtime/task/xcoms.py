"""Reads what other tasks pushed: one value, one element of a list, or many values as a lazy sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

import msgspec

from tradewind.domain.records import MapIndex
from tradewind.errors import RuntimeApiError
from tradewind.runtime.task.data import DataClient
from tradewind.runtime.task.values import NO_TYPES, Types, decode

PAGE_ROWS = 1_000  # rows of one question: some hundred kilobytes with usual values

Row = tuple[MapIndex, str]


class Missing:
    """The one value that says: nothing was pushed."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class XComs:
    """Asks for XComs of this run (or of another, by ``dag_id`` and ``run_id``)."""

    def __init__(self, data: DataClient, types: Types = NO_TYPES, **where: str) -> None:
        self._data = data
        self.types = types
        self._where = where

    def of_run(self, **where: str) -> XComs:
        """Return a reader for another run."""
        return XComs(self._data, self.types, **where)

    def value(self, task_id: str, key: str, index: MapIndex) -> Any:
        """Return the value that instance pushed, MISSING when it pushed none."""
        rows = self._ask(task_id, key, map_index=list(index))
        found = next((text for row_index, text in rows if row_index == index), None)
        return MISSING if found is None else decode(found, self.types)

    def rows(self, task_id: str, key: str, prefix: MapIndex, offset: int, limit: int) -> list[Row]:
        """Return the rows below ``prefix`` in index order, from ``offset`` on, at most ``limit``."""
        found = self._ask(task_id, key, map_index=None, prefix=list(prefix), offset=offset, limit=limit)
        below = sorted(row for row in found if row[0][: len(prefix)] == prefix)
        return below[offset : offset + limit] if len(found) > limit else below

    def read(self, row: Row) -> Any:
        """Return the value of a row."""
        return decode(row[1], self.types)

    def many(self, task_id: str, key: str, prefix: MapIndex = ()) -> LazyXCom:
        """Return the values of all instances below ``prefix`` that pushed one, in index order, fetched when used."""
        return LazyXCom(self, task_id, key, prefix)

    def element(self, task_id: str, key: str, index: MapIndex, position: int) -> Any:
        """Return element ``position`` of the list (or of the dict's pairs) that one instance pushed.

        ``IndexError`` when the list is shorter, MISSING when nothing was pushed.
        """
        answer = self._data.ask(
            "xcom_get", task_id=task_id, key=key, map_index=list(index), item=position, **self._where
        )
        if isinstance(answer, dict):
            return decode(answer["item"], self.types)
        text = next((one for row_index, one in _rows(answer) if row_index == index), None)
        if text is None:
            return MISSING
        value = decode(text, self.types)
        return list(value.items())[position] if isinstance(value, dict) else value[position]

    def _ask(self, task_id: str, key: str, **arguments: Any) -> list[Row]:
        return _rows(self._data.ask("xcom_get", task_id=task_id, key=key, **arguments, **self._where))


def _rows(answer: Any) -> list[Row]:
    try:
        return msgspec.convert(answer, list[tuple[tuple[int, ...], str]], strict=False)
    except msgspec.ValidationError as error:
        raise RuntimeApiError(f"the answer to xcom_get cannot be read: {error}") from None


class LazyXCom(Sequence[Any]):
    """The outputs of a mapped upstream task, in index order; instances that pushed nothing are left out.

    Values are fetched by the thousand, when they are first looked at, and decoded at each access.
    """

    def __init__(self, source: XComs, task_id: str, key: str, prefix: MapIndex) -> None:
        self._source = source
        self._task_id = task_id
        self._key = key
        self._prefix = prefix
        self._found: list[Row] = []
        self._complete = False

    def _fetch(self, size: int | None) -> None:
        while not self._complete and (size is None or len(self._found) < size):
            page = self._source.rows(self._task_id, self._key, self._prefix, len(self._found), PAGE_ROWS)
            self._found += page
            self._complete = len(page) < PAGE_ROWS

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            self._fetch(None)
            return [self._source.read(row) for row in self._found[place]]
        self._fetch(place + 1 if place >= 0 else None)
        return self._source.read(self._found[place])

    def __iter__(self) -> Iterator[Any]:
        place = 0
        while True:
            self._fetch(place + 1)
            if place >= len(self._found):
                return
            yield self._source.read(self._found[place])
            place += 1

    def __len__(self) -> int:
        self._fetch(None)
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<outputs {self._key!r} of the mapped task {self._task_id!r}>"

    @property
    def map_indexes(self) -> list[MapIndex]:
        """The map index of each value."""
        self._fetch(None)
        return [index for index, _text in self._found]
