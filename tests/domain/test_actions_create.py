"""Runs that people, tasks and backfills make, and DAGs that people pause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tradewind.domain.actions import create_run, pause_dag, unpause_dag
from tradewind.domain.records import Batch, DagRow, DagWrite, EventRow, RunRow, RunType, RunWrite
from tradewind.domain.spec import DagSpec, ParamSpec, TaskSpec
from tradewind.domain.states import RunState
from tradewind.errors import ConflictError, ParamError

NOW = datetime(2026, 1, 1, 7, tzinfo=UTC)
DAG = DagRow(
    dag_id="sales",
    file="sales.py",
    version_id=4,
    version_number=2,
    first_seen_at=NOW,
    cursor_at=NOW,
    revision=3,
)
SPEC = DagSpec(
    dag_id="sales",
    file="sales.py",
    tasks=(TaskSpec(task_id="a", operator="Op"),),
    params=(ParamSpec(name="region", default="eu", schema={"enum": ["eu", "us"]}),),
)


def test_a_manual_run_is_queued_with_its_params() -> None:
    batch = create_run(
        DAG, SPEC, pk=7, now=NOW, actor="cli:anna", conf={"region": "us"}, note="try", priority=2
    )
    row = RunRow(
        pk=7,
        dag_id="sales",
        run_id="manual__2026-01-01T07:00:00+00:00",
        version_id=4,
        run_type=RunType.MANUAL,
        state=RunState.QUEUED,
        logical_date=NOW,
        run_after=NOW,
        interval_start=NOW,
        interval_end=NOW,
        conf={"region": "us"},
        params={"region": "us"},
        priority=2,
        queued_at=NOW,
        triggered_by="cli:anna",
        note="try",
    )
    event = EventRow(
        kind="run.queued",
        dag_id="sales",
        run_pk=7,
        run_id=row.run_id,
        actor="cli:anna",
        data={"run_type": "manual", "note": "try"},
    )
    assert batch == Batch(runs=(RunWrite(row=row),), events=(event,))


def test_dates_and_ids_may_be_given() -> None:
    date = NOW - timedelta(days=1)
    batch = create_run(
        DAG,
        SPEC,
        pk=7,
        now=NOW,
        actor="task:x",
        run_type=RunType.BACKFILL,
        logical_date=date,
        run_after=NOW + timedelta(hours=1),
        run_id="mine",
    )
    row = batch.runs[0].row
    assert (
        row.run_id,
        row.logical_date,
        row.interval_start,
        row.interval_end,
        row.run_after,
        row.params,
    ) == (
        "mine",
        date,
        date,
        date,
        NOW + timedelta(hours=1),
        {"region": "eu"},
    )
    assert (
        create_run(DAG, SPEC, pk=7, now=NOW, actor="x", run_type=RunType.BACKFILL, logical_date=date)
        .runs[0]
        .row.run_id
        == "backfill__2025-12-31T07:00:00+00:00"
    )


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"conf": {"region": "mars"}}, ParamError, "param 'region' is 'mars'"),
        ({"run_id": "../x"}, ValueError, "the run_id '../x' has '/'"),
        ({"logical_date": datetime(2026, 1, 1)}, ValueError, "has no time zone"),  # noqa: DTZ001 - it is the point
        ({"run_after": datetime(2026, 1, 1)}, ValueError, "has no time zone"),  # noqa: DTZ001
        ({"priority": 2**31}, ValueError, "priority 2147483648 is out of range"),
        ({"note": "x" * 4001}, ValueError, "the note has 4,001 characters"),
    ],
)
def test_what_cannot_be_is_refused(more: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create_run(DAG, SPEC, pk=7, now=NOW, actor="anna", **more)


def test_a_retired_dag_takes_no_runs() -> None:
    with pytest.raises(ConflictError, match=r'DAG "sales" is retired: its file sales.py is gone'):
        create_run(msgspec.structs.replace(DAG, retired=True), SPEC, pk=7, now=NOW, actor="anna")


def test_a_dag_is_paused_held_and_unpaused() -> None:
    paused = msgspec.structs.replace(DAG, paused=True)
    held = msgspec.structs.replace(DAG, paused=True, held=True)

    def batch(row: DagRow, kind: str, **data: Any) -> Batch:
        return Batch(
            dags=(DagWrite(row=row, guard_cursor_at=NOW),),
            events=(EventRow(kind=kind, dag_id="sales", actor="anna", data=data),),
        )

    assert pause_dag(DAG, actor="anna", why="flood") == batch(paused, "dag.paused", why="flood")
    assert pause_dag(paused, actor="anna") == Batch()
    assert pause_dag(paused, actor="anna", hold=True) == batch(held, "dag.paused", held=True)
    assert unpause_dag(held, actor="anna") == batch(DAG, "dag.unpaused")
    assert unpause_dag(DAG, actor="anna") == Batch()
