"""Timetables with a fixed step of absolute time, which no change of clocks touches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from tradewind.domain.timetable.spec import DeltaSpec
from tradewind.domain.timetable.words import delta_in_words
from tradewind.domain.timetable.zones import naive_utc
from tradewind.errors import ScheduleError

STEP_MIN = timedelta(seconds=1)  # as often as cron can

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Delta(msgspec.Struct, frozen=True):
    """A tick at ``anchor`` (aware; None: 1970-01-01T00:00Z) and every ``step`` before and after it.

    Raises ScheduleError for a step below one second.
    """

    step: timedelta
    anchor: datetime | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.step, timedelta) or self.step < STEP_MIN:
            raise ScheduleError(f"A schedule's timedelta is at least 1 second; got {self.step!r}.")
        if self.anchor is not None and self.anchor.tzinfo is None:
            raise ScheduleError(f"The anchor of a timedelta needs a time zone; {self.anchor!r} has none.")

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the smallest tick later than ``instant`` (aware)."""
        return self._tick(self._count_until(instant) + 1)

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return the greatest tick not later than ``instant`` (aware)."""
        return self._tick(self._count_until(instant))

    def describe(self) -> str:
        """Return ``every 15 minutes`` and the like."""
        return delta_in_words(self.step)

    def to_spec(self, timezone: str = "UTC") -> DeltaSpec:
        """Return the stored form; absolute time has no use for ``timezone``."""
        return DeltaSpec(
            self.step.total_seconds(), None if self.anchor is None else self.anchor.astimezone(UTC)
        )

    def _origin(self) -> datetime:
        return naive_utc(self.anchor or _EPOCH)

    def _count_until(self, instant: datetime) -> int:
        return (naive_utc(instant) - self._origin()) // self.step

    def _tick(self, count: int) -> datetime | None:
        try:
            return (self._origin() + count * self.step).replace(tzinfo=UTC)
        except OverflowError:  # beyond the calendar
            return None
