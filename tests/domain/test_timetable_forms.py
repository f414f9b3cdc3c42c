"""What an author may write, its stored form, the timetable made from it, and its words."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from tradewind.domain.timetable import (
    AssetOrTimeSpec,
    AssetSpec,
    Continuous,
    ContinuousSpec,
    Cron,
    CronSpec,
    CustomSpec,
    Delta,
    DeltaSpec,
    Instants,
    InstantsSpec,
    MultiCron,
    MultiCronSpec,
    Once,
    OnceSpec,
    ScheduleSpec,
    Timetable,
    from_spec,
    is_continuous,
    parse_schedule,
)
from tradewind.errors import ScheduleError

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = START + timedelta(days=2)
BERLIN = "Europe/Berlin"


@dataclass(frozen=True)
class Workdays:
    """A plugin's timetable: every morning but the holidays."""

    holidays: tuple[str, ...] = ()

    def next_after(self, instant: datetime) -> datetime | None:
        tick = Cron("0 6 * * 1-5").next_after(instant)
        while tick is not None and tick.date().isoformat() in self.holidays:
            tick = Cron("0 6 * * 1-5").next_after(tick)
        return tick

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        return Cron("0 6 * * 1-5").previous_at_or_before(instant)

    def describe(self) -> str:
        return "workdays"

    def to_spec(self, timezone: str = "UTC") -> ScheduleSpec:
        return CustomSpec("workdays", {"holidays": list(self.holidays)})


def workdays(holidays: list[str]) -> Workdays:
    if any(len(day) != 10 for day in holidays):
        raise ValueError("a holiday is an ISO date")
    return Workdays(tuple(holidays))


FORMS: list[tuple[object, ScheduleSpec | None, Timetable | None]] = [
    (None, None, None),
    ("0 6 * * *", CronSpec("0 6 * * *", BERLIN), Cron("0 6 * * *", BERLIN)),
    (" 0  6 * * * ", CronSpec("0 6 * * *", BERLIN), Cron("0 6 * * *", BERLIN)),
    ("@daily", CronSpec("@daily", BERLIN), Cron("@daily", BERLIN)),
    (
        Cron("@daily", "UTC", fold="both"),
        CronSpec("@daily", "UTC", "forward", "both"),
        Cron("@daily", "UTC", fold="both"),
    ),
    (Cron("@daily", gap="skip"), CronSpec("@daily", BERLIN, "skip"), Cron("@daily", BERLIN, gap="skip")),
    ("@once", OnceSpec(START), Once(START)),
    (Once(), OnceSpec(START), Once(START)),
    (Once(LATER), OnceSpec(LATER), Once(LATER)),
    ("@continuous", ContinuousSpec(), Continuous()),
    (timedelta(hours=5), DeltaSpec(18_000.0, START), Delta(timedelta(hours=5), START)),
    (Delta(timedelta(hours=5)), DeltaSpec(18_000.0, START), Delta(timedelta(hours=5), START)),
    (
        Delta(timedelta(hours=5), LATER.astimezone(timezone(timedelta(hours=3)))),
        DeltaSpec(18_000.0, LATER),
        Delta(timedelta(hours=5), LATER),
    ),
    (
        ["0 6 * * *", Cron("0 9 * * 1", "UTC"), "0 6 * * *"],
        MultiCronSpec((CronSpec("0 6 * * *", BERLIN), CronSpec("0 9 * * 1", "UTC"))),
        MultiCron((Cron("0 6 * * *", BERLIN), Cron("0 9 * * 1", "UTC"))),
    ),
    ([LATER, START, LATER], InstantsSpec((START, LATER)), Instants((START, LATER))),
    (
        (datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30, fold=1)),  # noqa: DTZ001 - read in the DAG's zone
        InstantsSpec((datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))),
        Instants((datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))),
    ),
    (
        Workdays(("2026-05-01",)),
        CustomSpec("workdays", {"holidays": ["2026-05-01"]}),
        Workdays(("2026-05-01",)),
    ),
    (CronSpec("1 2 3 4 *"), CronSpec("1 2 3 4 *"), Cron("1 2 3 4 *", "UTC")),
    (AssetSpec({"any": ["a", "b"]}), AssetSpec({"any": ["a", "b"]}), None),
    (
        AssetOrTimeSpec({"asset": "a"}, CronSpec("@daily")),
        AssetOrTimeSpec({"asset": "a"}, CronSpec("@daily")),
        Cron("@daily", "UTC"),
    ),
]


@pytest.mark.parametrize(
    ("value", "spec", "timetable"), FORMS, ids=[repr(value)[:40] for value, _, _ in FORMS]
)
def test_forms_are_stored_and_come_back(
    value: object, spec: ScheduleSpec | None, timetable: Timetable | None
) -> None:
    assert parse_schedule(value, timezone=BERLIN, anchor=START) == spec
    if spec is not None:
        stored = msgspec.json.encode(spec)
        again = msgspec.json.decode(stored, type=ScheduleSpec)
        assert again == spec
        assert from_spec(again, {"workdays": workdays}) == timetable


def test_the_stored_form_is_plain_json() -> None:
    spec = MultiCronSpec((CronSpec("0 6 * * *", BERLIN),))
    assert msgspec.json.decode(msgspec.json.encode(spec)) == {
        "kind": "crons",
        "crons": [
            {"kind": "cron", "expr": "0 6 * * *", "timezone": BERLIN, "gap": "forward", "fold": "first"}
        ],
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "A schedule cannot be 5 (a int). Accepted: a cron string '0 6 * * *' or one of @hourly @daily"),
        (date(2026, 1, 1), "A schedule cannot be datetime.date(2026, 1, 1) (a date). Accepted:"),
        (START, "(a datetime). Accepted:"),
        ({"a": 1}, "A schedule cannot be {'a': 1} (a dict). Accepted:"),
        ("x" * 100_000, "A cron expression has at most 256 characters; this one has 100000:"),
        (object, "A schedule cannot be <class 'object'> (a type). Accepted:"),
        ("", "The schedule is an empty string. Accepted: a cron string"),
        ("  ", "The schedule is an empty string."),
        ([], "The schedule is an empty list. Give None for a DAG that is only started by hand."),
        (["0 6 * * *", 5], "Item 1 of the schedule's list is 5 (a int). A list has only crons"),
        ([START, "0 6 * * *"], "Item 0 of the schedule's list is datetime.datetime(2026, 3, 1, 12, 0"),
        (["0 6 * * *", "@once"], 'Cron "@once" is not a preset.'),
        (["0 26 * * *"], 'Cron "0 26 * * *": hour "26" is not valid. Allowed: 0-23,'),
        (timedelta(0), "A schedule's timedelta is at least 1 second; got datetime.timedelta(0)."),
        (timedelta(days=-1), "A schedule's timedelta is at least 1 second;"),
        (timedelta(milliseconds=999), "A schedule's timedelta is at least 1 second;"),
        ([datetime(1, 1, 1)], "0001-01-01 00:00:00 is at the edge of the calendar, where no run can be."),  # noqa: DTZ001
        (CronSpec("0 26 * * *"), 'hour "26" is not valid.'),
        (AssetOrTimeSpec({}, CronSpec("@daily", "Nowhere")), "There is no time zone 'Nowhere'."),
        (CustomSpec("x", {"a": object()}), 'The timetable "x" has arguments JSON cannot store:'),
    ],
)
def test_other_values_are_refused(value: object, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(value, timezone=BERLIN)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_wrong_zone_of_the_dag_is_refused_whatever_the_schedule() -> None:
    with pytest.raises(ScheduleError, match="There is no time zone 'Europe/Berln'"):
        parse_schedule(timedelta(days=1), timezone="Europe/Berln")


def raising(**arguments: object) -> Any:
    raise TypeError("unexpected argument")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            CustomSpec("lunar"),
            'No plugin offers the timetable "lunar". Known: broken, raising, workdays. Install',
        ),
        (
            CustomSpec("workdays", {"holidays": ["today"]}),
            "refused its arguments {'holidays': ['today']}: a holiday is",
        ),
        (
            CustomSpec("raising", {"a": 1}),
            "The timetable \"raising\" refused its arguments {'a': 1}: unexpected",
        ),
        (CustomSpec("broken"), 'The plugin\'s timetable "broken" made 7 (a int), which has no next_after'),
        (CronSpec("* * * * * * *"), "has 7 fields"),
        (CronSpec("@daily", "Nowhere"), "There is no time zone 'Nowhere'."),
        (DeltaSpec(float("nan")), "A schedule's step of nan seconds is not a length of time."),
        (DeltaSpec(1e300), "A schedule's step of 1e+300 seconds is not a length of time."),
        (DeltaSpec(60.0, datetime(2026, 1, 1)), "needs a time zone"),  # noqa: DTZ001 - what is refused
        (InstantsSpec(()), "A schedule of instants has 1 to 100000 of them, not 0."),
        (InstantsSpec((datetime(2026, 1, 1),)), "A scheduled instant is a datetime with a time zone"),  # noqa: DTZ001
    ],
)
def test_a_stored_form_that_is_not_valid_here_says_why(spec: ScheduleSpec, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        from_spec(spec, {"workdays": workdays, "raising": raising, "broken": lambda: 7})  # type: ignore[dict-item,return-value]
    assert message in str(caught.value)


def test_delta_ignores_the_clocks_and_reaches_both_ways() -> None:
    delta = Delta(timedelta(hours=24), datetime(2026, 3, 7, 11, tzinfo=UTC))
    assert delta.next_after(datetime(2026, 3, 8, 11, tzinfo=UTC)) == datetime(2026, 3, 9, 11, tzinfo=UTC)
    assert delta.previous_at_or_before(datetime(2026, 3, 1, tzinfo=UTC)) == datetime(
        2026, 2, 28, 11, tzinfo=UTC
    )
    assert delta.previous_at_or_before(datetime(2026, 3, 7, 11, tzinfo=UTC)) == datetime(
        2026, 3, 7, 11, tzinfo=UTC
    )
    assert delta.next_after(datetime.max.replace(tzinfo=UTC)) is None
    seconds = Delta(timedelta(seconds=0.1 * 15))
    assert seconds.next_after(datetime(1970, 1, 1, tzinfo=UTC)) == datetime(
        1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC
    )


def test_instants_and_once() -> None:
    tiny = timedelta(microseconds=1)
    for timetable in (Instants((LATER, START)), Once(START)):
        assert timetable.next_after(START - tiny) == START
        assert timetable.previous_at_or_before(START - tiny) is None
        assert timetable.previous_at_or_before(START) == START
        assert timetable.previous_at_or_before(LATER - tiny) == START
    assert Instants((LATER, START)).next_after(START) == LATER
    assert Instants((LATER, START)).next_after(LATER) is None
    assert Once(START).next_after(START) is None
    assert (Once().next_after(START), Once().previous_at_or_before(START)) == (None, None)


def test_only_continuous_is_continuous() -> None:
    values = [Continuous(), Once(), Cron("@daily"), Delta(timedelta(days=1)), Instants((START,)), Workdays()]
    assert [is_continuous(value) for value in values] == [True, False, False, False, False, False]
    assert (Continuous().next_after(START), Continuous().previous_at_or_before(START)) == (None, None)
    assert all(isinstance(value, Timetable) for value in values)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0 6 * * *", "every day at 06:00"),
        (Cron("0 6 * * *", "America/New_York"), "every day at 06:00 (America/New_York)"),
        ("0 6 * * 1-5", "at 06:00 on weekdays"),
        ("0 6 * * 0,6", "at 06:00 on weekends"),
        ("30 9 * * mon,thu", "at 09:30 on Mondays and Thursdays"),
        ("0 0,12 * * *", "every day at 00:00 and 12:00"),
        ("0,30 6 * * *", "every day at 06:00 and 06:30"),
        ("15 6 * * * 30", "every day at 06:15:30"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("@hourly", "every hour"),
        ("5 * * * *", "every hour at minute 5"),
        ("5,35 * * * *", "every hour at minutes 5 and 35"),
        ("0 */2 * * *", "every 2 hours"),
        ("30 */2 * * *", "every 2 hours at minute 30"),
        ("0 9-17 * * 1-5", "every hour from 09:00 to 17:00 on weekdays"),
        ("*/15 8-17 * * 1-5", "every 15 minutes from 08:00 to 17:59 on weekdays"),
        ("5,35 3,6,9,22 * * *", "at minutes 5 and 35 of hours 3, 6, 9 and 22"),
        ("7 1,3,5,7,9,11,14 * * *", "at hours 1, 3, 5, 7, 9, 11 and 14 at minute 7"),
        ("* * * * * *", "every second"),
        ("* * * * * */10", "every 10 seconds"),
        ("* * * * * 5", "every minute at second 5"),
        ("*/5 * * * * 5", "at second 5 of every 5 minutes"),
        ("@monthly", "at 00:00 on day 1 of the month"),
        ("@quarterly", "at 00:00 on day 1 of January, April, July and October"),
        ("@yearly", "at 00:00 on day 1 of January"),
        ("@weekly", "at 00:00 on Sundays"),
        ("0 0 1,15 * *", "at 00:00 on days 1 and 15 of the month"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        ("0 0 15W * *", "at 00:00 on the weekday nearest to day 15 of the month"),
        ("0 0 * * 5#1", "at 00:00 on the first Friday of the month"),
        ("0 0 * * L5", "at 00:00 on the last Friday of the month"),
        ("0 0 1 * 1", "at 00:00 on day 1 of the month or on Mondays"),
        ("0 0 * jan mon", "at 00:00 on Mondays in January"),
        ("0 0 * 6,7 *", "at 00:00 every day in June and July"),
        (["0 6 * * 1-5", "0 9 * * 0,6"], "at 06:00 on weekdays; at 09:00 on weekends"),
        (timedelta(minutes=15), "every 15 minutes"),
        (timedelta(days=1), "every day"),
        (timedelta(hours=1, minutes=30), "every 1 hour 30 minutes"),
        (timedelta(seconds=1.5), "every 1.5 seconds"),
        ([START, LATER, LATER + timedelta(days=1)], "3 instants"),
        ([START], "1 instant"),
        ("@once", "once"),
        (Once(START), "once at 2026-03-01 12:00:00 UTC"),
        ("@continuous", "continuously"),
    ],
)
def test_words(value: object, words: str) -> None:
    spec = parse_schedule(value)
    assert spec is not None
    timetable = from_spec(spec)
    assert timetable is not None
    assert timetable.describe() == words


def test_a_dag_without_cron_does_not_pay_for_its_parser() -> None:
    code = "import sys, tradewind.domain.timetable; print('croniter' in sys.modules)"
    arguments = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
