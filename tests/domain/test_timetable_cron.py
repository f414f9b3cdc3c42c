"""Cron expressions: which wall times they name (against three other readings), and what is refused."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.domain.timetable import Cron, MultiCron, Timetable
from tradewind.errors import ScheduleError

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = (
    "UTC",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "America/St_Johns",
)


def first_ticks(timetable: Timetable, instant: datetime, count: int) -> list[datetime]:
    ticks: list[datetime] = []
    tick = timetable.next_after(instant)
    while tick is not None and len(ticks) < count:
        ticks.append(tick)
        tick = timetable.next_after(tick)
    return ticks


def last_ticks(timetable: Timetable, instant: datetime, count: int) -> list[datetime]:
    ticks: list[datetime] = []
    tick = timetable.previous_at_or_before(instant)
    while tick is not None and len(ticks) < count:
        ticks.append(tick)
        tick = timetable.previous_at_or_before(tick - timedelta(microseconds=1))
    return ticks


# ---- expressions made at random ----------------------------------------------------------------------------


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    """Return one field: a star, a step, a number, a range with or without step, or a list of such."""
    number = st.integers(low, high)
    step = st.integers(1, high)
    bounds = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])
    part = st.one_of(
        number.map(str),
        bounds.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(bounds, step).map(lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"),
    )
    return st.one_of(
        st.just("*"), step.map(lambda s: f"*/{s}"), st.lists(part, min_size=1, max_size=3).map(",".join)
    )


EXPRESSIONS = st.tuples(
    fields(0, 59),
    fields(0, 23),
    # Both day fields only without a star: cronsim reads "*/2" with a weekday differently.
    st.one_of(
        st.tuples(fields(1, 28), st.just("*")),
        st.tuples(st.just("*"), fields(0, 6)),
        st.tuples(st.integers(1, 31).map(str), st.integers(0, 6).map(str)),
        st.sampled_from([("L", "*"), ("*", "5#2"), ("*", "1#5"), ("1,15", "0,6")]),
    ),
    fields(1, 12),
).map(lambda parts: f"{parts[0]} {parts[1]} {parts[2][0]} {parts[3]} {parts[2][1]}")
INSTANTS = st.datetimes(datetime(2023, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(EXPRESSIONS, INSTANTS)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_croniter_and_cronsim_name_the_same_times(expr: str, instant: datetime) -> None:
    ours = first_ticks(Cron(expr), instant, 8)
    theirs = croniter(expr, instant)
    assert ours == [theirs.get_next(datetime) for _ in range(8)]
    simulated = CronSim(expr, instant)
    assert ours == [next(simulated) for _ in range(8)]


@given(
    EXPRESSIONS,
    st.sampled_from(ZONES),
    INSTANTS,
    st.sampled_from(["forward", "skip"]),
    st.sampled_from(["first", "second", "both"]),
)
@settings(max_examples=1000, deadline=None, derandomize=True)
def test_both_directions_agree_and_nothing_lies_between(
    expr: str, zone: str, instant: datetime, gap: str, fold: str
) -> None:
    cron = Cron(expr, zone, gap, fold)  # type: ignore[arg-type]  # drawn from their values
    ticks = first_ticks(cron, instant, 6)
    assert all(earlier < later for earlier, later in pairwise([instant, *ticks]))
    assert last_ticks(cron, ticks[-1], len(ticks)) == ticks[::-1]
    before = cron.previous_at_or_before(instant)
    assert before is not None
    assert before <= instant
    assert cron.next_after(before) == ticks[0]
    middle = instant + (ticks[0] - instant) / 2
    assert cron.previous_at_or_before(middle) == before
    assert cron.next_after(middle) in {ticks[0], ticks[1]}
    assert {tick.utcoffset() for tick in ticks} == {timedelta(0)}


# ---- brute force over days and seconds ---------------------------------------------------------------------


def nth_weekday(day: date) -> int:
    return (day.day - 1) // 7 + 1


def is_last_week(day: date) -> bool:
    return day.day + 7 > calendar.monthrange(day.year, day.month)[1]


def is_month_end(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def is_nearest_weekday(day: date, wanted: int) -> bool:
    """Say whether this is the workday of the month nearest to the wanted day; never two are as near."""
    length = calendar.monthrange(day.year, day.month)[1]
    wanted = min(wanted, length)
    workdays = [d for d in range(1, length + 1) if date(day.year, day.month, d).weekday() < 5]
    return day.day == min(workdays, key=lambda d: abs(d - wanted))


DAY_RULES = [
    ("0 0 L * *", is_month_end),
    ("0 0 15,L * *", lambda d: d.day == 15 or is_month_end(d)),
    ("0 0 L 2 *", lambda d: d.month == 2 and is_month_end(d)),
    ("0 0 * * 5#1", lambda d: d.weekday() == 4 and nth_weekday(d) == 1),
    ("0 0 * * mon#2,fri#5", lambda d: (d.weekday(), nth_weekday(d)) in {(0, 2), (4, 5)}),
    ("0 0 * * L5", lambda d: d.weekday() == 4 and is_last_week(d)),
    ("0 0 15W * *", lambda d: is_nearest_weekday(d, 15)),
    ("0 0 1W * *", lambda d: is_nearest_weekday(d, 1)),
    ("0 0 31W * *", lambda d: is_nearest_weekday(d, 31)),
    ("0 0 1,15 * 1", lambda d: d.day in {1, 15} or d.weekday() == 0),
    ("0 0 L * 7", lambda d: is_month_end(d) or d.weekday() == 6),
    ("0 0 29 2 *", lambda d: (d.month, d.day) == (2, 29)),
    ("0 0 * * fri-mon", lambda d: d.weekday() in {4, 5, 6, 0}),
    ("0 0 31 * *", lambda d: d.day == 31),
    ("0 0 1 nov-feb *", lambda d: d.day == 1 and d.month in {11, 12, 1, 2}),
    ("0 0 1 */3 *", lambda d: d.day == 1 and d.month in {1, 4, 7, 10}),
    ("0 0 5-5 * *", lambda d: d.day == 5),
    ("0 0 ? * 2", lambda d: d.weekday() == 1),
    ("0 0 * * 0-7", lambda d: True),
]


@pytest.mark.parametrize(("expr", "matches"), DAY_RULES, ids=[expr for expr, _ in DAY_RULES])
def test_days_against_a_calendar(expr: str, matches: object) -> None:
    assert callable(matches)
    start = date(2023, 12, 1)
    days = [start + timedelta(days=index) for index in range(366 * 9)]
    wanted = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days if matches(d)]
    begin = datetime(2023, 11, 30, 23, tzinfo=UTC)
    cron = Cron(expr)
    assert first_ticks(cron, begin, len(wanted)) == wanted
    assert last_ticks(cron, wanted[-1], len(wanted)) == wanted[::-1]


@pytest.mark.parametrize(
    ("expr", "matches"),
    [
        ("* * * * *", lambda t: t.second == 0),
        ("*/7 6,18 * * *", lambda t: t.second == 0 and t.minute % 7 == 0 and t.hour in {6, 18}),
        ("5/20 0-5/2 * * *", lambda t: t.second == 0 and t.minute in {5, 25, 45} and t.hour in {0, 2, 4}),
        ("0 12 * * * */10", lambda t: t.hour == 12 and t.minute == 0 and t.second % 10 == 0),
        ("59 23 * * * 59", lambda t: (t.hour, t.minute, t.second) == (23, 59, 59)),
        ("5-5 3-03 * * *", lambda t: t.second == 0 and (t.hour, t.minute) == (3, 5)),
        ("@hourly", lambda t: t.minute == t.second == 0),
        ("  0\t6 * *   * ", lambda t: (t.hour, t.minute, t.second) == (6, 0, 0)),
    ],
)
def test_times_of_day_against_every_second(expr: str, matches: object) -> None:
    assert callable(matches)
    seconds = (NEW_YEAR + timedelta(seconds=index) for index in range(86_400))
    wanted = [second for second in seconds if matches(second)]
    assert first_ticks(Cron(expr), NEW_YEAR - timedelta(microseconds=1), len(wanted)) == wanted


def test_the_sixth_field_is_the_second() -> None:
    cron = Cron("15 6 * * * 30")
    assert cron.next_after(NEW_YEAR) == datetime(2026, 1, 1, 6, 15, 30, tzinfo=UTC)


def test_instants_between_seconds() -> None:
    cron = Cron("0 6 * * *")
    tick = datetime(2026, 1, 1, 6, tzinfo=UTC)
    tiny = timedelta(microseconds=1)
    assert cron.next_after(tick - tiny) == tick
    assert cron.next_after(tick) == tick + timedelta(days=1)
    assert cron.previous_at_or_before(tick) == tick
    assert cron.previous_at_or_before(tick - tiny) == tick - timedelta(days=1)


def test_the_ends_of_the_calendar() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    first = datetime.min.replace(tzinfo=UTC)
    for cron in (
        Cron("0 0 29 2 *"),
        Cron("30 2 * * *", "America/New_York"),
        Cron("0 0 * * 5#5", "Pacific/Apia"),
    ):
        assert cron.next_after(last) is None
        assert cron.previous_at_or_before(first) is None
        assert cron.next_after(datetime(9998, 12, 31, 23, tzinfo=UTC)) is None
        start, end = cron.next_after(first), cron.previous_at_or_before(last)
        assert start is not None
        assert end is not None
        assert (start.year, end.year) in {(2, 9998), (4, 9996)}


def test_rare_days_are_found_across_the_century() -> None:
    """2100 has no 29 February, and the fifth Friday of a February comes every 28 years, or after 12."""
    assert Cron("0 0 29 2 *").next_after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(
        2104, 2, 29, tzinfo=UTC
    )
    fridays = first_ticks(Cron("0 0 * 2 5#5"), datetime(2050, 1, 1, tzinfo=UTC), 4)
    assert [tick.date() for tick in fridays] == [date(year, 2, 29) for year in (2064, 2092, 2104, 2132)]


def test_a_naive_instant_is_a_programmer_s_error() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        Cron("@daily").next_after(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


def test_several_crons_share_their_instants() -> None:
    both = MultiCron((Cron("0 6 * * *", "Europe/Berlin"), Cron("0 5,7 * * *", "UTC")))
    assert first_ticks(both, NEW_YEAR, 3) == [
        datetime(2026, 1, 1, 5, tzinfo=UTC),  # both: Berlin is an hour ahead
        datetime(2026, 1, 1, 7, tzinfo=UTC),
        datetime(2026, 1, 2, 5, tzinfo=UTC),
    ]
    assert last_ticks(both, datetime(2026, 1, 1, 8, tzinfo=UTC), 2) == [
        datetime(2026, 1, 1, 7, tzinfo=UTC),
        datetime(2026, 1, 1, 5, tzinfo=UTC),
    ]


def test_crons_are_values() -> None:
    assert Cron("0 6 * * *", "Europe/Berlin") == Cron("0 6 * * *", "Europe/Berlin")
    assert len({Cron("@daily"), Cron("@daily"), Cron("@daily", fold="second")}) == 2
    assert isinstance(Cron("@daily"), Timetable)
    assert repr(Cron("@daily")) == "Cron(expr='@daily', timezone=None, gap='forward', fold='first')"


# ---- what is refused ---------------------------------------------------------------------------------------

FORMS = 'Allowed: 0-59, "*", a list "1,2", a range "1-5" or a step "*/2".'


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ("61 * * * *", f'Cron "61 * * * *": minute "61" is not valid. {FORMS}'),
        ("* 24 * * *", 'hour "24" is not valid. Allowed: 0-23,'),
        ("* * 0 * *", 'day of month "0" is not valid. Allowed: 1-31, L (the last day) or 15W'),
        ("0 0 32 * *", 'day of month "32" is not valid.'),
        ("0 0 LW * *", 'day of month "LW" is not valid.'),
        ("0 0 * 13 *", 'month "13" is not valid. Allowed: 1-12 or jan-dec,'),
        ("0 0 * foo *", 'month "foo" is not valid.'),
        ("0 0 * * 8", 'day of week "8" is not valid. Allowed: 0-7 (0 and 7 are Sunday) or sun-sat,'),
        ("0 0 * * mond", 'day of week "mond" is not valid.'),
        ("0 0 * * 5#6", 'day of week "5#6" is not valid.'),
        ("0 0 * * 1,5#1", 'day of week "1,5#1"'),
        ("0 0 * * 0-6,5#1", 'day of week "0-6,5#1" mixes plain days and days with "#" or "L"'),
        ("0 0 * * * 60", 'second "60" is not valid. Allowed: 0-59,'),
        ("*/0 * * * *", 'minute "*/0" is not valid.'),
        ("1, * * * *", 'minute "1," is not valid.'),
        ("-5 * * * *", 'minute "-5" is not valid.'),
        ("1.5 * * * *", 'minute "1.5" is not valid.'),
        ("٣ * * * *", 'minute "٣" is not valid.'),
        ("R * * * *", 'minute "R" asks for a random or hashed value'),
        ("0 R(1-5) * * *", 'hour "R(1-5)" asks for a random or hashed value'),
        ("H H * * *", 'minute "H" asks for a random or hashed value'),
        ("0 0 H/2 * *", 'day of month "H/2" asks for a random or hashed value'),
        ("0 0 30 2 *", 'Cron "0 0 30 2 *" never fires: no month "2" has a day "30".'),
        ("0 0 31 4,jun,9,11 *", 'never fires: no month "4,jun,9,11" has a day "31".'),
        ("0 0 1 * 5#1", 'day of month "1" and day of week "5#1" cannot be combined'),
        ("0 0 15W * 1", 'day of month "15W" and day of week "1" cannot be combined'),
        ("", 'Cron "" has 0 fields. Give 5 (minute, hour, day of month, month, day of week), or 6'),
        ("* * * *", 'Cron "* * * *" has 4 fields.'),
        ("5", 'Cron "5" has 1 field.'),
        ("0 0 1 1 * 0 2030", "has 7 fields."),
        ("0\u00a00 * * *", "has 4 fields."),
        ("@fortnightly", 'Cron "@fortnightly" is not a preset. Presets: @hourly, @daily,'),
        ("0 0 * * * " * 100, "A cron expression has at most 256 characters; this one has 1000:"),
    ],
)
def test_bad_expressions_name_the_field(expr: str, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron(expr)
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gap": "back"}, "Cron(gap='back'): gap is one of 'forward', 'skip'."),
        ({"fold": "never"}, "Cron(fold='never'): fold is one of 'first', 'second', 'both'."),
        ({"timezone": "Europe/Berln"}, "There is no time zone 'Europe/Berln'. Did you mean Europe/Berlin"),
        ({"timezone": "America"}, "There is no time zone 'America'."),
        ({"timezone": "../../etc/passwd"}, "There is no time zone '../../etc/passwd'."),
        (
            {"timezone": "x" * 5000},
            "There is no time zone '" + "x" * 100 + "'. Names look like 'Europe/Berlin'.",
        ),
        ({"timezone": ""}, "The time zone '' is a str. Give a name such as 'Europe/Berlin'."),
        ({"timezone": 5}, "The time zone 5 is a int. Give a name such as 'Europe/Berlin'."),
        ({"expr": 5}, "Cron() takes an expression such as '0 6 * * *', not 5."),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron(**{"expr": "@daily", **arguments})  # type: ignore[arg-type]  # wrong on purpose
    assert message in str(caught.value)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_list_of_crons_has_a_limit(count: int) -> None:
    with pytest.raises(ScheduleError, match=f"has 1 to 1000 of them, not {count}"):
        MultiCron((Cron("@daily"),) * count)
