"""What lists and pages show, as JSON shapes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tradewind.api.usecases.shapes import dag_shape, iso, operators_of, run_shape, task_shape
from tradewind.domain.leases import LOSSES_MAX
from tradewind.domain.records import AttemptRow, InstanceRow, RunSnapshot, format_map_index
from tradewind.domain.spec import DagSpec
from tradewind.errors import NotFoundError
from tradewind.ports.metastore import Metastore


def list_dags(
    store: Metastore, *, tags: tuple[str, ...] = (), paused: bool | None = None
) -> list[dict[str, Any]]:
    """Return all DAGs, by id; those with all of ``tags``, and ``paused`` or not."""
    rows = [dag_shape(listing, spec_or_none(store, listing.dag.version_id)) for listing in store.dag_list()]
    return [
        row for row in rows if set(tags) <= set(row["tags"]) and (paused is None or row["paused"] is paused)
    ]


def show_run(store: Metastore, snapshot: RunSnapshot) -> dict[str, Any]:
    """Return a run with its task instances, in the order of the DAG."""
    spec = spec_or_none(store, snapshot.run.version_id)
    return {**run_shape(snapshot.run), "tasks": task_rows(snapshot, spec)}


def task_rows(snapshot: RunSnapshot, spec: DagSpec | None) -> list[dict[str, Any]]:
    """Return the task instances of a run, in the order of the DAG and the map index."""
    operators = operators_of(spec) if spec is not None else {}
    return [task_shape(row, operators.get(row.task_id, "")) for row in in_order(snapshot, spec)]


def in_order(snapshot: RunSnapshot, spec: DagSpec | None) -> list[InstanceRow]:
    """Return the instances in the order of the DAG and the map index; placeholders of expanded tasks are left out."""
    place = {task.task_id: number for number, task in enumerate(spec.tasks)} if spec is not None else {}
    return sorted(
        snapshot.instances, key=lambda row: (place.get(row.task_id, len(place)), row.task_id, row.map_index)
    )


def spec_or_none(store: Metastore, version_id: int) -> DagSpec | None:
    """Return a DAG version; None when it is gone."""
    try:
        return store.spec(version_id)
    except NotFoundError:
        return None


def attempts_of(store: Metastore, row: InstanceRow) -> list[dict[str, Any]]:
    """Return the attempts of an instance that have ended, and the one on its way, oldest first."""
    shown = [attempt_shape(one) for one in store.attempts(row.id)]
    archived = {one["token"] for one in shown}
    if row.token and row.token not in archived and row.queued_at is not None:
        shown.append(
            {
                "try_number": row.try_number,
                "token": row.token,
                "state": row.state.value,
                "outcome": None,
                "reason": row.reason,
                "worker": row.worker,
                "queued_at": iso(row.queued_at),
                "start_date": iso(row.started_at),
                "end_date": iso(row.ended_at),
                "error": None,
                "exit_code": None,
                "signal": None,
            }
        )
    return shown


def attempt_shape(attempt: AttemptRow) -> dict[str, Any]:
    """Return one archived attempt."""
    return {
        "try_number": attempt.try_number,
        "token": attempt.token,
        "state": attempt.state.value,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "worker": attempt.worker,
        "queued_at": iso(attempt.queued_at),
        "start_date": iso(attempt.started_at),
        "end_date": iso(attempt.ended_at),
        "error": attempt.error,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
    }


def what_happened(store: Metastore, snapshot: RunSnapshot) -> list[tuple[datetime, str]]:
    """Return what was not plain about a run as sentences in time: losses, failed tries, skips with a reason."""
    told: list[tuple[datetime, str]] = []
    for row in snapshot.instances:
        if row.token > 1 or row.losses or row.try_number > 1 or row.reason:
            told += _story(store, row)
    return sorted(told)


def _story(store: Metastore, row: InstanceRow) -> list[tuple[datetime, str]]:
    name = f"{row.task_id}[{format_map_index(row.map_index)}]" if row.map_index else row.task_id
    told: list[tuple[datetime, str]] = []
    losses = 0
    attempts = store.attempts(row.id)
    for attempt in attempts:
        losses += attempt.outcome == "lost"
        if attempt.ended_at is not None and attempt.outcome != "success":
            told.append((attempt.ended_at, f"{name}: {_outcome(attempt, row, losses)}"))
    last = attempts[-1].reason if attempts else ""
    if row.reason and row.reason != last and row.ended_at is not None:
        told.append((row.ended_at, f"{name}: {row.state.value}: {row.reason}"))
    return told


def _outcome(attempt: AttemptRow, row: InstanceRow, losses: int) -> str:
    why = f" ({attempt.reason})" if attempt.reason else ""
    if attempt.outcome == "lost":
        why = why.replace("(lost: ", "(", 1)
        again = "run again" if attempt.state.value == "scheduled" else attempt.state.value
        return f"attempt lost{why}, {again} (loss {losses} of {LOSSES_MAX})"
    number = f"try {attempt.try_number} of {row.tries_max}"
    if attempt.state.value == "up_for_retry":
        return f"{number} failed{why}, tried again"
    return f"{number} {attempt.outcome}{why}"
