"""What the DAG processor, the parse server and its children tell each other."""

from __future__ import annotations

import msgspec

from tradewind.domain.spec import DagSpec

RESULT_BYTES_MAX = 96 * 1024 * 1024  # of all DAGs of a file; a stored DAG may have 64 MB
OUTPUT_BYTES_MAX = 16 * 1024  # of what a file prints while it is imported; kept for its error
READY = 0  # the number of the server's first message: it can take orders
SOURCE_BYTES_MAX = 4 * 1024 * 1024  # a longer DAG file is data in the wrong place


class ParseLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one file may use while it is parsed, and how many are parsed at once."""

    seconds_max: float = 30.0
    memory_mb_max: int = 2048
    processes: int = 2


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The parse server's first message: how to work."""

    folder: str
    limits: ParseLimits
    plugins_folder: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Parse this text as that file."""

    number: int
    file: str  # relative to the folder
    source: bytes


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One error or warning about a file. ``line`` is a line of that file, if one is to blame."""

    message: str
    line: int | None = None
    traceback: str = ""


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What a child found in a file. ``reads``: what it opened, listed or imported below the folder, relative to it."""

    dags: list[tuple[DagSpec, str]] = []
    errors: list[Finding] = []
    warnings: list[Finding] = []
    reads: list[str] = []


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The server's answer: the child's :class:`Parsed` as JSON, or how the child ended without one."""

    number: int
    parsed: bytes = b""
    death: str = ""
    output: str = ""  # what the file printed, and the interpreter's last words
    seconds: float = 0.0
