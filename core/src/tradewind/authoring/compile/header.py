"""The DAG's own values: schedule, dates, limits and params, and all that can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from tradewind.authoring.arguments import accepted_arguments, advice
from tradewind.authoring.assets import AssetAll, AssetExpression
from tradewind.authoring.compile.findings import Findings
from tradewind.authoring.compile.options import (
    PRIORITY_MAX,
    RETRIES_MAX,
    callables,
    duration,
    flag,
    member,
    name,
    name_or_none,
    shown,
    text_or_none,
    whole,
)
from tradewind.authoring.compile.tasks import seconds
from tradewind.authoring.dag import DAG
from tradewind.authoring.durations import parse_duration
from tradewind.authoring.operator import Operator
from tradewind.authoring.options import TASK_OPTION_NAMES
from tradewind.authoring.params import Param
from tradewind.authoring.plain import NotPlainError, plain
from tradewind.domain.params import check_schema
from tradewind.domain.run_ids import check_dag_id
from tradewind.domain.spec import MAP_LENGTH_MAX, Overlap, ParamSpec
from tradewind.domain.timetable import ScheduleSpec, parse_schedule
from tradewind.domain.timetable.zones import check_zone, to_utc
from tradewind.errors import ArgumentError, AuthorError, ParamError, ScheduleError

_FAILS_IF = ("leaf_failed", "any_task_failed")
_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "description": text_or_none,
    "doc": text_or_none,
    "display_name": name_or_none,
    "owner": name_or_none,
    "max_active_runs": whole(1, PRIORITY_MAX),
    "max_active_tasks": whole(1, PRIORITY_MAX, none=True),
    "max_active_tasks_per_run": whole(1, PRIORITY_MAX, none=True),
    "max_map_length": whole(1, MAP_LENGTH_MAX),
    "run_timeout": duration(zero=False, none=True),
    "run_retries": whole(0, RETRIES_MAX),
    "fail_fast": flag,
    "priority": whole(-PRIORITY_MAX, PRIORITY_MAX),
    "paused": flag,
    "on_success": callables,
    "on_failure": callables,
    "run_fails_if": lambda value: None if value in _FAILS_IF else "leaf_failed or any_task_failed",
    "tags": lambda value: next((wanted for tag in value if (wanted := name(tag))), None),
}


@dataclass(slots=True)
class HeaderCompiler:
    """Compiles what stands in ``DAG(…)``; what it finds goes to ``findings``."""

    dag: DAG
    findings: Findings

    def compile(self) -> dict[str, Any]:
        """Return the fields of DagSpec that come from the DAG's arguments; wrong ones are noted and left out."""
        dag = self.dag
        self._check_id()
        for argument, check in _CHECKS.items():
            wanted = check(getattr(dag, argument))
            if wanted is not None:
                self._error(f"{argument}={shown(getattr(dag, argument))}; it must be {wanted}")
        zone = self._timezone()
        start, end = self._instant("start_date", zone), self._instant("end_date", zone)
        if start is not None and end is not None and end < start:
            self._error(
                f"end_date {dag.end_date} before start_date {dag.start_date}, so it never runs. Swap them"
            )
        schedule = self._schedule(zone, start)
        self._check_default_args()
        return {
            "description": dag.description,
            "doc": dag.doc,
            "display_name": dag.display_name,
            "schedule": schedule,
            "timezone": zone,
            "start_at": start,
            "end_at": end,
            "catchup": self._catchup(),
            "overlap": self._overlap(),
            "max_active_runs": dag.max_active_runs,
            "max_active_tasks": dag.max_active_tasks,
            "max_active_tasks_per_run": dag.max_active_tasks_per_run,
            "max_map_length": dag.max_map_length,
            "run_fails_if": dag.run_fails_if,
            "run_timeout_seconds": seconds(dag.run_timeout)
            if isinstance(dag.run_timeout, timedelta)
            else None,
            "run_retries": dag.run_retries,
            "fail_fast": dag.fail_fast,
            "priority": dag.priority,
            "paused": dag.paused,
            "tags": tuple(
                sorted(set(map(str, dag.tags)))
            ),  # no order of their own: a set's is new in each process
            "owner": dag.owner,
            "params": self._params(schedule),
            "callbacks": tuple(one for one in ("on_success", "on_failure") if getattr(dag, one)),
        }

    def _check_id(self) -> None:
        try:
            if not isinstance(self.dag.dag_id, str):
                raise ValueError(f"a dag_id is a text, not {self.dag.dag_id!r:.60}")  # noqa: TRY004 - one kind for all
            check_dag_id(self.dag.dag_id)
        except ValueError as error:
            self.findings.error(ArgumentError, f"DAG: {error}.", self.dag.place)

    def _timezone(self) -> str:
        zone = self.dag.timezone
        if zone is None and isinstance(self.dag.start_date, datetime):
            zone = getattr(self.dag.start_date.tzinfo, "key", None)
        if zone is None or zone is UTC:
            return "UTC"
        try:
            return check_zone(zone)
        except ScheduleError as error:
            self.findings.adopt(error, f'DAG "{self.dag.dag_id}": ', self.dag.place)
            return "UTC"

    def _instant(self, argument: str, zone: str) -> datetime | None:
        value = getattr(self.dag, argument)
        if value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if not isinstance(value, datetime):
            self._error(f"{argument}={shown(value)}; it must be a datetime, such as datetime(2026, 1, 1)")
            return None
        if value.microsecond:
            self.findings.warn(
                f'{argument} of DAG "{self.dag.dag_id}" is {value.isoformat()}, which looks like datetime.now(). A '
                "value that is new each time the file is read makes a new version each time. Give a fixed date.",
                self.dag.place,
            )
        try:
            return to_utc(zone, value) if value.tzinfo is None else value.astimezone(UTC)
        except (OverflowError, ValueError):
            self._error(
                f"{argument}={shown(value)}, at the edge of the calendar. Give one in the years 2 to 9998"
            )
            return None

    def _schedule(self, zone: str, start: datetime | None) -> ScheduleSpec | None:
        value = self.dag.schedule
        if (
            isinstance(value, list | tuple)
            and value
            and all(isinstance(item, AssetExpression) for item in value)
        ):
            value = AssetAll(tuple(value)) if len(value) > 1 else value[0]
        try:
            return parse_schedule(value, timezone=zone, anchor=start)
        except AuthorError as error:
            self.findings.adopt(error, f'DAG "{self.dag.dag_id}": ', self.dag.place)
        except (TypeError, ValueError, OverflowError) as error:
            text = f'DAG "{self.dag.dag_id}" has a schedule that failed to be read: {type(error).__name__}: {error}.'
            self.findings.error(ScheduleError, text, self.dag.place)
        return None

    def _catchup(self) -> bool | float:
        value = self.dag.catchup
        if isinstance(value, bool):
            return value
        window = parse_duration(value)
        if window is None or window <= timedelta(0):
            wanted = 'True, False, or a window such as "5h" or timedelta(hours=5)'
            self._error(f"catchup={shown(value)}; it must be {wanted}")
            return False
        return window.total_seconds()

    def _overlap(self) -> Overlap:
        try:
            return Overlap(self.dag.overlap)
        except ValueError:
            self._error(f"overlap={shown(self.dag.overlap)}; it must be {member(Overlap)(self.dag.overlap)}")
            return Overlap.QUEUE

    def _check_default_args(self) -> None:
        accepted = set(TASK_OPTION_NAMES)
        for task in self.dag.tasks:
            accepted |= accepted_arguments(task.operator_type, Operator).every
        owners = [(f'default_args of DAG "{self.dag.dag_id}"', self.dag.default_args, self.dag.place)]
        owners += [
            (f'default_args of group "{group.group_id}"', dict(group.default_args), group.place)
            for group in self.dag.groups.values()
        ]
        for what, default_args, place in owners:
            for unknown in (str(one) for one in default_args if one not in accepted):
                text = (
                    f'{what} has "{unknown}", which no task of the DAG accepts. {advice(unknown, accepted)}'
                )
                self.findings.error(ArgumentError, text, place)

    def _params(self, schedule: ScheduleSpec | None) -> tuple[ParamSpec, ...]:
        specs = []
        for key, param in self.dag.params.items():
            try:
                specs.append(_param_spec(key, param, scheduled=schedule is not None))
            except (NotPlainError, ParamError) as error:
                text = f'DAG "{self.dag.dag_id}": {error}'.rstrip(".") + "."
                self.findings.error(ArgumentError, text, param.place)
        return tuple(specs)

    def _error(self, text: str) -> None:
        self.findings.error(ArgumentError, f'DAG "{self.dag.dag_id}" has {text}.', self.dag.place)


def _param_spec(key: Any, param: Param, *, scheduled: bool) -> ParamSpec:
    if name(key) is not None:
        raise ParamError(f"the name of a param is {key!r:.60}; it must be {name(key)}")
    default = _json(param.default, f'the default of param "{key}"') if param.has_default else None
    schema = _json(param.schema, f'the schema of param "{key}"')
    spec = ParamSpec(
        name=key, default=default, has_default=param.has_default, schema=schema, description=param.description
    )
    wanted = text_or_none(param.description)
    if wanted is not None:
        raise ParamError(f"the description of param {key!r} must be {wanted}")
    if scheduled and not param.has_default:
        raise ParamError(
            f'param "{key}" has no default, but the DAG has a schedule, whose runs nobody gives a value. '
            f"Give it one: Param(default, …), or take the schedule away"
        )
    if schema:  # checking loads a library that most DAGs do not need
        # without a schedule a person gives the value, so a default that does not fit only says "fill this in"
        check_schema(spec if scheduled else _without_default(spec))
    return spec


def _without_default(spec: ParamSpec) -> ParamSpec:
    return ParamSpec(name=spec.name, has_default=False, schema=spec.schema)


def _json(value: Any, path: str) -> Any:
    """Return a value that is JSON as it stands; raises NotPlainError for one that needs a tag."""
    view = plain(value, path=path)
    waiting = [view]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "__tw__" in one:
                raise NotPlainError(
                    f"{path} holds a {one['__tw__']}; params are JSON, because people and programs give them. Use "
                    'text, numbers, booleans, lists, dicts; a date is Param("2026-01-01", type="string", format="date")'
                )
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return view
