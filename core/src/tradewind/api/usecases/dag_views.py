"""What is shown of one DAG: itself, its next runs, its source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tradewind.api.trigger import find_dag
from tradewind.api.usecases.shapes import dag_shape, iso, next_run
from tradewind.domain.records import DagRow
from tradewind.domain.spec import DagSpec, TaskSpec
from tradewind.domain.timetable import TimetableFactory, from_spec
from tradewind.errors import NotFoundError
from tradewind.ports.metastore import DagListing, Metastore


def show_dag(store: Metastore, dag_id: str, timetables: Mapping[str, TimetableFactory]) -> dict[str, Any]:
    """Return a DAG with its tasks, params and versions."""
    dag = find_dag(store, dag_id)
    spec = store.spec(dag.version_id)
    newest = store.list_runs(dag_id=dag_id, limit=1)
    return {
        **dag_shape(DagListing(dag=dag, last_run=newest[0] if newest else None), spec),
        "held": dag.held,
        "retired": dag.retired,
        "description": spec.description,
        "owner": spec.owner,
        "schedule_text": _in_words(spec, timetables),
        "start_date": iso(spec.start_at),
        "end_date": iso(spec.end_at),
        "catchup": spec.catchup,
        "max_active_runs": spec.max_active_runs,
        "failing_since": iso(dag.failing_since_at),
        "missing_since": iso(dag.missing_since_at),
        "params": [
            {
                "name": one.name,
                "default": one.default if one.has_default else None,
                "required": not one.has_default,
                "schema": one.schema,
                "description": one.description,
            }
            for one in spec.params
        ],
        "tasks": [task_spec_shape(one) for one in spec.tasks],
        "versions": [
            {"version": number, "hash": digest, "since": iso(since)}
            for _id, number, digest, since in store.versions(dag_id)
        ],
    }


def task_spec_shape(task: TaskSpec) -> dict[str, Any]:
    """Return a task as its DAG has it."""
    return {
        "task_id": task.task_id,
        "operator": task.operator,
        "upstream": list(task.upstream),
        "group": task.group,
        "trigger_rule": task.trigger_rule.value,
        "mapped": task.expand is not None,
        "retries": task.retry.retries,
        "retry_delay_seconds": task.retry.delay_seconds,
        "timeout_seconds": task.timeout_seconds,
        "pool": task.pool,
        "pool_slots": task.pool_slots,
        "executor": task.executor,
        "queue": task.queue,
        "line": task.line,
        "doc": task.doc,
    }


def next_runs(
    store: Metastore, dag_id: str, timetables: Mapping[str, TimetableFactory], number: int
) -> list[dict[str, Any]]:
    """Return the next ticks of a DAG's schedule, at most ``number``; none for a DAG that is paused."""
    dag = find_dag(store, dag_id)
    spec = store.spec(dag.version_id)
    if next_run(dag) is None:
        return []
    return [
        {"run_after": iso(tick), "logical_date": iso(tick)} for tick in _ticks(dag, spec, timetables, number)
    ]


def _ticks(
    dag: DagRow, spec: DagSpec, timetables: Mapping[str, TimetableFactory], number: int
) -> list[datetime]:
    timetable = None if spec.schedule is None else from_spec(spec.schedule, timetables)
    ticks: list[datetime] = []
    at = dag.next_run_at
    while at is not None and len(ticks) < number and (spec.end_at is None or at <= spec.end_at):
        ticks.append(at)
        at = None if timetable is None else timetable.next_after(at)
    return ticks


def _in_words(spec: DagSpec, timetables: Mapping[str, TimetableFactory]) -> str | None:
    timetable = None if spec.schedule is None else from_spec(spec.schedule, timetables)
    return None if timetable is None else timetable.describe()


def source_of(store: Metastore, dag_id: str, number: int | None = None) -> tuple[str, str]:
    """Return (file, text) that made a DAG's newest version, or ``number``; ``NotFoundError`` names those kept."""
    dag = find_dag(store, dag_id)
    version_id = dag.version_id
    if number is not None:
        known = {one[1]: one[0] for one in store.versions(dag_id)}
        if number not in known:
            there = ", ".join(map(str, sorted(known)))
            raise NotFoundError(f'DAG "{dag_id}" has no version {number}. It has: {there}')
        version_id = known[number]
    file, _sha, text = store.source(version_id)
    return file, text.decode("utf-8", "replace")
