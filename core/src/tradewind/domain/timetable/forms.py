"""What an author may write as ``schedule=``, turned into its stored form and from there into a timetable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, assert_never, cast, get_args, runtime_checkable

import msgspec

from tradewind.domain.timetable.cron import Cron, MultiCron
from tradewind.domain.timetable.delta import Delta
from tradewind.domain.timetable.fields import PRESETS
from tradewind.domain.timetable.instants import Continuous, Instants, Once
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
from tradewind.domain.timetable.zones import check_zone, to_utc
from tradewind.errors import ScheduleError

ACCEPTED_FORMS = (
    f"a cron string '0 6 * * *' or one of {' '.join(PRESETS)} @once @continuous; Cron(...); a timedelta; "
    "a list of crons; a list of datetimes; an asset expression; a plugin's timetable; None"
)

TimetableFactory = Callable[..., Timetable]

_SPEC_TYPES: tuple[type, ...] = get_args(ScheduleSpec)
_SHOWN_MAX = 80  # characters of a wrong value in a message
_NO_TIMETABLES: Mapping[str, TimetableFactory] = {}


@runtime_checkable
class Storable(Protocol):
    """A timetable that knows its stored form; a plugin's returns ``CustomSpec("its name", {arguments})``."""

    def to_spec(self, timezone: str = "UTC") -> ScheduleSpec:
        """Return the stored form; ``timezone`` is the DAG's."""
        ...


def parse_schedule(
    value: object, *, timezone: str = "UTC", anchor: datetime | None = None
) -> ScheduleSpec | None:
    """Return the stored form of what an author wrote, None for None.

    ``timezone`` is the DAG's: crons without one of their own and naive datetimes are read in it. ``anchor``
    is the DAG's start_date, to which a timedelta is aligned and at which ``@once`` runs. Raises
    ScheduleError.
    """
    zone = check_zone(timezone)
    start = None if anchor is None else _to_instant(anchor, zone)
    match value:
        case None:
            return None
        case str():
            return _from_text(value, zone, start)
        case timedelta():
            return Delta(value, start).to_spec()
        case Delta(step=step, anchor=None):
            return Delta(step, start).to_spec()
        case Once(at=None):
            return OnceSpec(start)
        case list() | tuple():
            return _from_items(cast("Sequence[object]", value), zone)
        case _ if isinstance(value, _SPEC_TYPES):
            return _checked(cast("ScheduleSpec", value))
        case Storable():
            return _stored(value, zone)
        case _:
            raise ScheduleError(f"A schedule cannot be {_shown(value)}. Accepted: {ACCEPTED_FORMS}.")


def from_spec(
    spec: ScheduleSpec, registry: Mapping[str, TimetableFactory] = _NO_TIMETABLES
) -> Timetable | None:
    """Return the timetable of a stored schedule; None when only assets start its runs.

    ``registry`` has the plugins' timetables by name. Raises ScheduleError for a stored form that is not valid
    here and now: a bad expression, a time zone or a plugin that is missing.
    """
    match spec:
        case CronSpec(expr=expr, timezone=timezone, gap=gap, fold=fold):
            return Cron(expr, timezone, gap, fold)
        case MultiCronSpec(crons=crons):
            return MultiCron(tuple(Cron(cron.expr, cron.timezone, cron.gap, cron.fold) for cron in crons))
        case DeltaSpec(seconds=seconds, anchor=anchor):
            return Delta(_step(seconds), anchor)
        case InstantsSpec(at=at):
            return Instants(at)
        case OnceSpec(at=at):
            return Once(at)
        case ContinuousSpec():
            return Continuous()
        case CustomSpec():
            return _custom(spec, registry)
        case AssetSpec():
            return None
        case AssetOrTimeSpec(time=time):
            return from_spec(time, registry)
        case _:
            assert_never(spec)


def _from_text(text: str, zone: str, start: datetime | None) -> ScheduleSpec:
    match text.strip().lower():
        case "@once":
            return OnceSpec(start)
        case "@continuous":
            return ContinuousSpec()
        case "":
            raise ScheduleError(f"The schedule is an empty string. Accepted: {ACCEPTED_FORMS}.")
        case _:
            return Cron(text).to_spec(zone)


def _from_items(items: Sequence[object], zone: str) -> ScheduleSpec:
    if not items:
        raise ScheduleError(
            "The schedule is an empty list. Give None for a DAG that is only started by hand."
        )
    if all(isinstance(item, datetime) for item in items):
        return Instants(tuple(_to_instant(cast("datetime", item), zone) for item in items)).to_spec()
    crons = []
    for index, item in enumerate(items):
        match item:
            case Cron():
                crons.append(item)
            case str():
                crons.append(Cron(item))
            case _:
                raise ScheduleError(
                    f"Item {index} of the schedule's list is {_shown(item)}. "
                    "A list has only crons (strings or Cron(...)), or only datetimes."
                )
    return MultiCron(tuple(dict.fromkeys(crons))).to_spec(zone)


def _stored(value: Storable, zone: str) -> ScheduleSpec:
    spec = value.to_spec(zone)
    if not isinstance(spec, _SPEC_TYPES):
        raise ScheduleError(f"{type(value).__name__}.to_spec() gave {_shown(spec)}. It returns a CustomSpec.")
    return _checked(spec)


def _checked(spec: ScheduleSpec) -> ScheduleSpec:
    """Return ``spec`` when it can be stored and, unless a plugin has to do it, made a timetable."""
    time = spec.time if isinstance(spec, AssetOrTimeSpec) else spec
    if not isinstance(time, CustomSpec):
        from_spec(time)
        return spec
    try:
        msgspec.json.encode(time)
    except (TypeError, ValueError) as error:
        raise ScheduleError(
            f'The timetable "{time.name}" has arguments JSON cannot store: {error}.'
        ) from error
    return spec


def _custom(spec: CustomSpec, registry: Mapping[str, TimetableFactory]) -> Timetable:
    factory = registry.get(spec.name)
    if factory is None:
        known = ", ".join(sorted(registry)) or "none"
        raise ScheduleError(
            f'No plugin offers the timetable "{spec.name}". Known: {known}. Install the plugin that has it '
            "(`tradewind plugins list` shows those that are loaded)."
        )
    try:
        timetable = factory(**spec.args)
    except (TypeError, ValueError) as error:
        raise ScheduleError(
            f'The timetable "{spec.name}" refused its arguments {spec.args}: {error}.'
        ) from error
    if not isinstance(timetable, Timetable):
        raise ScheduleError(
            f'The plugin\'s timetable "{spec.name}" made {_shown(timetable)}, '
            "which has no next_after, previous_at_or_before and describe."
        )
    return timetable


def _step(seconds: float) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError) as error:
        raise ScheduleError(f"A schedule's step of {seconds} seconds is not a length of time.") from error


def _to_instant(moment: datetime, zone: str) -> datetime:
    try:
        return to_utc(zone, moment) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ScheduleError(f"{moment} is at the edge of the calendar, where no run can be.") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + '…'} (a {type(value).__name__})"
