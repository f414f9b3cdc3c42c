"""Timetables whose ticks are given one by one, or by the scheduler."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime

import msgspec

from tradewind.domain.timetable.spec import ContinuousSpec, InstantsSpec, OnceSpec
from tradewind.errors import ScheduleError

INSTANTS_MAX = 100_000  # some 3 MB stored in the DAG's version


class Instants(msgspec.Struct, frozen=True):
    """Exactly the given aware instants; sorted, and each once. Raises ScheduleError."""

    at: tuple[datetime, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.at) <= INSTANTS_MAX:
            raise ScheduleError(
                f"A schedule of instants has 1 to {INSTANTS_MAX} of them, not {len(self.at)}."
            )
        msgspec.structs.force_setattr(self, "at", tuple(sorted({_aware_utc(instant) for instant in self.at})))

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the smallest tick later than ``instant`` (aware)."""
        index = bisect_right(self.at, instant)
        return self.at[index] if index < len(self.at) else None

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return the greatest tick not later than ``instant`` (aware)."""
        index = bisect_right(self.at, instant)
        return self.at[index - 1] if index else None

    def describe(self) -> str:
        """Return ``3 instants``."""
        return "1 instant" if len(self.at) == 1 else f"{len(self.at)} instants"

    def to_spec(self, timezone: str = "UTC") -> InstantsSpec:
        """Return the stored form; aware instants have no use for ``timezone``."""
        return InstantsSpec(self.at)


class Once(msgspec.Struct, frozen=True):
    """One tick at ``at`` (aware); with None ``due_ticks`` takes the DAG's start, or its first sight."""

    at: datetime | None = None

    def __post_init__(self) -> None:
        if self.at is not None:
            msgspec.structs.force_setattr(self, "at", _aware_utc(self.at))

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the tick when it is later than ``instant`` (aware)."""
        return self.at if self.at is not None and self.at > instant else None

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return the tick when it is not later than ``instant`` (aware)."""
        return self.at if self.at is not None and self.at <= instant else None

    def describe(self) -> str:
        """Return ``once`` and, when it is known, the instant."""
        return "once" if self.at is None else f"once at {self.at:%Y-%m-%d %H:%M:%S} UTC"

    def to_spec(self, timezone: str = "UTC") -> OnceSpec:
        """Return the stored form; an aware instant has no use for ``timezone``."""
        return OnceSpec(self.at)


class Continuous(msgspec.Struct, frozen=True):
    """A new run as soon as the last one has ended: the scheduler decides, there are no ticks to ask for."""

    def next_after(self, instant: datetime) -> datetime | None:
        """Return None: only the end of a run makes the next tick."""
        return None

    def previous_at_or_before(self, instant: datetime) -> datetime | None:
        """Return None: only the end of a run makes the next tick."""
        return None

    def describe(self) -> str:
        """Return ``continuously``."""
        return "continuously"

    def to_spec(self, timezone: str = "UTC") -> ContinuousSpec:
        """Return the stored form."""
        return ContinuousSpec()


def is_continuous(timetable: object) -> bool:
    """Whether the scheduler starts the next run when the last one has ended, instead of asking for ticks."""
    return isinstance(timetable, Continuous)


def _aware_utc(instant: datetime) -> datetime:
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        raise ScheduleError(f"A scheduled instant is a datetime with a time zone; got {instant!r}.")
    return instant.astimezone(UTC)
