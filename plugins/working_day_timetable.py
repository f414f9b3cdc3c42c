"""An example plugin: runs on working days only, and the next working day as a macro.

In a DAG file: ``schedule=CustomSpec("working_days", {"at": "06:00", "timezone": "Europe/Berlin",
"holidays": ["2026-12-25"]})``; in a template: ``{{ next_working_day(ds) }}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tradewind.domain.timetable import Cron
from tradewind.hookspecs import Declared, TemplateName, hookimpl

HOLIDAYS_MAX = 1_000  # more in a row than this is a mistake, not a calendar
SATURDAY = 5


class WorkingDays(NamedTuple):
    """Monday to Friday at one time of day, holidays left out."""

    cron: Cron
    zone: ZoneInfo
    holidays: frozenset[date]

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the next working day's tick."""
        tick = self.cron.next_after(instant)
        while tick is not None and self._is_holiday(tick):
            tick = self.cron.next_after(tick)
        return tick

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return the last working day's tick."""
        tick = self.cron.previous_at_or_before(instant)
        while tick is not None and self._is_holiday(tick):
            tick = self.cron.previous_at_or_before(tick - timedelta(seconds=1))
        return tick

    def describe(self) -> str:
        """Return the schedule in words."""
        free = f", {len(self.holidays)} holidays left out" if self.holidays else ""
        return f"working days: {self.cron.describe()}{free}"

    def _is_holiday(self, tick: datetime) -> bool:
        return tick.astimezone(self.zone).date() in self.holidays


def working_days(at: str = "00:00", timezone: str = "UTC", holidays: Sequence[str] = ()) -> WorkingDays:
    """Return the timetable; raises ``ValueError`` for a time or date that is none."""
    if len(holidays) > HOLIDAYS_MAX:
        raise ValueError(f"{len(holidays)} holidays; at most {HOLIDAYS_MAX} make sense")
    hour, minute = (int(part) for part in at.split(":"))
    days = frozenset(date.fromisoformat(day) for day in holidays)
    return WorkingDays(Cron(f"{minute} {hour} * * 1-5", timezone), ZoneInfo(timezone), days)


def next_working_day(day: str | date) -> str:
    """Return the first Monday to Friday after a day, as ISO text."""
    following = (date.fromisoformat(day) if isinstance(day, str) else day) + timedelta(days=1)
    while following.weekday() >= SATURDAY:
        following += timedelta(days=1)
    return following.isoformat()


@hookimpl
def tradewind_timetables() -> list[Declared]:
    """Offer the timetable to DAGs."""
    return [
        Declared(
            name="working_days",
            target=f"{__name__}:working_days",
            summary="Monday to Friday, holidays left out.",
        )
    ]


@hookimpl
def tradewind_template_names() -> list[TemplateName]:
    """Offer the macro to templates."""
    return [
        TemplateName(
            name="next_working_day",
            target=f"{__name__}:next_working_day",
            summary="The next Monday to Friday.",
        )
    ]
