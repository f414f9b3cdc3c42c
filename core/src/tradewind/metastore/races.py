"""Who lost: after a refused batch, read which rows no longer stand as the guards said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from tradewind.domain.records import Batch, InstanceWrite, LostRace, RunWrite, format_map_index
from tradewind.metastore.instants import to_us
from tradewind.metastore.session import Tx

T = TypeVar("T")

IDS_PER_QUERY: Final = 500  # parameters of one IN list; SQLite of old took 999


def chunks(items: Iterable[T], size: int = IDS_PER_QUERY) -> Iterator[list[T]]:
    """Cut items into lists of at most ``size``."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def rows_in(tx: Tx, sql: str, ids: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows of a query whose ``{ids}`` stands for a list of values, asked for in chunks."""
    for chunk in chunks(ids):
        yield from tx.all(sql.format(ids=", ".join("?" * len(chunk))), chunk)


def guarded(batch: Batch) -> LostRace:
    """Return the race as lost by everything that has a guard."""
    return LostRace(
        instances=tuple(
            sorted([w.row.id for w in batch.instances] + [row_id for row_id, _guard in batch.removed])
        ),
        runs=tuple(sorted(w.row.pk for w in batch.runs if w.guard is not None)),
        dags=tuple(sorted(w.row.dag_id for w in batch.dags)),
        duplicate_runs=tuple(sorted(w.row.pk for w in batch.runs if w.guard is None)),
    )


def checks_hold(tx: Tx, checks: Sequence[tuple[int, int]], lock: str) -> bool:
    """Whether those runs still have those revisions; ``lock`` keeps them so until the transaction ends."""
    wanted = dict(checks)
    sql = f"SELECT pk, revision FROM run WHERE pk IN ({{ids}}) ORDER BY pk{lock}"
    return dict(rows_in(tx, sql, sorted(wanted))) == wanted if wanted else True


def find_lost(tx: Tx, batch: Batch) -> LostRace:
    """Compare the guards of a batch with the rows as they are now; empty when all of them hold."""
    asked = {w.row.pk for w in batch.runs} | _runs_of(batch) | {pk for pk, _revision in batch.checks}
    runs = {row[0]: row for row in rows_in(tx, _RUNS, asked)}
    dags = {row[0]: row for row in rows_in(tx, _DAGS, _dags_of(batch))}
    inserted_runs = {w.row.pk for w in batch.runs if w.guard is None}
    lost_runs = {w.row.pk for w in batch.runs if w.guard is not None and not _run_holds(w, runs)}
    lost_runs |= {pk for pk in _runs_of(batch) if pk not in runs and pk not in inserted_runs}
    lost_runs |= {pk for pk, revision in batch.checks if pk not in runs or runs[pk][2] != revision}
    lost_dags = {w.row.dag_id for w in batch.runs if w.guard is None and w.row.dag_id not in dags}
    for dag in batch.dags:
        stands = dags.get(dag.row.dag_id)
        cursor = None if dag.guard_cursor_at is None else to_us(dag.guard_cursor_at)
        if stands is None or tuple(stands[1:]) != (cursor, dag.row.revision):
            lost_dags.add(dag.row.dag_id)
    return LostRace(
        instances=tuple(sorted(_lost_instances(tx, batch))),
        runs=tuple(sorted(lost_runs)),
        dags=tuple(sorted(lost_dags)),
        duplicate_runs=tuple(sorted(_duplicates(tx, [w for w in batch.runs if w.guard is None]))),
    )


_RUNS: Final = "SELECT pk, state, revision FROM run WHERE pk IN ({ids})"
_DAGS: Final = "SELECT dag_id, cursor_at, revision FROM dag WHERE dag_id IN ({ids})"


def _runs_of(batch: Batch) -> set[int]:
    """Runs that new rows hang on."""
    inserted = {w.row.run_pk for w in batch.instances if w.guard is None}
    return inserted | {write.run_pk for write in batch.xcoms}


def _dags_of(batch: Batch) -> set[str]:
    return {w.row.dag_id for w in batch.runs if w.guard is None} | {w.row.dag_id for w in batch.dags}


def _run_holds(write: RunWrite, runs: dict[int, Any]) -> bool:
    row = runs.get(write.row.pk)
    return row is not None and row[1] == write.guard and row[2] == write.row.revision


def _lost_instances(tx: Tx, batch: Batch) -> set[int]:
    inserts = [write for write in batch.instances if write.guard is None]
    updates = [write for write in batch.instances if write.guard is not None]
    ids = {w.row.id for w in batch.instances} | {row_id for row_id, _guard in batch.removed}
    sql = f"SELECT id, state, token, lease_until_at, {tx.now} FROM task_instance WHERE id IN ({{ids}})"
    stand = {row[0]: row for row in rows_in(tx, sql, ids)}
    lost = {write.row.id for write in updates if not _instance_holds(write, stand.get(write.row.id))}
    lost |= {
        row_id
        for row_id, guard in batch.removed
        if row_id not in stand or (stand[row_id][1], stand[row_id][2]) != guard
    }
    lost |= {write.row.id for write in inserts if write.row.id in stand}
    removed = {row_id for row_id, _guard in batch.removed}
    return lost | _taken_names(tx, inserts, removed)


def _instance_holds(write: InstanceWrite, row: Sequence[Any] | None) -> bool:
    if row is None or (row[1], row[2]) != write.guard:
        return False
    return not write.lease_expired or (row[3] is not None and row[3] < row[4])


def _taken_names(tx: Tx, inserts: list[InstanceWrite], removed: set[int]) -> set[int]:
    """Inserts whose (run, task, map index) another row has, read by run and not name by name."""
    wanted = {(w.row.run_pk, w.row.task_id, format_map_index(w.row.map_index)): w.row.id for w in inserts}
    sql = "SELECT run_pk, task_id, map_index, id FROM task_instance WHERE run_pk IN ({ids})"
    return {
        wanted[name]
        for *parts, row_id in rows_in(tx, sql, {w.row.run_pk for w in inserts})
        for name in (tuple(parts),)
        if name in wanted and row_id != wanted[name] and row_id not in removed
    }


def _duplicates(tx: Tx, inserts: list[RunWrite]) -> set[int]:
    """Runs whose key, name or tick exists already."""
    lost = set()
    for write in inserts:
        row = write.row
        found = tx.all(
            "SELECT pk FROM run WHERE pk = ? OR (dag_id = ? AND run_id = ?)", (row.pk, row.dag_id, row.run_id)
        )
        if not found and row.tick is not None:
            found = tx.all("SELECT pk FROM run WHERE dag_id = ? AND tick = ?", (row.dag_id, to_us(row.tick)))
        if found:
            lost.add(row.pk)
    return lost
