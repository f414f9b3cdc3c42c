"""No statement of the daily work walks through a table that grows with history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tradewind.domain.records import Batch, RunWrite
from tradewind.domain.states import RunState, TaskState
from tradewind.metastore import SqlMetastore
from tradewind.metastore.maintenance import delete_runs
from tradewind.metastore.session import Tx
from tradewind.metastore.statements import Insert, Statement, one_row
from tradewind.testing.conformance.metastore_rows import (
    AT,
    add_dag,
    add_run,
    changed,
    event,
    replace,
    run_row,
)

GROWING = (
    "run",
    "task_instance",
    "attempt",
    "xcom",
    "task_state",
    "rendered",
    "event",
    "dag_version",
    "dag_source",
)


class Watched(Tx):
    """Notes how SQLite would execute each statement."""

    plans: list[str]

    def _explain(self, sql: str, parameters: Sequence[Any]) -> None:
        if sql.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "DELETE"}:
            for row in super().all(f"EXPLAIN QUERY PLAN {sql}", parameters):
                self.plans.append(f"{row[3]} <- {sql}")

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        if not sql.startswith("EXPLAIN"):
            self._explain(sql, parameters)
        return super().all(sql, parameters)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        self._explain(sql, parameters)
        return super().run(sql, parameters)

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        self._explain(sql, rows[0])
        return super().many(sql, rows)

    def change(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        if not isinstance(statement, Insert):
            self._explain(one_row(statement, ""), rows[0])
        return super().change(statement, rows)


@pytest.fixture
def plans(sqlite_store: SqlMetastore) -> Iterator[list[str]]:
    """Plans of all statements the test lets the store execute; none may walk through a growing table."""
    sqlite_store.last_event_id()
    session = sqlite_store._session
    watched = Watched(session.dialect, session._connection.cursor())
    watched.plans = []
    session._tx = watched
    yield watched.plans
    assert watched.plans
    walks = [plan for plan in watched.plans if any(_walks(plan, table) for table in GROWING)]
    assert walks == []


def _walks(plan: str, table: str) -> bool:
    step = plan.partition(" <- ")[0]
    return step in {f"SCAN {table}", f"SCAN {alias_of(table)}"} or step.startswith(f"SCAN {table} USING")


def alias_of(table: str) -> str:
    return {"run": "r", "task_instance": "t", "dag_version": "v", "dag_source": "s"}.get(table, table)


def test_commits_and_heartbeats(sqlite_store: SqlMetastore, plans: list[str]) -> None:
    dag = add_dag(sqlite_store)
    run = add_run(sqlite_store, dag, count=3)
    queued = tuple(replace(row, state=TaskState.QUEUED, token=1) for row in run.instances)
    sqlite_store.commit(Batch(instances=queued, events=(event(),), checks=((run.run.pk, 0),)))
    ended = changed(run.run, state=RunState.SUCCESS)
    clear = ((run.run.pk, "extract", (0,)),)
    sqlite_store.commit(Batch(runs=(RunWrite(row=ended, guard=RunState.RUNNING),), xcoms_cleared=clear))
    sqlite_store.commit(Batch(runs=(RunWrite(row=run_row(run.run.pk, dag)),), instances=queued))
    sqlite_store.heartbeat([(row.id, 1) for row in run.instances], 30.0)
    assert any("task_instance" in plan for plan in plans)


def test_reads_of_the_scheduler(sqlite_store: SqlMetastore, plans: list[str]) -> None:
    dag = add_dag(sqlite_store)
    run = add_run(sqlite_store, dag, count=3)
    sqlite_store.active_runs()
    sqlite_store.run(run.run.pk)
    sqlite_store.find_run(dag.dag_id, run.run.run_id)
    sqlite_store.find_run_at(dag.dag_id, AT)
    sqlite_store.newest_success(dag.dag_id, AT)
    sqlite_store.previous_run(run.run)
    sqlite_store.instances([row.id for row in run.instances])
    sqlite_store.expired_leases(100)
    sqlite_store.events_after(0, 100)
    sqlite_store.dags()
    sqlite_store.spec(dag.version_id)
    sqlite_store.source(dag.version_id)
    assert any("ix_run_active" in plan for plan in plans)
    assert any("ix_task_instance_lease" in plan for plan in plans)


def test_reads_for_people_and_tasks(sqlite_store: SqlMetastore, plans: list[str]) -> None:
    dag = add_dag(sqlite_store)
    run = add_run(sqlite_store, dag, count=3)
    pk = run.run.pk
    sqlite_store.list_runs(dag_id=dag.dag_id, before_pk=pk)
    sqlite_store.search_runs("scheduled", dag_id=dag.dag_id)
    sqlite_store.find_instances(pk, states=["failed"])
    sqlite_store.count_instances(pk)
    sqlite_store.count_active_runs()
    sqlite_store.dag_list()
    sqlite_store.attempts(run.instances[0].id)
    sqlite_store.versions(dag.dag_id)
    sqlite_store.xcoms(pk, "extract", "k", (1,))
    sqlite_store.task_state(pk, "extract", ())
    sqlite_store.set_task_state(pk, "extract", (), {"a": "1", "b": None})
    sqlite_store.rendered(run.instances[0].id)
    assert plans


def test_saving_files(sqlite_store: SqlMetastore, plans: list[str]) -> None:
    dag = add_dag(sqlite_store)
    add_dag(sqlite_store)
    sqlite_store.mark_missing([dag.file], now=AT)
    assert any("ix_dag_file" in plan for plan in plans)


def test_deleting(sqlite_store: SqlMetastore, plans: list[str]) -> None:
    dag = add_dag(sqlite_store)
    run = add_run(sqlite_store, dag, count=3, state=RunState.SUCCESS, ended_at=AT)
    sqlite_store._session.write(lambda tx: delete_runs(tx, [run.run.pk]))
    assert sqlite_store.run(run.run.pk) is None
    assert plans
