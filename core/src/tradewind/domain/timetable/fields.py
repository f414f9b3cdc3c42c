"""Reads a cron expression into its fields, and says which field of a bad one is wrong.

croniter reads the fields; what it leaves to chance or reads in a surprising way is settled here: random and
hashed values are refused, ``5-5`` means 5 (croniter: every value), a year field is refused, and so are an
expression that never fires and a day rule that its dialect and others combine differently.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from tradewind.domain.timetable.wall import LAST, CronFields, DayRule
from tradewind.errors import ScheduleError

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

EXPRESSION_LENGTH_MAX = (
    256  # longer than any hand-written one; keeps a mistaken file's content out of messages
)

_FIELDS = (
    ("minute", "0-59", range(60)),
    ("hour", "0-23", range(24)),
    ("day of month", "1-31, L (the last day) or 15W (the weekday nearest to the 15th)", range(1, 32)),
    ("month", "1-12 or jan-dec", range(1, 13)),
    (
        "day of week",
        "0-7 (0 and 7 are Sunday) or sun-sat, 5#2 (the second Friday) or L5 (the last Friday)",
        range(7),
    ),
    ("second", "0-59", range(60)),
)
_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY, _SECOND = range(6)
_FORMS = '"*", a list "1,2", a range "1-5" or a step "*/2"'
_CHANCE = re.compile(r"^[hr](\(.*\))?(/.*)?$", re.ASCII)
_RANGE_OF_ONE = re.compile(r"^0*(\w+)-0*\1(/\d+)?$", re.ASCII)
_NEAREST_WEEKDAY = re.compile(r"^(\d+w|w\d+)$", re.ASCII)
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_SEARCHED_FROM = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall time has no zone yet


def expand_preset(expr: str) -> str:
    """Return the five fields of a preset such as ``@daily``, and anything else only stripped."""
    text = expr.strip()
    return PRESETS.get(text.lower(), text)


@lru_cache(maxsize=4096)
def compile_cron(expr: str) -> CronFields:
    """Return ``expr`` (5 fields, or 6 with the seconds last, or a preset) read into its fields.

    Raises ScheduleError that names the bad field, its text and what is allowed there.
    """
    if len(expr) > EXPRESSION_LENGTH_MAX:
        raise ScheduleError(
            f"A cron expression has at most {EXPRESSION_LENGTH_MAX} characters; this one has {len(expr)}: "
            f"{expr[:40]!r}… Use a list of shorter ones."
        )
    texts = _split(expr)
    values, nth = _read(expr, texts)
    fields = CronFields(
        seconds=_numbers(values[_SECOND], _SECOND) if len(texts) == len(_FIELDS) else (0,),
        minutes=_numbers(values[_MINUTE], _MINUTE),
        hours=_numbers(values[_HOUR], _HOUR),
        months=_numbers(values[_MONTH], _MONTH),
        day_rule=_day_rule(expr, texts, values, nth),
    )
    if fields.first_from(_SEARCHED_FROM) is None:
        raise ScheduleError(
            f'Cron "{expr}" never fires: no month "{_texts(expr)[_MONTH]}" has a day "{_texts(expr)[_DAY]}". '
            "Use L for the last day of a month, or correct the day of month or the month."
        )
    return fields


def _split(expr: str) -> list[str]:
    """Return the fields' texts in lower case; refuses what croniter would take in another sense."""
    text = expand_preset(expr)
    if text.startswith("@"):
        raise ScheduleError(f'Cron "{expr}" is not a preset. Presets: {", ".join(PRESETS)}.')
    texts = [part.lower() for part in _texts(expr)]
    if len(texts) not in (5, 6):
        raise ScheduleError(
            f'Cron "{expr}" has {len(texts)} field{"" if len(texts) == 1 else "s"}. Give 5 (minute, hour, '
            "day of month, month, day of week), or 6 with the second as the last."
        )
    for index, field in enumerate(texts):
        parts = field.split(",")
        if any(_CHANCE.match(part) for part in parts):
            raise _bad_field(
                expr, index, "asks for a random or hashed value, which is not the same everywhere"
            )
        texts[index] = ",".join(_RANGE_OF_ONE.sub(r"\1", part) for part in parts)
    return texts


def _texts(expr: str) -> list[str]:
    """Return the fields as the author wrote them."""
    return [part for part in _BLANKS.split(expand_preset(expr)) if part]


def _read(expr: str, texts: list[str]) -> tuple[list[list[Any]], dict[Any, set[Any]]]:
    try:
        return _expand(texts)
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        for index, text in enumerate(texts):
            alone = ["*"] * 6
            alone[index] = text
            try:
                _expand(alone)
            except (ValueError, LookupError, TypeError, ArithmeticError):
                raise _bad_field(expr, index, "is not valid") from error
        raise ScheduleError(f'Cron "{expr}" cannot be read: {error}.') from error


def _expand(texts: list[str]) -> tuple[list[list[Any]], dict[Any, set[Any]]]:
    from croniter import croniter  # 33 ms, which a DAG without a cron should not pay

    values, nth = croniter.expand(" ".join(texts))
    return values, nth


def _bad_field(expr: str, index: int, problem: str) -> ScheduleError:
    name, allowed, _ = _FIELDS[index]
    text = _texts(expr)[index]
    return ScheduleError(f'Cron "{expr}": {name} "{text}" {problem}. Allowed: {allowed}, {_FORMS}.')


def _numbers(values: list[Any], index: int) -> tuple[int, ...]:
    """Return one field's values, all of them for ``*``."""
    return tuple(_FIELDS[index][2]) if "*" in values else tuple(sorted(values))


def _day_rule(expr: str, texts: list[str], values: list[list[Any]], nth: dict[Any, set[Any]]) -> DayRule:
    days, weekdays = values[_DAY], values[_WEEKDAY]
    nearest = _NEAREST_WEEKDAY.match(texts[_DAY]) is not None
    any_day, any_weekday = "*" in days, "*" in weekdays and not nth
    if nth and set(weekdays) != set(nth):
        raise _bad_field(expr, _WEEKDAY, 'mixes plain days and days with "#" or "L"')
    if (nth and not any_day) or (nearest and not any_weekday):
        own = _texts(expr)
        raise ScheduleError(
            f'Cron "{expr}": day of month "{own[_DAY]}" and day of week "{own[_WEEKDAY]}" cannot be '
            "combined, because cron dialects disagree on what it means. Give a list of two crons, each with "
            '"*" in one of them.'
        )
    numbers = tuple(sorted(day for day in days if isinstance(day, int)))
    return DayRule(
        days=None if any_day or nearest or not numbers else numbers,
        last_day=not any_day and "l" in days,
        nearest_weekday_to=days[0] if nearest else None,
        weekdays=None if any_weekday or nth else tuple(sorted(weekdays)),
        nth_weekdays=tuple(
            sorted((day, LAST if n == "l" else n) for day, all_n in nth.items() for n in all_n)
        ),
    )
