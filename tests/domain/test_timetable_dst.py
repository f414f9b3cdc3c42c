"""Cron at changes of the clocks: the carried table, and every zone against a scan of its wall clock."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tradewind.domain.timetable import Cron
from tradewind.domain.timetable.spec import FoldPolicy, GapPolicy
from tradewind.domain.timetable.zones import stretches_from

NEW_YORK = ZoneInfo("America/New_York")
ORACLE = Path(__file__).parent / "oracles" / "cron_dst.txt"
CHANGE_DAYS = {
    "spring": datetime(2026, 3, 8, tzinfo=NEW_YORK),
    "autumn": datetime(2026, 11, 1, tzinfo=NEW_YORK),
}


def ticks_between(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    """Return the ticks in [start, end)."""
    ticks = []
    tick = cron.next_after(start - timedelta(microseconds=1))
    while tick is not None and tick < end:
        ticks.append(tick)
        tick = cron.next_after(tick)
    return ticks


def ticks_backwards(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    """Return the ticks in [start, end), found from the end."""
    ticks = []
    tick = cron.previous_at_or_before(end - timedelta(microseconds=1))
    while tick is not None and tick >= start:
        ticks.append(tick)
        tick = cron.previous_at_or_before(tick - timedelta(microseconds=1))
    return ticks[::-1]


def day_in_new_york(
    expr: str, day: datetime, gap: GapPolicy = "forward", fold: FoldPolicy = "first"
) -> list[str]:
    start = day.astimezone(UTC)
    end = (day + timedelta(days=1)).astimezone(UTC)
    ticks = ticks_between(Cron(expr, "America/New_York", gap, fold), start, end)
    return [f"{tick.astimezone(NEW_YORK):%H:%M %Z}" for tick in ticks]


# ---- the carried table ----------------------------------------------------------------------------------


def oracle_rows() -> list[tuple[str, str, str]]:
    rows = []
    for line in ORACLE.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            expr, spring, autumn = re.split(r"\s{2,}", line.strip())
            rows += [(expr, "spring", spring), (expr, "autumn", autumn)]
    return rows


def is_like(listed: str, tick: str) -> bool:
    return listed == (tick if " " in listed else tick.partition(" ")[0])


def test_the_table_is_read_whole() -> None:
    assert [(expr, day) for expr, day, _ in oracle_rows()] == [
        (expr, day)
        for expr in ("30 2 * * *", "30 1 * * *", "0 * * * *", "*/30 * * * *", "0 */2 * * *", "0 0-4 * * *")
        for day in ("spring", "autumn")
    ]


@pytest.mark.parametrize(("expr", "day", "cell"), oracle_rows())
def test_the_table_holds(expr: str, day: str, cell: str) -> None:
    ticks = day_in_new_york(expr, CHANGE_DAYS[day])
    listed = [part.strip() for part in re.sub(r"\(.*\)", "", cell).split(",")]
    open_start, open_end = listed[0] == "...", listed[-1] == "..."
    listed = [part for part in listed if part != "..."]
    if count := re.search(r"\((\d+) runs\)", cell):
        assert len(ticks) == int(count[1])
    if not open_start:
        window = ticks[: len(listed)]
    else:
        assert open_end
        first = next(index for index, tick in enumerate(ticks) if is_like(listed[0], tick))
        window = ticks[first : first + len(listed)]
    assert len(window) == len(listed)
    assert all(is_like(wanted, tick) for wanted, tick in zip(listed, window, strict=True)), (listed, window)


@pytest.mark.parametrize(
    ("expr", "spring", "autumn"),
    [
        ("30 2 * * *", ["03:00 EDT"], ["02:30 EST"]),
        ("30 1 * * *", ["01:30 EST"], ["01:30 EDT"]),
        (
            "0 */2 * * *",
            ["00:00 EST", "03:00 EDT", *(f"{hour:02}:00 EDT" for hour in range(4, 24, 2))],
            ["00:00 EDT", *(f"{hour:02}:00 EST" for hour in range(2, 24, 2))],
        ),
        (
            "0 0-4 * * *",
            ["00:00 EST", "01:00 EST", "03:00 EDT", "04:00 EDT"],
            ["00:00 EDT", "01:00 EDT", "02:00 EST", "03:00 EST", "04:00 EST"],
        ),
        (
            "0 * * * *",
            ["00:00 EST", "01:00 EST", *(f"{hour:02}:00 EDT" for hour in range(3, 24))],
            ["00:00 EDT", "01:00 EDT", *(f"{hour:02}:00 EST" for hour in range(1, 24))],
        ),
    ],
)
def test_whole_days_of_change(expr: str, spring: list[str], autumn: list[str]) -> None:
    assert day_in_new_york(expr, CHANGE_DAYS["spring"]) == spring
    assert day_in_new_york(expr, CHANGE_DAYS["autumn"]) == autumn


@pytest.mark.parametrize(
    ("gap", "fold", "spring", "autumn"),
    [
        ("forward", "first", ["03:00 EDT"], ["01:30 EDT"]),
        ("skip", "first", [], ["01:30 EDT"]),
        ("forward", "second", ["03:00 EDT"], ["01:30 EST"]),
        ("forward", "both", ["03:00 EDT"], ["01:30 EDT", "01:30 EST"]),
    ],
)
def test_policies(gap: GapPolicy, fold: FoldPolicy, spring: list[str], autumn: list[str]) -> None:
    assert day_in_new_york("30 2 * * *", CHANGE_DAYS["spring"], gap, fold) == spring
    assert day_in_new_york("30 1 * * *", CHANGE_DAYS["autumn"], gap, fold) == autumn


def test_several_lost_times_make_one_tick_and_both_keeps_the_order_of_time() -> None:
    assert day_in_new_york("*/20 2 * * *", CHANGE_DAYS["spring"]) == ["03:00 EDT"]
    assert day_in_new_york("*/30 1,2 * * *", CHANGE_DAYS["autumn"], fold="both") == [
        "01:00 EDT",
        "01:30 EDT",
        "01:00 EST",
        "01:30 EST",
        "02:00 EST",
        "02:30 EST",
    ]


def test_a_day_that_never_was() -> None:
    """Samoa went from 29 to 31 December 2011 at midnight: the 30th has one tick, where it would end."""
    start, end = datetime(2011, 12, 29, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)
    ticks = ticks_between(Cron("0 6,18 * * *", "Pacific/Apia"), start, end)
    assert [f"{tick:%d %H:%M}" for tick in ticks] == [
        "29 04:00",
        "29 16:00",
        "30 04:00",
        "30 10:00",  # 00:00 on the 31st, for 06:00 and 18:00 on the 30th
        "30 16:00",
        "31 04:00",
        "31 16:00",
    ]


def test_a_change_by_half_an_hour() -> None:
    """Lord Howe leaves out 02:00 to 02:30 in October, and has 01:30 to 02:00 twice in April."""
    zone = ZoneInfo("Australia/Lord_Howe")

    def hours(expr: str, day: datetime) -> list[str]:
        begin = day.replace(tzinfo=zone)
        ticks = ticks_between(
            Cron(expr, zone.key), begin.astimezone(UTC), (begin + timedelta(hours=4)).astimezone(UTC)
        )
        return [f"{tick.astimezone(zone):%H:%M%z}" for tick in ticks]

    october, april = datetime(2026, 10, 4), datetime(2026, 4, 5)  # noqa: DTZ001 - given their zone above
    assert hours("0 * * * *", october) == ["00:00+1030", "01:00+1030", "03:00+1100"]
    assert hours("0 1,2,3 * * *", october) == ["01:00+1030", "02:30+1100", "03:00+1100"]
    assert hours("30 * * * *", april) == [
        "00:30+1100",
        "01:30+1100",
        "01:30+1030",
        "02:30+1030",
        "03:30+1030",
    ]
    assert hours("30 1,2 * * *", april) == ["01:30+1100", "02:30+1030"]


# ---- every zone of tzdata, against a scan of its wall clock ------------------------------------------------

STEP = timedelta(
    minutes=5
)  # all changes of these years, and all times of these expressions, are multiples of it
BEFORE, AFTER = timedelta(hours=6), timedelta(hours=30)
SCANNED = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Case:
    expr: str
    matches: Callable[[datetime], bool]  # written by hand, not read from the expression
    every_hour: bool
    gap: GapPolicy = "forward"
    fold: FoldPolicy = "first"

    def __str__(self) -> str:
        return f"{self.expr} {self.gap} {self.fold}"


CASES = [
    Case("0 0-22 * * *", lambda w: w.minute == 0 and w.hour <= 22, every_hour=False),
    Case(
        "*/20 0-3,12,23 * * *",
        lambda w: w.minute % 20 == 0 and w.hour in {0, 1, 2, 3, 12, 23},
        every_hour=False,
    ),
    Case("30 */2 * * *", lambda w: w.minute == 30 and w.hour % 2 == 0, every_hour=False, gap="skip"),
    Case("*/30 0-22 * * *", lambda w: w.minute % 30 == 0 and w.hour <= 22, every_hour=False, fold="second"),
    Case(
        "15 1-23 * * *", lambda w: w.minute == 15 and w.hour >= 1, every_hour=False, gap="skip", fold="both"
    ),
    Case("*/15 * * * *", lambda w: w.minute % 15 == 0, every_hour=True),
    Case("0 */1 * * 0,1", lambda w: w.minute == 0 and w.isoweekday() % 7 in {0, 1}, every_hour=True),
]


Change = tuple[datetime, timedelta, timedelta]  # first instant with the new offset, offset before and after


def changes_of(zone: ZoneInfo) -> tuple[Change, ...]:
    """Return the changes of offset, found by looking every 12 hours."""
    found = []
    low = SCANNED[0]
    while low < SCANNED[1]:
        high = low + timedelta(hours=12)
        before, after = low.astimezone(zone).utcoffset(), high.astimezone(zone).utcoffset()
        assert before is not None
        assert after is not None
        if before != after:
            begin, end = low, high
            while end - begin > timedelta(minutes=1):
                middle = begin + (end - begin) // timedelta(minutes=2) * timedelta(minutes=1)
                if middle.astimezone(zone).utcoffset() == after:
                    end = middle
                else:
                    begin = middle
            found.append((end, before, after))
        low = high
    return tuple(found)


@pytest.fixture(scope="module")
def zones_by_changes() -> dict[tuple[Change, ...], list[str]]:
    """Return the zones of tzdata, those together whose clocks always change together."""
    together = defaultdict(list)
    for name in sorted(available_timezones()):
        together[changes_of(ZoneInfo(name))].append(name)
    return together


def scan(change: datetime, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """Return (instant, naive wall time) every five minutes around a change."""
    count = int((BEFORE + AFTER) / STEP)
    instants = (change - BEFORE + index * STEP for index in range(count))
    return [(instant, instant.astimezone(zone).replace(tzinfo=None, fold=0)) for instant in instants]


def expected(case: Case, scanned: list[tuple[datetime, datetime]]) -> list[datetime]:
    """Return the ticks of a scanned window by the policy's words, wall time by wall time."""
    instants_of = defaultdict(list)
    for instant, wall in scanned:
        instants_of[wall].append(instant)
    ticks: set[datetime] = set()
    wall = min(instants_of)
    while wall <= max(instants_of):
        if case.matches(wall):
            occurrences = instants_of.get(wall, [])
            if not occurrences and not case.every_hour and case.gap == "forward":
                ticks.add(next(instant for instant, later in scanned if later > wall))
            elif case.every_hour or case.fold == "both":
                ticks.update(occurrences)
            elif occurrences:
                ticks.add(occurrences[0 if case.fold == "first" else -1])
        wall += STEP
    return sorted(ticks)


def windows(
    zones: dict[tuple[Change, ...], list[str]],
) -> Iterator[tuple[str, list[tuple[datetime, datetime]]]]:
    """Yield a zone and a scan for each change of offset."""
    for changes, names in zones.items():
        for change, _, _ in changes:
            yield names[0], scan(change, ZoneInfo(names[0]))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_change_of_every_zone(
    case: Case, zones_by_changes: dict[tuple[Change, ...], list[str]]
) -> None:
    seen = 0
    for name, scanned in windows(zones_by_changes):
        # A wall time near the rim may have its other occurrence outside: compare only the inner part.
        start, end = scanned[0][0] + timedelta(hours=3), scanned[-1][0] - timedelta(hours=3)
        wanted = [tick for tick in expected(case, scanned) if start <= tick < end]
        cron = Cron(case.expr, name, case.gap, case.fold)
        assert ticks_between(cron, start, end) == wanted, name
        assert ticks_backwards(cron, start, end) == wanted, name
        seen += 1
    assert seen > 300


def test_zones_with_the_same_changes_have_the_same_stretches(
    zones_by_changes: dict[tuple[Change, ...], list[str]],
) -> None:
    """What was checked on one zone of a group holds for all of them."""
    assert sum(map(len, zones_by_changes.values())) == len(available_timezones()) > 500
    begin = SCANNED[0].replace(tzinfo=None)
    for changes, names in zones_by_changes.items():
        for name in names:
            found = []
            for stretch in stretches_from(name, begin):
                if stretch.end_utc.replace(tzinfo=UTC) > SCANNED[1]:
                    break
                if stretch.offset_after != stretch.offset:
                    found.append((stretch.end_utc.replace(tzinfo=UTC), stretch.offset, stretch.offset_after))
            assert tuple(found) == changes, name


@pytest.mark.parametrize("year", [1970, 1996, 2026, 2037])
def test_no_stretch_is_shorter_than_what_its_changes_repeat(year: int) -> None:
    """The cut at new year never parts a repeated hour from its change, in any zone."""
    first, last = datetime(year, 1, 1), datetime(year + 1, 1, 2)  # noqa: DTZ001 - on the UTC clock
    for name in available_timezones():
        for stretch in stretches_from(name, first):
            if stretch.start_utc >= last:
                break
            repeats = max(stretch.offset_before - stretch.offset, stretch.offset - stretch.offset_after)
            assert stretch.end_utc - stretch.start_utc >= repeats, (name, stretch)
