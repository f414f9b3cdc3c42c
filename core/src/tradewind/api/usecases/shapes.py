"""The JSON shapes of runs, tasks and DAGs that programs rely on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tradewind.domain.reasons import Reason
from tradewind.domain.records import DagRow, InstanceRow, MapIndex, RunRow, format_map_index
from tradewind.domain.spec import DagSpec
from tradewind.domain.timetable.words import delta_in_words
from tradewind.ports.metastore import DagListing


def iso(at: datetime | None) -> str | None:
    """Return an instant as text."""
    return None if at is None else at.isoformat()


def map_index_shape(index: MapIndex) -> int | str | None:
    """Return a map index as people write it: null, ``3``, or ``"3.0"`` inside nested mapped groups."""
    if not index:
        return None
    return index[0] if len(index) == 1 else format_map_index(index)


def run_shape(run: RunRow) -> dict[str, Any]:
    """Return what ``dags trigger`` and ``runs list`` say of a run."""
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "state": run.state.value,
        "logical_date": iso(run.logical_date),
        "run_after": iso(run.run_after),
        "start_date": iso(run.started_at),
        "end_date": iso(run.ended_at),
    }


def task_shape(row: InstanceRow, operator: str) -> dict[str, Any]:
    """Return what ``runs show`` says of a task instance."""
    seconds = None
    if row.started_at is not None and row.ended_at is not None:
        seconds = (row.ended_at - row.started_at).total_seconds()
    return {
        "task_id": row.task_id,
        "map_index": map_index_shape(row.map_index),
        "state": row.state.value,
        "try_number": row.try_number,
        "start_date": iso(row.started_at),
        "end_date": iso(row.ended_at),
        "duration": seconds,
        "pool": row.pool,
        "operator": operator,
    }


def reason_shape(reason: Reason) -> dict[str, Any]:
    """Return what ``why`` says of one reason."""
    return {
        "kind": reason.kind.value,
        "message": reason.message,
        "since": iso(reason.since),
        "until": iso(reason.until),
    }


def dag_shape(listing: DagListing, spec: DagSpec | None) -> dict[str, Any]:
    """Return what ``dags list`` says of a DAG."""
    dag = listing.dag
    return {
        "dag_id": dag.dag_id,
        "file": dag.file,
        "schedule": None if spec is None else schedule_text(spec),
        "paused": dag.paused,
        "tags": [] if spec is None else list(spec.tags),
        "next_run": iso(next_run(dag)),
        "last_state": None if listing.last_run is None else listing.last_run.state.value,
        "version": dag.version_number,
    }


def next_run(dag: DagRow) -> datetime | None:
    """Return when the schedule makes the next run; None while the DAG is paused or gone."""
    return None if dag.paused or dag.retired or dag.missing_since_at is not None else dag.next_run_at


def schedule_text(spec: DagSpec) -> str | None:
    """Return a schedule as it was written, as far as it has such a form; None when there is none."""
    from tradewind.domain.timetable import spec as forms

    if spec.schedule is None:
        return None
    return _written(spec.schedule, forms)


def _written(schedule: Any, forms: Any) -> str:
    match schedule:
        case forms.CronSpec():
            return str(schedule.expr)
        case forms.MultiCronSpec():
            return ", ".join(cron.expr for cron in schedule.crons)
        case forms.DeltaSpec():
            from datetime import timedelta

            return delta_in_words(timedelta(seconds=schedule.seconds))
        case forms.OnceSpec():
            return "@once"
        case forms.ContinuousSpec():
            return "@continuous"
        case forms.InstantsSpec():
            return f"{len(schedule.at)} instants"
        case forms.CustomSpec():
            return str(schedule.name)
        case forms.AssetOrTimeSpec():
            return f"assets or {_written(schedule.time, forms)}"
        case _:
            return "assets"


def operators_of(spec: DagSpec) -> Mapping[str, str]:
    """Return task_id -> operator."""
    return {task.task_id: task.operator for task in spec.tasks}
