"""Where in an author's files a call was made: every error of a DAG points there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

_PACKAGE = str(Path(__file__).resolve().parents[1]) + "/"


class Place(NamedTuple):
    """A line of an author's file; ``file`` as Python knows it (usually an absolute path)."""

    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Return ``sales.py:12``, for messages that name a second place."""
        name = Path(self.file).name if self.file else "unknown file"
        return name if self.line is None else f"{name}:{self.line}"


class AuthorWarning(NamedTuple):
    """Something that compiles and will surprise."""

    message: str
    file: str | None = None
    line: int | None = None


NOWHERE = Place()


def author_place() -> Place:
    """Return the innermost calling line that is not Tradewind's own."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads files and costs milliseconds
    while frame is not None:
        code = frame.f_code
        # the __init__ of a dataclass is made of a string, which is no author's file
        generated = code.co_filename == "<string>" and code.co_name.startswith("__")
        if not generated and not code.co_filename.startswith(_PACKAGE):
            return Place(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return NOWHERE


def place_in(file: str | None) -> tuple[Place, str | None, CodeType | None]:
    """Return the innermost calling line inside ``file``, its module's name, and the module's code.

    Each is None when it is not among the callers.
    """
    place, module = Place(file), None
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as above
    while frame is not None:
        if frame.f_code.co_filename == file:
            if place.line is None:
                place, module = Place(file, frame.f_lineno), frame.f_globals.get("__name__")
            if frame.f_code.co_name == "<module>":
                return place, module, frame.f_code
        frame = frame.f_back
    return place, module, None
