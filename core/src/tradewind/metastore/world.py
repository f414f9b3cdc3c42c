"""What the scheduler reads: runs with their instances, leases, events, DAGs, pools. Few queries, whole rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from tradewind.domain.codec import decode_dag
from tradewind.domain.records import DagRow, EventRow, InstanceRow, PoolRow, RunRow, RunSnapshot, RunType
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import RunState, TaskState
from tradewind.errors import NotFoundError
from tradewind.metastore import rows
from tradewind.metastore.instants import from_us, seconds_to_us, to_us
from tradewind.metastore.races import rows_in
from tradewind.metastore.session import Tx
from tradewind.metastore.statements import Update

# The words of the partial index, so that the planner sees that it serves.
ACTIVE: Final = "state IN ('queued', 'running', 'paused')"

_RUN: Final = f"SELECT {', '.join(rows.RUN_COLUMNS)} FROM run"
_INSTANCE: Final = f"SELECT {', '.join(rows.INSTANCE_COLUMNS)} FROM task_instance"
_ACTIVE_INSTANCES: Final = (
    f"SELECT {', '.join('t.' + name for name in rows.INSTANCE_COLUMNS)} "
    f"FROM run r JOIN task_instance t ON t.run_pk = r.pk WHERE r.{ACTIVE}"
)
_EVENT: Final = f"SELECT {', '.join(rows.EVENT_COLUMNS)} FROM event"
_DAG: Final = f"SELECT {', '.join(rows.DAG_COLUMNS)} FROM dag"


def now(tx: Tx) -> datetime:
    """Return database time."""
    return from_us(tx.one(f"SELECT {tx.now}")[0])


def active_runs(tx: Tx) -> list[RunSnapshot]:
    """Return every active run; two statements in one snapshot."""
    runs = [rows.read_run(values) for values in tx.all(f"{_RUN} WHERE {ACTIVE} ORDER BY pk")]
    instances: dict[int, list[InstanceRow]] = defaultdict(list)
    read = rows.read_instance
    for values in tx.all(_ACTIVE_INSTANCES):
        instances[values[1]].append(read(values))
    return [_snapshot(run, instances.get(run.pk, [])) for run in runs]


def run(tx: Tx, run_pk: int) -> RunSnapshot | None:
    """Return one run with its instances."""
    values = tx.one(f"{_RUN} WHERE pk = ?", (run_pk,))
    return None if values is None else _with_instances(tx, rows.read_run(values))


def _with_instances(tx: Tx, row: RunRow) -> RunSnapshot:
    return _snapshot(row, instances_of(tx, row.pk))


def instances_of(tx: Tx, run_pk: int) -> list[InstanceRow]:
    """Return the instances of a run by id."""
    found = [rows.read_instance(values) for values in tx.all(f"{_INSTANCE} WHERE run_pk = ?", (run_pk,))]
    return sorted(found, key=_instance_id)


def _snapshot(row: RunRow, instances: list[InstanceRow]) -> RunSnapshot:
    instances.sort(key=_instance_id)
    return RunSnapshot(run=row, instances=tuple(instances))


def _instance_id(row: InstanceRow) -> int:
    return row.id


def run_row(tx: Tx, run_pk: int) -> RunRow | None:
    """Return one run's row alone."""
    values = tx.one(f"{_RUN} WHERE pk = ?", (run_pk,))
    return None if values is None else rows.read_run(values)


def find_run_at(tx: Tx, dag_id: str, logical_date: datetime) -> RunRow | None:
    """Return the newest run with exactly that logical date."""
    values = tx.one(
        f"{_RUN} WHERE dag_id = ? AND logical_date = ? ORDER BY pk DESC LIMIT 1",
        (dag_id, to_us(logical_date)),
    )
    return None if values is None else rows.read_run(values)


def find_run(tx: Tx, dag_id: str, run_id: str) -> RunRow | None:
    """Return one run's row by its name."""
    values = tx.one(f"{_RUN} WHERE dag_id = ? AND run_id = ?", (dag_id, run_id))
    return None if values is None else rows.read_run(values)


def newest_success(tx: Tx, dag_id: str, before: datetime) -> RunRow | None:
    """Return the successful run with the greatest logical date before that instant."""
    values = tx.one(
        f"{_RUN} WHERE dag_id = ? AND logical_date < ? AND state = ? ORDER BY logical_date DESC, pk DESC LIMIT 1",
        (dag_id, to_us(before), RunState.SUCCESS.value),
    )
    return None if values is None else rows.read_run(values)


def previous_run(tx: Tx, row: RunRow) -> RunSnapshot | None:
    """Return the run before this one by logical date, backfills apart; the newest of several at one instant."""
    values = tx.one(
        f"{_RUN} WHERE dag_id = ? AND logical_date < ? AND run_type <> ? "
        "ORDER BY logical_date DESC, pk DESC LIMIT 1",
        (row.dag_id, to_us(row.logical_date), RunType.BACKFILL.value),
    )
    return None if values is None else _with_instances(tx, rows.read_run(values))


def instances(tx: Tx, ids: Sequence[int]) -> list[InstanceRow]:
    """Return the rows of those ids that exist, by id."""
    found = rows_in(tx, f"{_INSTANCE} WHERE id IN ({{ids}})", sorted(set(ids)))
    return sorted((rows.read_instance(values) for values in found), key=_instance_id)


def expired_leases(tx: Tx, limit: int) -> list[tuple[int, int]]:
    """Return running instances whose lease is over, the longest over first."""
    found = tx.all(
        "SELECT id, token FROM task_instance WHERE state = 'running' "
        f"AND lease_until_at < {tx.now} ORDER BY lease_until_at LIMIT ?",
        (limit,),
    )
    return [(row_id, token) for row_id, token in found]


def heartbeat(tx: Tx, beats: Sequence[tuple[int, int]], lease_seconds: float) -> list[tuple[int, int]]:
    """Extend leases; return the beats whose attempt no longer runs under that token, in the order given."""
    wanted = sorted(set(beats))
    lease = seconds_to_us(lease_seconds)
    matched = tx.change(
        _beat(tx.now), [(lease, row_id, token, TaskState.RUNNING.value) for row_id, token in wanted]
    )
    if matched == len(wanted):
        return []
    sql = "SELECT id, token FROM task_instance WHERE state = 'running' AND id IN ({ids})"
    running = {(row_id, token) for row_id, token in rows_in(tx, sql, {row_id for row_id, _token in wanted})}
    return [beat for beat in dict.fromkeys(beats) if tuple(beat) not in running]


@lru_cache(maxsize=4)
def _beat(now: str) -> Update:
    # The state is a parameter: as a constant it lures PostgreSQL to the index of leases, away from the ids.
    return Update("task_instance", (("lease_until_at", f"{now} + ?"),), ("id", "token", "state"))


def events_after(tx: Tx, event_id: int, limit: int) -> list[EventRow]:
    """Return events with a greater id, in order."""
    found = tx.all(f"{_EVENT} WHERE id > ? ORDER BY id LIMIT ?", (event_id, limit))
    return [rows.read_event(values) for values in found]


def last_event_id(tx: Tx) -> int:
    """Return the newest event's id; it stays when events are cleaned away."""
    last: int = tx.one("SELECT value FROM sequence WHERE name = 'event'")[0]
    return last


def dags(tx: Tx) -> list[DagRow]:
    """Return the DAGs that are not retired, by id."""
    return _dags(tx.all(f"{_DAG} WHERE retired = 0"))


def dag_row(tx: Tx, dag_id: str) -> DagRow | None:
    """Return one DAG, a retired one too."""
    values = tx.one(f"{_DAG} WHERE dag_id = ?", (dag_id,))
    return None if values is None else rows.read_dag(values)


def _dags(found: Iterable[Any]) -> list[DagRow]:
    return sorted((rows.read_dag(values) for values in found), key=lambda row: row.dag_id)


def spec(tx: Tx, version_id: int) -> DagSpec:
    """Return a stored DAG version."""
    values = tx.one("SELECT spec FROM dag_version WHERE id = ?", (version_id,))
    if values is None:
        raise no_version(version_id)
    return decode_dag(values[0])


def source(tx: Tx, version_id: int) -> tuple[str, str, bytes]:
    """Return (file, SHA-256 of the text, the file's bytes) of a DAG version."""
    values = tx.one(
        "SELECT v.file, v.source_sha, s.content FROM dag_version v JOIN dag_source s ON s.sha = v.source_sha "
        "WHERE v.id = ?",
        (version_id,),
    )
    if values is None:
        raise no_version(version_id)
    return values[0], values[1], bytes(values[2])


def no_version(version_id: int) -> NotFoundError:
    """Return the error that a DAG version does not exist."""
    return NotFoundError(
        f"There is no DAG version with id {version_id}; its DAG was deleted. `tradewind dags list` shows what there is."
    )


def pools(tx: Tx) -> list[PoolRow]:
    """Return all pools, by name."""
    found = tx.all("SELECT name, slots, description FROM pool")
    pools = [PoolRow(name=name, slots=slots, description=text) for name, slots, text in found]
    return sorted(pools, key=lambda row: row.name)
