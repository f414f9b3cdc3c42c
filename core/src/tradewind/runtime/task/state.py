"""The small store of a task that survives its retries, and the steps that are done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from tradewind.runtime.task.data import DataClient
from tradewind.runtime.task.values import Types, decode, encode

STEP_PREFIX = "step:"  # stored results of steps share the store with the author's keys


class State(MutableMapping[str, Any]):
    """``ctx.state``: read once when first used, each change is stored before the assignment returns.

    It belongs to one task instance of one run and is kept over retries; a clear of the task empties it.
    """

    def __init__(self, data: DataClient, types: Types) -> None:
        self._data = data
        self._types = types
        self._texts: dict[str, str] | None = None

    def _known(self) -> dict[str, str]:
        if self._texts is None:
            self._texts = dict(self._data.ask("state_get") or {})
        return self._texts

    def _store(self, key: str, text: str | None) -> None:
        known = self._known()
        self._data.ask("state_set", values={key: text})
        if text is None:
            known.pop(key, None)
        else:
            known[key] = text

    def __getitem__(self, key: str) -> Any:
        return decode(self._known()[key], self._types)

    def __setitem__(self, key: str, value: Any) -> None:
        self._store(_checked(key), encode(value, where=f"state[{key!r}]"))

    def __delitem__(self, key: str) -> None:
        if key not in self._known():
            raise KeyError(key)
        self._store(_checked(key), None)

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._known() if not key.startswith(STEP_PREFIX))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"State({sorted(self)})"

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        """Return the stored result of step ``name``, or call ``function`` and store what it returns.

        A step that raised is done again at the next try. ``ValueProblem`` when its result cannot be stored.
        """
        key = STEP_PREFIX + name
        text = self._known().get(key)
        if text is None:
            text = encode(function(), where=f"the result of step {name!r}")
            self._store(key, text)
        return decode(text, self._types)


def _checked(key: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key of ctx.state is a string, not {type(key).__name__} ({key!r:.40})")
    if key.startswith(STEP_PREFIX):
        raise KeyError(f"keys of ctx.state that begin with {STEP_PREFIX!r} belong to steps; choose another")
    return key
