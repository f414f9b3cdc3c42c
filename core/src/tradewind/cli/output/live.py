"""Draws the same lines again and again in place: cursor up, clear, write."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from tradewind.cli.output import terminal

_UP_AND_CLEAR = "\x1b[{}F\x1b[J"


class Live:
    """A picture on the terminal that is replaced by the next one; the last one stays."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._drawn = 0
        self._last: list[str] = []

    def draw(self, lines: Sequence[str]) -> None:
        """Replace what is shown. Lines are cut to the terminal, and there are never more than it is high."""
        columns, rows = terminal.width(), terminal.height() - 1
        shown = [line if terminal.visible(line) <= columns else _cut(line, columns) for line in lines][:rows]
        if shown == self._last:
            return
        back = _UP_AND_CLEAR.format(self._drawn) if self._drawn else ""
        self._stream.write(back + "".join(f"{line}\n" for line in shown))
        self._stream.flush()
        self._drawn = len(shown)
        self._last = shown


def _cut(line: str, columns: int) -> str:
    """Cut a line with styles: the styles go, the text stays."""
    return terminal.cut(terminal.unstyled(line), columns)
