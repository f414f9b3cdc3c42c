"""Which ticks are due: first runs, missed runs, bounds, limits and changed schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.domain.timetable import (
    Continuous,
    Cron,
    Delta,
    Instants,
    Once,
    Timetable,
    data_interval,
    due_ticks,
)
from tradewind.errors import PluginError


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC)


DAILY = Cron("0 0 * * *")
NOW = at(10, 15)


def ask(timetable: Timetable = DAILY, **arguments: Any) -> tuple[list[datetime], datetime | None]:
    defaults = {"after": None, "now": NOW, "start": None, "end": None, "catchup": False, "limit": 100}
    return due_ticks(timetable, **{**defaults, **arguments})


@pytest.mark.parametrize(
    ("arguments", "due", "next_due"),
    [
        # first runs
        ({"start": at(8)}, [at(10)], at(11)),
        ({"start": at(8), "catchup": True}, [at(8), at(9), at(10)], at(11)),
        ({"start": at(8, 0, 1), "catchup": True}, [at(9), at(10)], at(11)),
        ({"start": at(8), "catchup": timedelta(hours=40)}, [at(9), at(10)], at(11)),
        ({"start": at(8), "catchup": timedelta(hours=39)}, [at(9), at(10)], at(11)),
        ({"start": at(8), "catchup": timedelta(hours=38)}, [at(10)], at(11)),
        ({"start": at(8), "catchup": timedelta(hours=5)}, [], at(11)),
        ({"start": at(8), "catchup": timedelta.max}, [at(8), at(9), at(10)], at(11)),
        ({}, [], at(11)),
        ({"catchup": True}, [], at(11)),
        ({"first_seen": at(9, 23)}, [at(10)], at(11)),
        ({"first_seen": at(10)}, [at(10)], at(11)),
        ({"first_seen": at(10, 0, 1)}, [], at(11)),
        ({"first_seen": at(7, 23), "catchup": True}, [at(8), at(9), at(10)], at(11)),
        ({"start": at(8), "first_seen": at(10, 14), "catchup": True}, [at(8), at(9), at(10)], at(11)),
        ({"start": at(20)}, [], at(20)),
        ({"start": at(20), "catchup": True}, [], at(20)),
        ({"start": at(20, 1), "first_seen": at(1)}, [], at(21)),
        # after the first
        ({"after": at(10), "start": at(8)}, [], at(11)),
        ({"after": at(10), "start": at(8), "catchup": True}, [], at(11)),
        ({"after": at(7), "start": at(1)}, [at(10)], at(11)),
        ({"after": at(7), "start": at(1), "catchup": True}, [at(8), at(9), at(10)], at(11)),
        ({"after": at(7), "catchup": True, "first_seen": at(1)}, [at(8), at(9), at(10)], at(11)),
        ({"after": at(7), "start": at(9), "catchup": True}, [at(9), at(10)], at(11)),
        ({"after": at(12), "start": at(1), "catchup": True}, [], at(13)),
        ({"after": at(12), "start": at(1)}, [], at(13)),
        ({"after": at(9), "now": at(10)}, [at(10)], at(11)),
        # the end is included
        ({"start": at(1), "end": at(10)}, [at(10)], None),
        ({"start": at(1), "end": at(11)}, [at(10)], at(11)),
        ({"start": at(1), "end": at(5, 12)}, [at(5)], None),
        ({"after": at(5), "end": at(5, 12)}, [], None),
        ({"start": at(8), "end": at(9), "catchup": True}, [at(8), at(9)], None),
        ({"start": at(20), "end": at(19)}, [], None),
        # the limit
        ({"start": at(1), "catchup": True, "limit": 3}, [at(1), at(2), at(3)], at(4)),
        ({"start": at(1), "catchup": True, "limit": 10}, [at(day) for day in range(1, 11)], at(11)),
        ({"start": at(1), "end": at(3), "catchup": True, "limit": 3}, [at(1), at(2), at(3)], None),
        ({"start": at(1), "catchup": False, "limit": 1}, [at(10)], at(11)),
        # schedules that end
        ({"timetable": Once(), "start": at(8)}, [at(8)], None),
        ({"timetable": Once(), "start": at(8), "after": at(8)}, [], None),
        ({"timetable": Once(), "start": at(20)}, [], at(20)),
        ({"timetable": Once(), "first_seen": at(10, 14)}, [at(10, 14)], None),
        ({"timetable": Once(), "first_seen": at(10, 14), "after": at(10, 14)}, [], None),
        ({"timetable": Once(), "first_seen": at(10, 14), "catchup": True}, [at(10, 14)], None),
        ({"timetable": Once()}, [NOW], None),
        ({"timetable": Once(at(9)), "start": at(8)}, [at(9)], None),
        ({"timetable": Instants((at(2), at(3), at(12))), "start": at(1)}, [at(3)], at(12)),
        ({"timetable": Instants((at(2), at(3))), "start": at(1), "catchup": True}, [at(2), at(3)], None),
        ({"timetable": Instants((at(2), at(12)))}, [], at(12)),
        ({"timetable": Continuous(), "start": at(1), "catchup": True}, [], None),
        # a step is aligned to its anchor, which is a tick itself
        ({"timetable": Delta(timedelta(hours=7), at(10, 5)), "start": at(10, 5)}, [at(10, 12)], at(10, 19)),
        (
            {"timetable": Delta(timedelta(hours=7), at(10, 5)), "start": at(10, 5), "catchup": True},
            [at(10, 5), at(10, 12)],
            at(10, 19),
        ),
        # edges of the calendar
        ({"start": datetime.min.replace(tzinfo=UTC)}, [at(10)], at(11)),
        ({"start": at(1), "end": datetime.max.replace(tzinfo=UTC)}, [at(10)], at(11)),
    ],
)
def test_what_is_due(arguments: dict[str, Any], due: list[datetime], next_due: datetime | None) -> None:
    assert ask(**arguments) == (due, next_due)


@pytest.mark.parametrize(
    ("timetable", "catchup", "due", "next_due"),
    [
        # last tick: 10 June 00:00 of the daily schedule; it is 15:00
        (Cron("0 6 * * *"), False, [at(10, 6)], at(11, 6)),
        (Cron("0 18 * * *"), False, [], at(10, 18)),
        (Cron("0 18 * * *"), True, [], at(10, 18)),
        (Cron("0 */6 * * *"), True, [at(10, 6), at(10, 12)], at(10, 18)),
        (Cron("0 */6 * * *"), False, [at(10, 12)], at(10, 18)),
        (Cron("* * * * *"), False, [at(10, 15)], at(10, 15, 1)),
        (
            Cron("* * * * *"),
            timedelta(minutes=2),
            [at(10, 14, 58), at(10, 14, 59), at(10, 15)],
            at(10, 15, 1),
        ),
        (Cron("0 0 1 * *"), True, [], datetime(2026, 7, 1, tzinfo=UTC)),
        (Delta(timedelta(hours=10), at(1)), True, [at(10, 4), at(10, 14)], at(11)),
        (Once(at(1)), True, [], None),
        (Once(at(12)), False, [], at(12)),
    ],
)
def test_a_changed_schedule_goes_on_from_the_last_tick(
    timetable: Timetable, catchup: bool | timedelta, due: list[datetime], next_due: datetime | None
) -> None:
    """Nothing at or before the cursor comes again; only what the new grid has after it is made up."""
    assert ask(timetable, after=at(10), start=at(1), catchup=catchup) == (due, next_due)


TIMETABLES = st.sampled_from(
    [
        DAILY,
        Cron("*/30 0-4 * * *", "America/New_York"),
        Cron("0 * * * *", "Europe/Berlin", fold="both"),
        Delta(timedelta(hours=7)),
        Instants(tuple(at(day, day % 24) for day in range(1, 29, 3))),
    ]
)
MOMENTS = st.integers(0, 40 * 24 * 4).map(lambda quarter: at(1) + timedelta(minutes=15 * quarter))


@given(
    TIMETABLES,
    TIMETABLES,
    st.sampled_from([False, True, timedelta(hours=30)]),
    st.lists(MOMENTS, min_size=1, max_size=12),
    st.integers(1, 4),
    st.one_of(st.none(), MOMENTS),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_ticks_come_once_and_in_order_however_the_scheduler_asks(
    first: Timetable,
    second: Timetable,
    catchup: bool | timedelta,
    moments: list[datetime],
    limit: int,
    start: datetime | None,
) -> None:
    """Asking at any moments, with a schedule changed midway and a clock stepping back, doubles nothing."""
    made: list[datetime] = []
    for index, now in enumerate(moments):
        timetable = first if index < len(moments) // 2 else second
        cursor = made[-1] if made else None
        due, next_due = due_ticks(
            timetable,
            after=cursor,
            now=now,
            start=start,
            end=at(28),
            catchup=catchup,
            limit=limit,
            first_seen=moments[0],
        )
        assert len(due) <= limit
        assert all(tick <= min(now, at(28)) for tick in due)
        made += due
        assert made == sorted(set(made))
        assert next_due is None or (not made or next_due > made[-1])
        if catchup is True and len(due) < limit:
            assert next_due is None or next_due > now
        # Woken exactly when it asked to be, the scheduler finds that tick due.
        if next_due is not None:
            woken, _ = due_ticks(
                timetable,
                after=made[-1] if made else None,
                now=next_due,
                start=start,
                end=at(28),
                catchup=catchup,
                limit=1,
                first_seen=moments[0],
            )
            assert woken == [next_due]


def test_data_interval_reaches_back_to_the_tick_before() -> None:
    assert data_interval(DAILY, at(10)) == (at(9), at(10))
    assert data_interval(Cron("0 6 * * 1-5"), at(8, 6)) == (at(5, 6), at(8, 6))  # over a weekend
    assert data_interval(Instants((at(2), at(7))), at(7)) == (at(2), at(7))
    assert data_interval(Instants((at(2), at(7))), at(2)) == (at(2), at(2))


class Stuck:
    """A plugin's timetable that answers the same whatever it is asked."""

    def __init__(self, answer: datetime) -> None:
        self.answer = answer

    def next_after(self, instant: datetime) -> datetime:
        return self.answer

    def previous_at_or_before(self, instant: datetime) -> datetime:
        return self.answer

    def describe(self) -> str:
        return "stuck"


@pytest.mark.parametrize("catchup", [False, True])
@pytest.mark.parametrize("answer", [at(9), datetime(2026, 6, 9)])  # noqa: DTZ001 - a broken promise
def test_a_timetable_that_breaks_its_promise_is_named(answer: datetime, catchup: bool) -> None:
    with pytest.raises(PluginError, match=r"The timetable Stuck answered \w+\(2026-06-"):
        ask(Stuck(answer), after=at(8), catchup=catchup)


def test_a_newest_tick_in_the_future_is_a_broken_promise() -> None:
    with pytest.raises(PluginError, match="answered previous_at_or_before"):
        ask(Stuck(at(20)), after=at(8))
