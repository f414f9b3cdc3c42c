"""Schedules in human words, for the page, the command line and ``why``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from tradewind.domain.timetable.wall import (
    DECEMBER,
    HOURS_PER_DAY,
    LAST,
    MINUTES_PER_HOUR,
    SECONDS_PER_MINUTE,
    CronFields,
    DayRule,
)

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))
_NTH = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", LAST: "last"}
_CLOCK_TIMES_MAX = 6  # more are said as a rule, not as a list
_HOURS_AS_STEP_MIN = 4  # "at 00:00 and 12:00" reads better than "every 12 hours"


def cron_in_words(fields: CronFields) -> str:
    """Return ``every day at 06:00``, ``at 06:00 on weekdays``, ``every 15 minutes`` and the like."""
    days = _days(fields)
    clock = _clock_times(fields)
    if clock is not None:
        return f"at {clock} {days}" if days else f"every day at {clock}"
    rhythm = _rhythm(fields)
    return f"{rhythm} {days}" if days else rhythm


def delta_in_words(step: timedelta) -> str:
    """Return ``every 15 minutes``, ``every day``, ``every 1 hour 30 minutes``."""
    parts: list[tuple[str, str]] = []
    rest = step
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append((str(count), unit))
    if rest:
        parts.append((f"{rest / timedelta(seconds=1):g}", "second"))
    if len(parts) == 1 and parts[0][0] == "1":
        return f"every {parts[0][1]}"
    return "every " + " ".join(f"{count} {unit}{'' if count == '1' else 's'}" for count, unit in parts)


def joined(words: Iterable[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    listed = list(words)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _clock_times(fields: CronFields) -> str | None:
    """Return the times of day when they are few and not a rhythm."""
    count = len(fields.hours) * len(fields.minutes) * len(fields.seconds)
    if count > _CLOCK_TIMES_MAX or (
        len(fields.hours) >= _HOURS_AS_STEP_MIN and _step(fields.hours, HOURS_PER_DAY)
    ):
        return None
    with_seconds = fields.seconds != (0,)
    return joined(
        f"{hour:02}:{minute:02}" + (f":{second:02}" if with_seconds else "")
        for hour in fields.hours
        for minute in fields.minutes
        for second in fields.seconds
    )


def _rhythm(fields: CronFields) -> str:
    if fields.seconds == (0,):
        return _hours_and_minutes(fields)
    seconds = _unit(fields.seconds, SECONDS_PER_MINUTE, "second")
    if fields.every_hour and len(fields.minutes) == MINUTES_PER_HOUR:
        return seconds if seconds.startswith("every") else f"every minute {seconds}"
    return f"{seconds} of {_hours_and_minutes(fields)}"


def _hours_and_minutes(fields: CronFields) -> str:
    if len(fields.minutes) == 1:
        if not fields.every_hour and _consecutive(fields.hours):
            minute = f"{fields.minutes[0]:02}"
            return f"every hour from {fields.hours[0]:02}:{minute} to {fields.hours[-1]:02}:{minute}"
        hours = _unit(fields.hours, HOURS_PER_DAY, "hour")
        return (
            hours
            if fields.minutes == (0,)
            else f"{hours} {_unit(fields.minutes, MINUTES_PER_HOUR, 'minute')}"
        )
    minutes = _unit(fields.minutes, MINUTES_PER_HOUR, "minute")
    if fields.every_hour:
        return minutes if minutes.startswith("every") else f"every hour {minutes}"
    if _consecutive(fields.hours):
        return f"{minutes} from {fields.hours[0]:02}:00 to {fields.hours[-1]:02}:59"
    return f"{minutes} of {_unit(fields.hours, HOURS_PER_DAY, 'hour').removeprefix('at ')}"


def _unit(values: Sequence[int], size: int, name: str) -> str:
    """Return ``every minute``, ``every 15 minutes``, ``at minute 5`` or ``at minutes 5 and 35``."""
    step = _step(values, size)
    if step:
        return f"every {name}" if step == 1 else f"every {step} {name}s"
    return f"at {name}{'' if len(values) == 1 else 's'} {joined(map(str, values))}"


def _step(values: Sequence[int], size: int) -> int:
    """Return the step of values that divide the whole evenly from 0, else 0."""
    step = size // len(values)
    evenly = size % step == 0 and tuple(values) == tuple(range(0, size, step))
    return step if evenly and len(values) > 1 else 0


def _consecutive(values: Sequence[int]) -> bool:
    return tuple(values) == tuple(range(values[0], values[-1] + 1))


def _days(fields: CronFields) -> str:
    rule, all_months = fields.day_rule, len(fields.months) == DECEMBER
    months = joined(_MONTHS[month] for month in fields.months)
    parts = [*_by_day(rule, "the month" if all_months or rule.by_week else months), *_by_week(rule)]
    if not parts:
        return "" if all_months else f"every day in {months}"
    words = " or ".join(parts)
    return words if all_months or not rule.by_week else f"{words} in {months}"


def _by_day(rule: DayRule, month: str) -> list[str]:
    parts = []
    if rule.days:
        parts.append(f"on day{'' if len(rule.days) == 1 else 's'} {joined(map(str, rule.days))} of {month}")
    if rule.last_day:
        parts.append(f"on the last day of {month}")
    if rule.nearest_weekday_to is not None:
        parts.append(f"on the weekday nearest to day {rule.nearest_weekday_to} of {month}")
    return parts


def _by_week(rule: DayRule) -> list[str]:
    if rule.nth_weekdays:
        days = joined(f"the {_NTH[nth]} {_WEEKDAYS[weekday]}" for weekday, nth in rule.nth_weekdays)
        return [f"on {days} of the month"]
    if rule.weekdays is None:
        return []
    if rule.weekdays == (1, 2, 3, 4, 5):
        return ["on weekdays"]
    if rule.weekdays == (0, 6):
        return ["on weekends"]
    return ["on " + joined(f"{_WEEKDAYS[weekday]}s" for weekday in rule.weekdays)]
