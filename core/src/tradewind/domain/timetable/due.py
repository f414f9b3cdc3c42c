"""Which ticks of a timetable are due now, and when the next one will be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from tradewind.domain.timetable.instants import Continuous, Once
from tradewind.domain.timetable.protocol import Timetable
from tradewind.errors import PluginError

_TINY = timedelta(microseconds=1)  # the step of Python's datetimes: later than t - _TINY means not before t


def due_ticks(
    timetable: Timetable,
    *,
    after: datetime | None,
    now: datetime,
    start: datetime | None,
    end: datetime | None,
    catchup: bool | timedelta,
    limit: int,
    first_seen: datetime | None = None,
) -> tuple[list[datetime], datetime | None]:
    """Return the ticks to make runs for, oldest first and at most ``limit``, and the tick to wake up for.

    ``after`` is the last tick that already has a run (the cursor; None: none yet): only later ticks count,
    whatever schedule made it, so a changed schedule goes on from there on its new grid and makes no tick
    twice. ``start`` and ``end`` (both included) bound the ticks. Without cursor and start nothing before
    ``first_seen`` is due (the moment the DAG became known; None: now).

    ``catchup`` False gives only the newest missed tick, True all of them, a timedelta those not older than
    that. The second value is the first tick that was not returned and will have to be: in the future, or
    already past when ``limit`` cut the list (then ask again with the new cursor); None when there is no more.
    A Continuous timetable has no ticks: ``([], None)``.

    All instants are aware; ``limit`` is at least 1. Raises PluginError when a plugin's timetable breaks its
    promise.
    """
    assert limit >= 1, "a limit below 1 could never make progress"
    if isinstance(timetable, Continuous):
        return [], None
    if isinstance(timetable, Once) and timetable.at is None:
        timetable = Once(start or first_seen or now)
    floor = _floor(after, start, first_seen or now)
    if catchup is False:
        return _newest(timetable, floor, now, end), _next(timetable, max(floor, now), end)
    if isinstance(catchup, timedelta):
        floor = max(floor, _earlier(_earlier(now, catchup), _TINY))
    due = list(islice(takewhile(lambda tick: tick <= now, _later(timetable, floor, end)), limit))
    return due, _next(timetable, due[-1] if due else floor, end)


def data_interval(timetable: Timetable, tick: datetime) -> tuple[datetime, datetime]:
    """Return [previous tick, ``tick``), which is empty when there is no previous tick."""
    previous = timetable.previous_at_or_before(_earlier(tick, _TINY))
    return (tick if previous is None else previous), tick


def _floor(after: datetime | None, start: datetime | None, first_seen: datetime) -> datetime:
    """Return the instant that every tick must be later than."""
    floors = [] if after is None else [after]
    if start is not None:
        floors.append(_earlier(start, _TINY))
    return max(floors, default=_earlier(first_seen, _TINY))


def _newest(timetable: Timetable, floor: datetime, now: datetime, end: datetime | None) -> list[datetime]:
    latest = now if end is None else min(now, end)
    tick = timetable.previous_at_or_before(latest)
    if tick is not None and (tick.tzinfo is None or tick > latest):
        raise _broken(timetable, "previous_at_or_before", latest, tick)
    return [tick] if tick is not None and tick > floor else []


def _later(timetable: Timetable, floor: datetime, end: datetime | None) -> Iterator[datetime]:
    tick = _next(timetable, floor, end)
    while tick is not None:
        yield tick
        tick = _next(timetable, tick, end)


def _next(timetable: Timetable, instant: datetime, end: datetime | None) -> datetime | None:
    tick = timetable.next_after(instant)
    if tick is not None and (tick.tzinfo is None or tick <= instant):
        raise _broken(timetable, "next_after", instant, tick)
    return None if tick is None or (end is not None and tick > end) else tick


def _earlier(instant: datetime, by: timedelta) -> datetime:
    """Return ``instant - by``, or the beginning of the calendar when that lies before it."""
    try:
        return instant - by
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _broken(timetable: Timetable, method: str, asked: datetime, answer: datetime) -> PluginError:
    return PluginError(
        f"The timetable {type(timetable).__name__} answered {method}({asked}) with {answer}: ticks have a "
        "time zone, and lie after the instant asked for (next_after) or not after it (previous_at_or_before)."
    )
