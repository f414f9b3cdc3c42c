"""What every timetable promises: strictly increasing instants, found without I/O or a clock."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable


@runtime_checkable
class Timetable(Protocol):
    """Ticks in strictly increasing order, each an aware UTC datetime.

    The same question always has the same answer. Instants given may be in any zone, but must be aware.
    """

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the smallest tick later than ``instant``, or None when there is no more."""
        ...

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return the greatest tick not later than ``instant``, or None when there is none."""
        ...

    def describe(self) -> str:
        """Return the schedule in human words, such as ``every day at 06:00 (Europe/Berlin)``."""
        ...
