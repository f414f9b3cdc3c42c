"""When a DAG's runs are due: schedules as authors write them, as they are stored, and as increasing ticks.

``parse_schedule`` turns what an author wrote into a ``ScheduleSpec`` (stored with the DAG), ``from_spec``
turns that into a ``Timetable``, and ``due_ticks`` asks the timetable what is due. Everything is pure and
frozen.
"""

from __future__ import annotations

from tradewind.domain.timetable.cron import Cron, MultiCron
from tradewind.domain.timetable.delta import Delta
from tradewind.domain.timetable.due import data_interval, due_ticks
from tradewind.domain.timetable.forms import Storable, TimetableFactory, from_spec, parse_schedule
from tradewind.domain.timetable.instants import Continuous, Instants, Once, is_continuous
from tradewind.domain.timetable.protocol import Timetable
from tradewind.domain.timetable.spec import (
    AssetOrTimeSpec,
    AssetSpec,
    ContinuousSpec,
    CronSpec,
    CustomSpec,
    DeltaSpec,
    InstantsSpec,
    MultiCronSpec,
    OnceSpec,
    ScheduleSpec,
)

__all__ = [
    "AssetOrTimeSpec",
    "AssetSpec",
    "Continuous",
    "ContinuousSpec",
    "Cron",
    "CronSpec",
    "CustomSpec",
    "Delta",
    "DeltaSpec",
    "Instants",
    "InstantsSpec",
    "MultiCron",
    "MultiCronSpec",
    "Once",
    "OnceSpec",
    "ScheduleSpec",
    "Storable",
    "Timetable",
    "TimetableFactory",
    "data_interval",
    "due_ticks",
    "from_spec",
    "is_continuous",
    "parse_schedule",
]
