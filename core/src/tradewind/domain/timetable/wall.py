"""Which wall times a cron expression names, as an endless sequence that can be walked both ways."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, datetime, timedelta
from functools import lru_cache

import msgspec

from tradewind.domain.timetable.zones import YEAR_MAX, YEAR_MIN

LAST = -1  # the "nth" weekday of a month that is its last
HOURS_PER_DAY = 24
MINUTES_PER_HOUR = SECONDS_PER_MINUTE = 60
FEBRUARY, DECEMBER = 2, 12
SUNDAY, SATURDAY = 0, 6  # as cron counts

_MONTHS_SEARCHED_MAX = 400 * 12  # the calendar repeats after 400 years: what is not found by then never comes
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTH_SHAPES_KEPT = 8192  # 28 shapes of months for some 300 different rules

_Day = tuple[int, int, int]


class DayRule(msgspec.Struct, frozen=True):
    """Which days of a month count. Weekdays are numbered as in cron: 0 is Sunday.

    ``days`` and ``weekdays`` are None where the field is ``*``; with both, a day that fits either counts.
    """

    days: tuple[int, ...] | None = None
    last_day: bool = False
    nearest_weekday_to: int | None = None
    weekdays: tuple[int, ...] | None = None
    nth_weekdays: tuple[tuple[int, int], ...] = ()  # (weekday, 1 to 5 or LAST)

    @property
    def by_day(self) -> bool:
        """Whether the day-of-month field says anything."""
        return self.days is not None or self.last_day or self.nearest_weekday_to is not None

    @property
    def by_week(self) -> bool:
        """Whether the day-of-week field says anything."""
        return self.weekdays is not None or bool(self.nth_weekdays)


class CronFields(msgspec.Struct, frozen=True):
    """A cron expression, read: sorted values per field. Without a month that has a matching day, no match."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    day_rule: DayRule

    @property
    def every_hour(self) -> bool:
        """Whether every hour of a matching day has a tick."""
        return len(self.hours) == HOURS_PER_DAY

    def first_from(self, wall: datetime) -> datetime | None:
        """Return the earliest match not before ``wall``; None when there is none up to YEAR_MAX."""
        if wall.microsecond:
            wall = wall.replace(microsecond=0) + timedelta(seconds=1)
        if self._has_day(wall):
            moment = self._moment_from(wall.hour, wall.minute, wall.second)
            if moment is not None:
                return _wall(wall.year, wall.month, wall.day, *moment)
        day = self._day_after(wall)
        return None if day is None else _wall(*day, self.hours[0], self.minutes[0], self.seconds[0])

    def last_until(self, wall: datetime) -> datetime | None:
        """Return the latest match not after ``wall``; None when there is none down to YEAR_MIN."""
        if self._has_day(wall):
            moment = self._moment_until(wall.hour, wall.minute, wall.second)
            if moment is not None:
                return _wall(wall.year, wall.month, wall.day, *moment)
        day = self._day_before(wall)
        return None if day is None else _wall(*day, self.hours[-1], self.minutes[-1], self.seconds[-1])

    def _has_day(self, wall: datetime) -> bool:
        return wall.month in self.months and wall.day in _days_of(self.day_rule, wall.year, wall.month)

    def _moment_from(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        if hour in self.hours:
            if minute in self.minutes:
                index = bisect_left(self.seconds, second)
                if index < len(self.seconds):
                    return hour, minute, self.seconds[index]
            index = bisect_right(self.minutes, minute)
            if index < len(self.minutes):
                return hour, self.minutes[index], self.seconds[0]
        index = bisect_right(self.hours, hour)
        return (self.hours[index], self.minutes[0], self.seconds[0]) if index < len(self.hours) else None

    def _moment_until(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        if hour in self.hours:
            if minute in self.minutes:
                index = bisect_right(self.seconds, second)
                if index:
                    return hour, minute, self.seconds[index - 1]
            index = bisect_left(self.minutes, minute)
            if index:
                return hour, self.minutes[index - 1], self.seconds[-1]
        index = bisect_left(self.hours, hour)
        return (self.hours[index - 1], self.minutes[-1], self.seconds[-1]) if index else None

    def _day_after(self, wall: datetime) -> _Day | None:
        year, month, day = wall.year, wall.month, wall.day
        for _ in range(_MONTHS_SEARCHED_MAX + 1):
            if month in self.months:
                days = _days_of(self.day_rule, year, month)
                index = bisect_right(days, day)
                if index < len(days):
                    return year, month, days[index]
            day = 0
            year, month = (year, month + 1) if month < DECEMBER else (year + 1, 1)
            if year > YEAR_MAX:
                return None
        return None

    def _day_before(self, wall: datetime) -> _Day | None:
        year, month, day = wall.year, wall.month, wall.day
        for _ in range(_MONTHS_SEARCHED_MAX + 1):
            if month in self.months:
                days = _days_of(self.day_rule, year, month)
                index = bisect_left(days, day)
                if index:
                    return year, month, days[index - 1]
            day = 32
            year, month = (year, month - 1) if month > 1 else (year - 1, DECEMBER)
            if year < YEAR_MIN:
                return None
        return None


def _wall(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime:
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - a wall time has no zone yet


def _days_of(rule: DayRule, year: int, month: int) -> tuple[int, ...]:
    length = _LENGTHS[month]
    if month == FEBRUARY and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        length = 29
    return _matching_days(rule, length, date(year, month, 1).isoweekday() % 7)


@lru_cache(maxsize=_MONTH_SHAPES_KEPT)
def _matching_days(rule: DayRule, length: int, first_weekday: int) -> tuple[int, ...]:
    """Return the matching days of a month of ``length`` days that begins on ``first_weekday``, in order."""
    if not rule.by_day and not rule.by_week:
        return tuple(range(1, length + 1))
    matching: set[int] = set()
    if rule.by_day:
        matching.update(day for day in rule.days or () if day <= length)
        if rule.last_day:
            matching.add(length)
        if rule.nearest_weekday_to is not None:
            matching.add(_nearest_weekday(min(rule.nearest_weekday_to, length), length, first_weekday))
    if rule.by_week:
        weekdays = rule.weekdays or ()
        matching.update(day for day in range(1, length + 1) if (first_weekday + day - 1) % 7 in weekdays)
        for weekday, nth in rule.nth_weekdays:
            occurrences = range((weekday - first_weekday) % 7 + 1, length + 1, 7)
            if nth == LAST:
                matching.add(occurrences[-1])
            elif nth <= len(occurrences):
                matching.add(occurrences[nth - 1])
    return tuple(sorted(matching))


def _nearest_weekday(day: int, length: int, first_weekday: int) -> int:
    """Return the day from Monday to Friday that is nearest to ``day`` without leaving the month."""
    weekday = (first_weekday + day - 1) % 7
    if weekday == SATURDAY:  # Saturday: the Friday before, or the Monday after the first
        return day - 1 if day > 1 else day + 2
    if weekday == SUNDAY:  # Sunday: the Monday after, or the Friday before the last
        return day + 1 if day < length else day - 2
    return day
