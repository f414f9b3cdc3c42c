"""Create a run that no schedule made: by a person, a task or a backfill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tradewind.domain.params import resolve_params
from tradewind.domain.records import Batch, DagRow, EventRow, RunRow, RunType, RunWrite
from tradewind.domain.run_ids import check_run_id, make_run_id
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import RunState
from tradewind.errors import ConflictError

PRIORITY_MAX = 2**31 - 1  # what every database can store
NOTE_CHARS_MAX = 4_000


def create_run(
    dag: DagRow,
    spec: DagSpec,
    *,
    pk: int,
    now: datetime,
    actor: str,
    run_type: RunType = RunType.MANUAL,
    logical_date: datetime | None = None,
    run_after: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    priority: int = 0,
    note: str = "",
) -> Batch:
    """Return the batch that queues a run of the DAG's current version.

    ``logical_date`` defaults to ``now``; the data interval is that instant alone. ``run_after`` defaults to
    ``now``: an instant ahead lets the run wait for it. Without ``run_id`` it is ``<type>__<logical date>``; the
    caller, who knows the runs there are, adds a number with :func:`~tradewind.domain.run_ids.make_run_id`.
    A paused DAG takes such runs all the same.

    ``ParamError`` when ``conf`` breaks the DAG's params, ``ValueError`` for a run_id, date, priority or note that
    cannot be, ``ConflictError`` when the DAG is retired. The commit answers ``LostRace.duplicate_runs`` when the
    run_id is taken.
    """
    date = now if logical_date is None else logical_date
    due = now if run_after is None else run_after
    _check(dag, date, due, priority, note)
    given = dict(conf or {})
    row = RunRow(
        pk=pk,
        dag_id=dag.dag_id,
        run_id=make_run_id(run_type, date, lambda _taken: False) if run_id is None else check_run_id(run_id),
        version_id=dag.version_id,
        run_type=run_type,
        state=RunState.QUEUED,
        logical_date=date,
        run_after=due,
        interval_start=date,
        interval_end=date,
        conf=given,
        params=resolve_params(spec.params, given),
        priority=priority,
        queued_at=now,
        triggered_by=actor,
        note=note,
    )
    event = EventRow(
        kind=f"run.{row.state}",
        dag_id=row.dag_id,
        run_pk=row.pk,
        run_id=row.run_id,
        actor=actor,
        data={"run_type": run_type.value} | ({"note": note} if note else {}),
    )
    return Batch(runs=(RunWrite(row=row),), events=(event,))


def _check(dag: DagRow, date: datetime, due: datetime, priority: int, note: str) -> None:
    if dag.retired:
        raise ConflictError(
            f'DAG "{dag.dag_id}" is retired: its file {dag.file} is gone. Restore the file to run it'
        )
    for name, instant in (("logical date", date), ("run_after", due)):
        if instant.tzinfo is None:
            raise ValueError(
                f"the {name} {instant.isoformat()} has no time zone; add one, for example +00:00"
            )
    if abs(priority) > PRIORITY_MAX:
        raise ValueError(f"priority {priority} is out of range; it may be -{PRIORITY_MAX} to {PRIORITY_MAX}")
    if len(note) > NOTE_CHARS_MAX:
        raise ValueError(f"the note has {len(note):,} characters; at most {NOTE_CHARS_MAX:,} are allowed")
