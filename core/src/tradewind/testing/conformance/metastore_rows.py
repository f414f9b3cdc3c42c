"""Rows for the metastore's conformance suite: small, valid, easy to vary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from tradewind.domain.codec import spec_hash
from tradewind.domain.records import (
    Batch,
    CommitResult,
    Committed,
    DagRow,
    EventRow,
    Guard,
    InstanceRow,
    InstanceWrite,
    RunRow,
    RunSnapshot,
    RunType,
    RunWrite,
    instance_id,
)
from tradewind.domain.spec import DagSpec, TaskSpec
from tradewind.domain.states import RunState, TaskState
from tradewind.ports.metastore import Metastore

Row = TypeVar("Row", bound=msgspec.Struct)

AT: Final = datetime(2026, 1, 1, 6, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


def dag_spec(dag_id: str = "sales", *, file: str | None = None, **changes: Any) -> DagSpec:
    """Return a DAG of two tasks."""
    tasks = (
        TaskSpec(task_id="extract", operator="PythonOperator"),
        TaskSpec(task_id="load", operator="PythonOperator", upstream=("extract",)),
    )
    return DagSpec(dag_id=dag_id, file=file or f"{dag_id}.py", tasks=tasks, **changes)


def save(
    store: Metastore, spec: DagSpec, source: bytes = b"# v1", now: datetime = AT
) -> tuple[str, int, bool]:
    """Store one DAG as its file's only one."""
    (saved,) = store.save_file(spec.file, source, [(spec, spec_hash(spec))], now=now)
    return saved


def add_dag(store: Metastore, dag_id: str = "sales") -> DagRow:
    """Store a DAG and return its row."""
    save(store, dag_spec(dag_id))
    row = store.dag_row(dag_id)
    assert row is not None
    return row


def run_row(pk: int, dag: DagRow, **changes: Any) -> RunRow:
    """Return a running run; its logical date is ``pk`` hours after the first."""
    at = AT + pk * HOUR
    row = RunRow(
        pk=pk,
        dag_id=dag.dag_id,
        run_id=f"scheduled__{at.isoformat()}",
        version_id=dag.version_id,
        run_type=RunType.SCHEDULED,
        state=RunState.RUNNING,
        logical_date=at,
        run_after=at,
        interval_start=at - HOUR,
        interval_end=at,
        tick=at,
    )
    return changed(row, **changes)


def instance_row(run_pk: int, ordinal: int = 0, **changes: Any) -> InstanceRow:
    """Return an instance in state none, mapped by its ordinal."""
    row = InstanceRow(id=instance_id(run_pk, ordinal), run_pk=run_pk, task_id="extract", map_index=(ordinal,))
    return changed(row, **changes)


def changed(row: Row, **changes: Any) -> Row:
    """Return the row with some fields replaced."""
    return msgspec.structs.replace(row, **changes)


def insert(row: InstanceRow) -> InstanceWrite:
    """Return the write of a new instance."""
    return InstanceWrite(row=row)


def replace(old: InstanceRow, **changes: Any) -> InstanceWrite:
    """Return the guarded write of a changed instance."""
    return InstanceWrite(row=changed(old, **changes), guard=Guard(old.state, old.token))


def event(kind: str = "task.success", **changes: Any) -> EventRow:
    """Return an event."""
    return EventRow(kind=kind, **changes)


def committed(result: CommitResult) -> Committed:
    """Return the result, which must be that the batch was written."""
    assert isinstance(result, Committed), result
    return result


def add_run(
    store: Metastore, dag: DagRow, *instances: InstanceRow, count: int = 0, **changes: Any
) -> RunSnapshot:
    """Store a run with the given instances, or ``count`` new ones, and return it as it is read."""
    (pk,) = store.allocate_run_pks(1)
    rows = [changed(row, id=instance_id(pk, n), run_pk=pk) for n, row in enumerate(instances)]
    rows += [instance_row(pk, n) for n in range(count)]
    run = run_row(pk, dag, instances=len(rows), **changes)
    batch = Batch(runs=(RunWrite(row=run),), instances=tuple(map(insert, rows)))
    committed(store.commit(batch))
    snapshot = store.run(pk)
    assert snapshot is not None
    return snapshot


def add_queued(store: Metastore, count: int = 1) -> RunSnapshot:
    """Store a DAG and a run whose instances are queued under token 1."""
    dag = store.dag_row("sales") or add_dag(store)
    queued = instance_row(0, state=TaskState.QUEUED, token=1, queued_at=AT)
    return add_run(store, dag, *(changed(queued, map_index=(n,)) for n in range(count)))


class Everything(NamedTuple):
    """All that a commit can change, as it is read."""

    runs: list[RunSnapshot]
    attempts: list[Any]
    xcoms: list[Any]
    dags: list[DagRow]
    events: list[EventRow]


def everything(store: Metastore) -> Everything:
    """Read all that a commit can change."""
    runs = [snapshot for run in store.list_runs(limit=1000) if (snapshot := store.run(run.pk))]
    instances = [row for snapshot in runs for row in snapshot.instances]
    tasks = sorted({(row.run_pk, row.task_id) for row in instances})
    return Everything(
        runs=runs,
        attempts=[store.attempts(row.id) for row in instances],
        xcoms=[store.xcoms(*task) for task in tasks],
        dags=store.dags(),
        events=store.events_after(0, 100_000),
    )
