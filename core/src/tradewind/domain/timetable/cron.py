"""Cron timetables: wall-clock times of a zone, with a stated answer for hours that are left out or repeated.

What happens at a change of offset:

- An expression that names fixed hours (``30 2 * * *``) fires at each wall time it names. A wall time that
  does not exist fires once at the end of the gap (``gap="forward"``) or not at all (``"skip"``); several such
  times, or one that equals the end of the gap, make one tick. A wall time that exists twice fires at its
  first occurrence (``fold="first"``), its second, or both.
- An expression that has every hour (hour ``*`` or ``*/1``) follows absolute time: it fires whenever the clock
  on the wall shows a matching time, so through both occurrences of a repeated hour, and not for an hour that
  is left out. ``gap`` and ``fold`` say nothing about it.

Ticks are whole seconds, from year 2 to year 9998.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from tradewind.domain.timetable.fields import compile_cron
from tradewind.domain.timetable.spec import CronSpec, FoldPolicy, GapPolicy, MultiCronSpec
from tradewind.domain.timetable.wall import CronFields
from tradewind.domain.timetable.words import cron_in_words
from tradewind.domain.timetable.zones import (
    YEAR_MAX,
    Stretch,
    check_zone,
    naive_utc,
    stretches_back_from,
    stretches_from,
)
from tradewind.errors import ScheduleError

CRONS_MAX = 1000  # in one schedule; each question asks every one of them

_GAPS = ("forward", "skip")
_FOLDS = ("first", "second", "both")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression as a value for ``DAG(schedule=…)`` and as a timetable.

    ``expr`` has 5 fields (minute, hour, day of month, month, day of week), 6 with the second as the **last**
    one, or is a preset such as ``@daily``. When both day fields are given, a day that fits either counts.
    ``timezone`` names a zone of tzdata; None means the DAG's, and UTC without a DAG. Raises ScheduleError.
    """

    expr: str
    timezone: str | None = None
    gap: GapPolicy = "forward"
    fold: FoldPolicy = "first"
    _fields: CronFields = field(init=False, repr=False, compare=False)
    _zone: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.expr, str):
            raise ScheduleError(f"Cron() takes an expression such as '0 6 * * *', not {self.expr!r}.")
        if self.gap not in _GAPS:
            raise ScheduleError(f"Cron(gap={self.gap!r}): gap is one of {', '.join(map(repr, _GAPS))}.")
        if self.fold not in _FOLDS:
            raise ScheduleError(f"Cron(fold={self.fold!r}): fold is one of {', '.join(map(repr, _FOLDS))}.")
        if self.timezone is not None:
            object.__setattr__(self, "timezone", check_zone(self.timezone))
        object.__setattr__(self, "_zone", self.timezone or "UTC")
        object.__setattr__(self, "_fields", compile_cron(self.expr))

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the smallest tick later than ``instant`` (aware)."""
        utc = naive_utc(instant)
        if utc.year > YEAR_MAX:
            return None
        earliest = utc.replace(microsecond=0) + _SECOND
        for stretch in stretches_from(self._zone, earliest):
            tick = self._first_in(stretch, max(earliest, stretch.start_utc))
            if tick is not None:
                return tick.replace(tzinfo=UTC)
        return None

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return the greatest tick not later than ``instant`` (aware)."""
        latest = naive_utc(instant).replace(microsecond=0)
        for stretch in stretches_back_from(self._zone, latest):
            tick = self._last_in(stretch, min(latest, stretch.end_utc - _SECOND))
            if tick is not None:
                return tick.replace(tzinfo=UTC)
        return None

    def describe(self) -> str:
        """Return it in words, with its time zone unless that is UTC."""
        words = cron_in_words(self._fields)
        return words if self._zone == "UTC" else f"{words} ({self._zone})"

    def to_spec(self, timezone: str = "UTC") -> CronSpec:
        """Return the stored form; ``timezone`` is used when the cron names none itself."""
        return CronSpec(" ".join(self.expr.split()), self.timezone or timezone, self.gap, self.fold)

    def _first_in(self, stretch: Stretch, earliest: datetime) -> datetime | None:
        """Return the first tick of the stretch not before ``earliest``, which lies in it."""
        if earliest == stretch.start_utc and self._fires_at_start(stretch):
            return earliest
        low, high = self._walls(stretch)
        wall = self._fields.first_from(max(low, earliest + stretch.offset))
        return None if wall is None or wall >= high else wall - stretch.offset

    def _last_in(self, stretch: Stretch, latest: datetime) -> datetime | None:
        """Return the last tick of the stretch not after ``latest``, which lies in it."""
        low, high = self._walls(stretch)
        wall = self._fields.last_until(min(high - _SECOND, latest + stretch.offset))
        if wall is not None and wall >= low:
            return wall - stretch.offset
        return stretch.start_utc if self._fires_at_start(stretch) else None

    def _walls(self, stretch: Stretch) -> tuple[datetime, datetime]:
        """Return the half-open range of the stretch's wall times in which matches are ticks."""
        low, high = stretch.start_wall, stretch.end_wall
        if not self._fields.every_hour:
            if self.fold == "first":
                low = max(low, stretch.repeats_until_wall)
            elif self.fold == "second":
                high = min(high, stretch.repeated_from_wall)
        return low, high

    def _fires_at_start(self, stretch: Stretch) -> bool:
        """Whether the stretch begins after a gap that swallowed a match which moves to its end."""
        if stretch.offset_before >= stretch.offset or self.gap != "forward" or self._fields.every_hour:
            return False
        swallowed = self._fields.first_from(stretch.repeats_until_wall)
        return swallowed is not None and swallowed < stretch.start_wall


class MultiCron(msgspec.Struct, frozen=True):
    """Several crons as one timetable; an instant that several of them name is one tick."""

    crons: tuple[Cron, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.crons) <= CRONS_MAX:
            raise ScheduleError(f"A schedule of crons has 1 to {CRONS_MAX} of them, not {len(self.crons)}.")

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the smallest tick later than ``instant`` (aware)."""
        ticks = [tick for cron in self.crons if (tick := cron.next_after(instant)) is not None]
        return min(ticks, default=None)

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return the greatest tick not later than ``instant`` (aware)."""
        ticks = [tick for cron in self.crons if (tick := cron.previous_at_or_before(instant)) is not None]
        return max(ticks, default=None)

    def describe(self) -> str:
        """Return each cron in words."""
        return "; ".join(cron.describe() for cron in self.crons)

    def to_spec(self, timezone: str = "UTC") -> MultiCronSpec:
        """Return the stored form; ``timezone`` is used for crons that name none themselves."""
        return MultiCronSpec(tuple(cron.to_spec(timezone) for cron in self.crons))
