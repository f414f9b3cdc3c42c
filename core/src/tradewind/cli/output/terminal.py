"""What the terminal can show: its width, and whether colours are wanted."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from typing import TextIO

_RESET = "\x1b[0m"
_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_STATES = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "yellow",
    "unknown": "red",
    "running": "cyan",
    "queued": "blue",
    "scheduled": "blue",
    "up_for_retry": "yellow",
    "up_for_reschedule": "magenta",
    "deferred": "magenta",
    "awaiting_input": "magenta",
    "cancelled": "yellow",
    "paused": "yellow",
    "skipped": "dim",
    "removed": "dim",
    "none": "dim",
}
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MARKS = {"success": "✓", "failed": "✗", "running": "▶", "skipped": "–", "up_for_retry": "↻"}


def is_live(stream: TextIO | None = None) -> bool:
    """Whether progress may be drawn: a terminal that can move its cursor."""
    out = stream or sys.stdout
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def has_colour(stream: TextIO | None = None) -> bool:
    """Whether colours may be written."""
    return is_live(stream) and not os.environ.get("NO_COLOR")


def width() -> int:
    """Return how many characters fit into a line; wide when nobody looks."""
    return shutil.get_terminal_size((120, 40)).columns if sys.stdout.isatty() else 10_000


def height() -> int:
    """Return how many lines there are."""
    return shutil.get_terminal_size((120, 40)).lines


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """Return the text in a style (several words join), or as it is where there are no colours."""
    codes = ";".join(_STYLES[word] for word in style.split())
    return f"\x1b[{codes}m{text}{_RESET}" if codes and has_colour(stream) else text


def state_text(state: str) -> str:
    """Return a state's name in its colour."""
    return styled(state, _STATES.get(state, ""))


def state_style(state: str) -> str:
    """Return the style of a state."""
    return _STATES.get(state, "")


def state_mark(state: str) -> str:
    """Return a sign for a state, so that colour is never the only difference."""
    return _MARKS.get(state, "·")


def visible(text: str) -> int:
    """Return how many columns a text takes."""
    plain = _ESCAPES.sub("", text)
    if plain.isascii():
        return len(plain)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in plain
    )


def unstyled(text: str) -> str:
    """Return a text without styles."""
    return _ESCAPES.sub("", text)


def harmless(text: str) -> str:
    """Return a text from elsewhere without control characters: a log line must not drive the terminal."""
    return _CONTROLS.sub("�", text)


def cut(text: str, columns: int) -> str:
    """Return the text in at most so many columns; what is cut ends with an ellipsis. For text without styles."""
    if visible(text) <= columns:
        return text
    kept = ""
    for one in text:
        if visible(kept + one) > columns - 1:
            break
        kept += one
    return kept + "…" if columns > 0 else ""
