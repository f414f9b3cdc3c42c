"""Deleting: a DAG with its history, and old runs, in small transactions that block nobody for long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tradewind.domain.records import EventRow, instance_id
from tradewind.errors import ConflictError
from tradewind.metastore.apply import insert_events
from tradewind.metastore.instants import to_us
from tradewind.metastore.session import Session, Tx
from tradewind.metastore.world import ACTIVE

RUNS_PER_TRANSACTION: Final = 50

# What hangs on a run, children first: (table, column, whether it holds instance ids).
_OF_RUN: Final = (
    ("rendered", "instance_id", True),
    ("attempt", "instance_id", True),
    ("xcom", "run_pk", False),
    ("task_state", "run_pk", False),
    ("task_instance", "run_pk", False),
    ("run", "pk", False),
)
TABLES: Final = (*(table for table, _column, _instance in _OF_RUN), "event")


def delete_runs(tx: Tx, pks: Sequence[int]) -> dict[str, int]:
    """Delete runs with all that hangs on them; return counts by table."""
    counts = {}
    for table, column, by_instance in _OF_RUN:
        if by_instance:
            ranges = [(instance_id(pk, 0), instance_id(pk + 1, 0)) for pk in pks]
            counts[table] = tx.many(f"DELETE FROM {table} WHERE {column} >= ? AND {column} < ?", ranges)
        else:
            counts[table] = tx.many(f"DELETE FROM {table} WHERE {column} = ?", [(pk,) for pk in pks])
    return counts


def delete_dag(session: Session, dag_id: str, actor: str) -> bool:
    """Delete a DAG with its history: the runs in batches first, the DAG itself last."""
    if not session.write(lambda tx: _retire(tx, dag_id)):
        return False
    while session.write(lambda tx: _delete_some_runs(tx, dag_id)):
        pass
    session.write(lambda tx: _delete_row(tx, dag_id, actor))
    return True


def _retire(tx: Tx, dag_id: str) -> bool:
    """End the making of runs, so that the batches come to an end; refuse while runs are active."""
    if tx.one(f"SELECT dag_id FROM dag WHERE dag_id = ?{tx.dialect.update_lock}", (dag_id,)) is None:
        return False
    active = tx.all(f"SELECT run_id FROM run WHERE dag_id = ? AND {ACTIVE} ORDER BY pk LIMIT 3", (dag_id,))
    if active:
        raise has_active_runs(dag_id, [run_id for (run_id,) in active])
    tx.run("UPDATE dag SET retired = 1 WHERE dag_id = ?", (dag_id,))
    return True


def has_active_runs(dag_id: str, run_ids: Sequence[str]) -> ConflictError:
    """Return the refusal to delete a DAG that is at work."""
    return ConflictError(
        f'DAG "{dag_id}" has active runs ({", ".join(run_ids)}). '
        "Wait for them or cancel them (`tradewind runs cancel`), then delete it."
    )


def _delete_some_runs(tx: Tx, dag_id: str) -> bool:
    found = tx.all(f"SELECT pk FROM run WHERE dag_id = ? ORDER BY pk LIMIT {RUNS_PER_TRANSACTION}", (dag_id,))
    if found:
        delete_runs(tx, [pk for (pk,) in found])
    return bool(found)


def _delete_row(tx: Tx, dag_id: str, actor: str) -> None:
    tx.run("DELETE FROM dag_version WHERE dag_id = ?", (dag_id,))
    tx.run("DELETE FROM dag WHERE dag_id = ?", (dag_id,))
    delete_unused_sources(tx)
    insert_events(tx, (EventRow(kind="dag.deleted", dag_id=dag_id, actor=actor),))


def delete_unused_sources(tx: Tx) -> int:
    """Delete the texts that no version has."""
    return tx.run("DELETE FROM dag_source WHERE sha NOT IN (SELECT source_sha FROM dag_version)")


def clean(tx: Tx, before: datetime, keep_last_per_dag: int, limit: int) -> dict[str, int]:
    """Delete at most ``limit`` old ended runs and ``limit`` old events; return counts by table."""
    found = tx.all(
        "SELECT pk FROM (SELECT pk, state, ended_at, "
        "ROW_NUMBER() OVER (PARTITION BY dag_id ORDER BY pk DESC) AS place FROM run) numbered "
        f"WHERE place > ? AND ended_at < ? AND NOT ({ACTIVE}) ORDER BY pk LIMIT ?",
        (keep_last_per_dag, to_us(before), limit),
    )
    counts = dict.fromkeys(TABLES, 0)
    if found:
        counts |= delete_runs(tx, [pk for (pk,) in found])
    counts["event"] = _delete_events(tx, before, limit)
    return counts


def _delete_events(tx: Tx, before: datetime, limit: int) -> int:
    """Delete the oldest events up to the first that is young enough."""
    oldest = tx.all("SELECT id, at FROM event ORDER BY id LIMIT ?", (limit,))
    until = to_us(before)
    last = 0
    for event_id, at in oldest:
        if at >= until:
            break
        last = event_id
    return tx.run("DELETE FROM event WHERE id <= ?", (last,)) if last else 0
