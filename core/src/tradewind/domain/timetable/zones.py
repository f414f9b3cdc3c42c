"""Time zones as stretches of constant offset, where every question about summer time becomes arithmetic.

A *stretch* is a half-open range of UTC with one offset. Inside it, wall time and UTC differ by a constant, so
wall times are unique and in order. Stretches are cut at each change of offset and, so that they can be found
and kept year by year, at each UTC new year too (a cut where nothing changes). All datetimes here are naive
and say which clock they read: ``_utc`` or ``_wall``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from tradewind.errors import ScheduleError

# Every instant needs a wall time, so the first and last years of the calendar are left out.
YEAR_MIN = 2
YEAR_MAX = 9998

_LOOK_EVERY = timedelta(days=2)
_SECOND = timedelta(seconds=1)
_ZONE_NAME_LENGTH_MAX = 100  # the longest name in tzdata has 32; longer ones are not worth a search
_YEARS_KEPT = 4096  # some 100 zones for some 40 years; a few hundred bytes each


class Stretch(msgspec.Struct, frozen=True):
    """UTC from ``start_utc`` to before ``end_utc`` with one ``offset``, and its neighbours' ones."""

    start_utc: datetime
    end_utc: datetime
    offset: timedelta
    offset_before: timedelta
    offset_after: timedelta

    @property
    def start_wall(self) -> datetime:
        """The first wall time of the stretch."""
        return self.start_utc + self.offset

    @property
    def end_wall(self) -> datetime:
        """The wall time at which it ends, itself outside."""
        return self.end_utc + self.offset

    @property
    def repeats_until_wall(self) -> datetime:
        """Wall times before this one are second occurrences: the stretch before had them too."""
        return self.start_utc + self.offset_before

    @property
    def repeated_from_wall(self) -> datetime:
        """Wall times from this one on are first occurrences: the next stretch has them again."""
        return self.end_utc + self.offset_after


def check_zone(name: object) -> str:
    """Return ``name`` when it is a time zone of tzdata; raises ScheduleError that names the nearest ones."""
    text = getattr(name, "key", name)  # a ZoneInfo says its name
    if not isinstance(text, str) or not text:
        raise ScheduleError(
            f"The time zone {name!r} is a {type(name).__name__}. Give a name such as 'Europe/Berlin'."
        )
    if len(text) <= _ZONE_NAME_LENGTH_MAX:
        try:
            _zone(text)
        except (LookupError, ValueError, OSError):
            pass
        else:
            return text
    import difflib  # only a wrong name pays for it

    near = difflib.get_close_matches(
        text[:_ZONE_NAME_LENGTH_MAX], sorted(available_timezones()), n=3, cutoff=0.5
    )
    hint = f"Did you mean {' or '.join(near)}?" if near else "Names look like 'Europe/Berlin'."
    raise ScheduleError(f"There is no time zone {text[:_ZONE_NAME_LENGTH_MAX]!r}. {hint}")


def stretches_from(zone: str, utc: datetime) -> Iterator[Stretch]:
    """Yield the stretch that holds ``utc`` and every later one, up to the end of YEAR_MAX."""
    if utc.year > YEAR_MAX:
        return
    first_year = max(utc.year, YEAR_MIN)
    stretches = _stretches(zone, first_year)
    yield from stretches[_position(stretches, utc) :]
    for year in range(first_year + 1, YEAR_MAX + 1):
        yield from _stretches(zone, year)


def stretches_back_from(zone: str, utc: datetime) -> Iterator[Stretch]:
    """Yield the stretch that holds ``utc`` and every earlier one, down to the beginning of YEAR_MIN."""
    if utc.year < YEAR_MIN:
        return
    last_year = min(utc.year, YEAR_MAX)
    stretches = _stretches(zone, last_year)
    yield from reversed(stretches[: _position(stretches, utc) + 1])
    for year in range(last_year - 1, YEAR_MIN - 1, -1):
        yield from reversed(_stretches(zone, year))


def naive_utc(instant: datetime) -> datetime:
    """Return an aware ``instant`` on the UTC clock, without its zone; raises ValueError when it is naive."""
    if instant.tzinfo is None:
        raise ValueError(f"A timetable is asked about aware instants; {instant!r} has no time zone.")
    try:
        return instant.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # within a day of either end of the calendar, where there are no ticks anyway
        return instant.replace(tzinfo=None)


def to_utc(zone: str, wall: datetime) -> datetime:
    """Return the UTC instant of a naive ``wall`` time, by its fold; the end of the gap if there is none."""
    aware = wall.replace(tzinfo=_zone(zone))
    instant = aware.astimezone(UTC)
    if instant.astimezone(aware.tzinfo).replace(tzinfo=None, fold=0) == wall.replace(fold=0):
        return instant
    # PEP 495: in a gap fold=0 reads the offset before it, which lands behind the change.
    landed = aware.replace(fold=0).astimezone(UTC).replace(tzinfo=None)
    change = next(
        stretch for stretch in stretches_back_from(zone, landed) if stretch.offset_before != stretch.offset
    )
    return change.start_utc.replace(tzinfo=UTC)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _position(stretches: tuple[Stretch, ...], utc: datetime) -> int:
    if len(stretches) == 1:
        return 0
    return max(bisect_right(stretches, utc, key=_start) - 1, 0)


def _start(stretch: Stretch) -> datetime:
    return stretch.start_utc


@lru_cache(maxsize=_YEARS_KEPT)
def _stretches(zone: str, year: int) -> tuple[Stretch, ...]:
    """Return the stretches of a UTC year, in order, covering it without holes."""
    clock = _zone(zone)
    start, end = (datetime(y, 1, 1, tzinfo=UTC).replace(tzinfo=None) for y in (year, year + 1))
    changes = [start, *_changes(clock, start, end), end]
    found = []
    before = _offset(clock, start - _SECOND)
    for begin, finish in pairwise(changes):
        offset, after = _offset(clock, begin), _offset(clock, finish)
        found.append(Stretch(begin, finish, offset, before, after))
        before = offset
    return tuple(found)


def _changes(clock: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the instants in (start, end) at which the offset changes.

    Looking every two days finds them all: no two changes of any zone of tzdata are closer than three.
    """
    low, offset = start, _offset(clock, start)
    while low < end - _SECOND:
        high = min(low + _LOOK_EVERY, end - _SECOND)
        offset_high = _offset(clock, high)
        if offset_high != offset:
            yield _first_with(clock, offset_high, low, high)
        low, offset = high, offset_high


def _first_with(clock: ZoneInfo, offset: timedelta, low: datetime, high: datetime) -> datetime:
    """Return the first second in (low, high] with this offset, by halving."""
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // (2 * _SECOND))
        if _offset(clock, middle) == offset:
            high = middle
        else:
            low = middle
    return high


def _offset(clock: ZoneInfo, utc: datetime) -> timedelta:
    offset = utc.replace(tzinfo=UTC).astimezone(clock).utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return offset
