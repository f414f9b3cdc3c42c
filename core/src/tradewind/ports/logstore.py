"""The seam to task logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class LogStore(Protocol):
    """Append-only logs of attempts, readable while they grow.

    A log is JSON lines: ``{"at": ISO, "level": "info", "stream": …, "logger": …, "message": …}``; the stream is one of
    log, stdout, stderr, system.
    """

    def append(self, key: str, data: bytes) -> None:
        """Add whole lines to the log ``key``; creates it. Readable by others when this returns."""
        ...

    def size(self, key: str) -> int | None:
        """Return the bytes there are, None when there is no such log."""
        ...

    def read(self, key: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        """Return up to ``limit`` bytes from ``offset``; empty at the end."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the logs under a prefix, sorted."""
        ...
