"""Schedules as they are stored: JSON-able, frozen, told apart by their ``kind``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

GapPolicy: TypeAlias = Literal["forward", "skip"]
FoldPolicy: TypeAlias = Literal["first", "second", "both"]


class CronSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="cron"):
    """A cron expression of 5 or 6 fields, on the wall clock of ``timezone``."""

    expr: str
    timezone: str = "UTC"
    gap: GapPolicy = "forward"
    fold: FoldPolicy = "first"


class MultiCronSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="crons"):
    """Several cron expressions; an instant that several of them name is one tick."""

    crons: tuple[CronSpec, ...]


class DeltaSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="delta"):
    """Every ``seconds`` (to the microsecond), counted from ``anchor`` (aware; None: 1970-01-01T00:00Z)."""

    seconds: float
    anchor: datetime | None = None


class InstantsSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="instants"):
    """Exactly these aware instants, sorted and each once."""

    at: tuple[datetime, ...]


class OnceSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="once"):
    """One tick, at an aware instant; None: when the DAG starts, or is first seen."""

    at: datetime | None = None


class ContinuousSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="continuous"):
    """A new run as soon as the last one has ended; the scheduler decides the ticks."""


class CustomSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="custom"):
    """A timetable that a plugin registered as ``name``, made with ``args`` (JSON-able)."""

    name: str
    args: dict[str, Any] = {}


TimeSpec: TypeAlias = (
    CronSpec | MultiCronSpec | DeltaSpec | InstantsSpec | OnceSpec | ContinuousSpec | CustomSpec
)


class AssetSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="asset"):
    """No ticks: runs come from asset events that satisfy ``expr``."""

    expr: dict[str, Any]


class AssetOrTimeSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="asset_or_time"):
    """Runs come from asset events that satisfy ``assets`` and from the ticks of ``time``."""

    assets: dict[str, Any]
    time: TimeSpec


ScheduleSpec: TypeAlias = TimeSpec | AssetSpec | AssetOrTimeSpec
