"""Reads for people: lists and counts for the command line and the web, each on an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tradewind.domain.records import AttemptRow, InstanceRow, RunRow, instance_id
from tradewind.domain.states import RunState, TaskState
from tradewind.metastore import rows
from tradewind.metastore.session import Tx
from tradewind.metastore.world import ACTIVE, dags
from tradewind.ports.metastore import DagListing

_RUN: Final = f"SELECT {', '.join(rows.RUN_COLUMNS)} FROM run"
_INSTANCE: Final = f"SELECT {', '.join(rows.INSTANCE_COLUMNS)} FROM task_instance"


def list_runs(
    tx: Tx, dag_id: str | None, states: Sequence[str] | None, limit: int, before_pk: int | None
) -> list[RunRow]:
    """Return runs, newest first."""
    where, parameters = _where(("dag_id = ?", dag_id), ("pk < ?", before_pk))
    if states is not None:
        where += f"{' AND' if where else ' WHERE'} state IN ({_marks(states)})"
        parameters += [str(state) for state in states]
    if states is not None and not states:
        return []
    found = tx.all(f"{_RUN}{where} ORDER BY pk DESC LIMIT ?", [*parameters, limit])
    return [rows.read_run(values) for values in found]


def search_runs(tx: Tx, text: str, dag_id: str | None, limit: int) -> list[RunRow]:
    """Return runs whose run_id starts with ``text``, newest first."""
    where, parameters = _where(
        ("dag_id = ?", dag_id), ("run_id >= ?", text), ("run_id < ?", text + "\U0010ffff")
    )
    found = tx.all(f"{_RUN}{where} ORDER BY pk DESC LIMIT ?", [*parameters, limit])
    return [row for values in found if (row := rows.read_run(values)).run_id.startswith(text)]


def find_instances(
    tx: Tx, run_pk: int, states: Sequence[str] | None, task_id: str | None, limit: int, after_id: int
) -> list[InstanceRow]:
    """Return instances of a run by id, filtered."""
    if states is not None and not states:
        return []
    where, parameters = _where(
        ("id > ?", max(after_id, instance_id(run_pk, 0) - 1)),
        ("id < ?", instance_id(run_pk + 1, 0)),
        ("task_id = ?", task_id),
    )
    if states is not None:
        where += f" AND state IN ({_marks(states)})"
        parameters += [str(state) for state in states]
    found = tx.all(f"{_INSTANCE}{where} ORDER BY id LIMIT ?", [*parameters, limit])
    return [rows.read_instance(values) for values in found]


def count_instances(tx: Tx, run_pk: int) -> dict[TaskState, int]:
    """Return how many instances of a run are in each state that occurs."""
    found = tx.all("SELECT state, COUNT(*) FROM task_instance WHERE run_pk = ? GROUP BY state", (run_pk,))
    counts = {TaskState(state): number for state, number in found}
    return {state: counts[state] for state in TaskState if state in counts}


def count_active_runs(tx: Tx) -> dict[str, dict[RunState, int]]:
    """Return dag_id -> state -> number of active runs."""
    found = tx.all(f"SELECT dag_id, state, COUNT(*) FROM run WHERE {ACTIVE} GROUP BY dag_id, state")
    counts: dict[str, dict[RunState, int]] = {}
    for dag_id, state, number in sorted(found):
        counts.setdefault(dag_id, {})[RunState(state)] = number
    return counts


def dag_list(tx: Tx) -> list[DagListing]:
    """Return the DAGs that are not retired, each with its newest run."""
    newest = tx.all(
        f"{_RUN} WHERE pk IN (SELECT (SELECT MAX(r.pk) FROM run r WHERE r.dag_id = d.dag_id) "
        "FROM dag d WHERE d.retired = 0)"
    )
    last = {row.dag_id: row for row in map(rows.read_run, newest)}
    return [DagListing(dag=row, last_run=last.get(row.dag_id)) for row in dags(tx)]


def attempts(tx: Tx, instance: int) -> list[AttemptRow]:
    """Return the archived attempts of an instance, oldest first."""
    sql = f"SELECT {', '.join(rows.ATTEMPT_COLUMNS)} FROM attempt WHERE instance_id = ? ORDER BY token"
    return [rows.read_attempt(values) for values in tx.all(sql, (instance,))]


def _where(*conditions: tuple[str, Any]) -> tuple[str, list[Any]]:
    """Join the conditions whose value is not None."""
    given = [(sql, value) for sql, value in conditions if value is not None]
    words = " AND ".join(sql for sql, _value in given)
    return (f" WHERE {words}" if words else ""), [value for _sql, value in given]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
