"""Plain constants as text that is the same in every process, for fingerprints of code."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import Enum
from types import CodeType
from typing import Any

_TEXT_CHARS_MAX = 100_000  # of one constant; longer ones count by their beginning and length
_ITEMS_MAX = 20_000  # of one constant, counted through; what follows is not looked at
_SET_ITEM_MAX = 100  # of one item of a set, which has no order to be cut in
_SCALARS = (str, bytes, int, float, complex, bool, type(None), type(...))


@functools.lru_cache(maxsize=8)
def literals_of(module: CodeType) -> frozenset[str]:
    """Return every constant that is written in a module's text, as :func:`scalar_text` has it."""
    found: set[str] = set()
    waiting: list[Any] = [module]
    while waiting:
        one = waiting.pop()
        if isinstance(one, CodeType):
            waiting.extend(one.co_consts)
        elif isinstance(one, tuple | frozenset):
            waiting.extend(one)
        elif type(one) in _SCALARS:
            found.add(scalar_text(one))
    return frozenset(found)


def scalar_text(value: Any) -> str:
    """Return a text or number as Python writes it, cut when it is long."""
    if isinstance(value, str | bytes) and len(value) > _TEXT_CHARS_MAX:
        return f"{value[:_TEXT_CHARS_MAX]!r} of {len(value)}"
    return repr(value)


def constant_text(value: Any, literals: frozenset[str] | None = None) -> str:
    """Return ``value`` as text; of other objects the type.

    With ``literals``, only texts and numbers among them count by value: a global that is computed when the file is
    read (the time, the environment) may be another one in each process, one that is written down is not.
    """
    return _Writer(literals, _ITEMS_MAX).text(value)


@dataclass
class _Writer:
    literals: frozenset[str] | None
    left: int

    def text(self, value: Any) -> str:
        self.left -= 1
        if self.left < 0:
            return "…"
        kind = type(value)
        if kind in _SCALARS:
            text = scalar_text(value)
            return text if self.literals is None or text in self.literals else kind.__name__
        if kind in {tuple, list}:
            return f"{kind.__name__}[{', '.join(self.text(item) for item in value[: self.left + 1])}] of {len(value)}"
        if kind in {set, frozenset}:
            items = sorted(_Writer(self.literals, _SET_ITEM_MAX).text(item) for item in value)
            return f"set[{', '.join(items)}]"
        if kind is dict:
            pairs = zip(range(self.left + 1), value.items(), strict=False)
            return (
                f"dict[{', '.join(f'{self.text(k)}: {self.text(v)}' for _, (k, v) in pairs)}] of {len(value)}"
            )
        if isinstance(value, Enum):
            return f"{kind.__qualname__}.{value.name} = {self.text(value.value)}"
        return kind.__qualname__
