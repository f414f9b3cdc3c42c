"""The seam to time, ids and randomness."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time and monotonic time. The only source of "now" for everything but the adapters themselves."""

    def now(self) -> datetime:
        """Return the wall time as an aware UTC datetime."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go backwards; for durations and trust windows."""
        ...
