"""The seam that tells a sleeping scheduler that the metastore changed."""

from __future__ import annotations

from typing import Protocol


class Wakeup(Protocol):
    """A hint channel: a lost hint costs latency (the poll interval), never correctness."""

    def notify(self) -> None:
        """Hint that rows were committed. Never raises and never blocks."""
        ...

    def fileno(self) -> int | None:
        """Return a descriptor that becomes readable on a hint, or None when only polling works."""
        ...

    def drain(self) -> None:
        """Consume all pending hints."""
        ...

    def close(self) -> None:
        """Release the channel."""
        ...
