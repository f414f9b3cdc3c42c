"""Runs and task instances by the names people know, with the nearest names when one is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tradewind.api.trigger import find_dag
from tradewind.domain.records import InstanceRow, MapIndex, RunRow, RunSnapshot, format_map_index
from tradewind.errors import NotFoundError
from tradewind.ports.metastore import Metastore

NEAR_MAX = 3
LATEST = "latest"  # instead of a run_id: the newest run


def find_run(store: Metastore, dag_id: str, run_id: str) -> RunRow:
    """Return a run; ``latest`` is the newest one, and the unique beginning of an id is enough.

    ``NotFoundError`` names what there is.
    """
    find_dag(store, dag_id)
    known = store.find_run(dag_id, run_id)
    if known is not None:
        return known
    newest = store.list_runs(dag_id=dag_id, limit=50)
    if run_id == LATEST and newest:
        return newest[0]
    beginning = store.search_runs(run_id, dag_id=dag_id, limit=2)
    if len(beginning) == 1:
        return beginning[0]
    if not newest:
        raise NotFoundError(f'DAG "{dag_id}" has no runs yet. Start one: `tradewind dags trigger {dag_id}`')
    names = [run.run_id for run in newest]
    near = difflib.get_close_matches(run_id, names, n=NEAR_MAX) or names[:NEAR_MAX]
    what = "Several begin so" if beginning else "Near ones or the newest"
    listed = (
        [run.run_id for run in store.search_runs(run_id, dag_id=dag_id, limit=NEAR_MAX)]
        if beginning
        else near
    )
    raise NotFoundError(f'DAG "{dag_id}" has no run "{run_id}". {what}: {", ".join(listed)}')


def find_snapshot(store: Metastore, dag_id: str, run_id: str) -> RunSnapshot:
    """Return a run with its instances; errors as :func:`find_run`."""
    row = find_run(store, dag_id, run_id)
    snapshot = store.run(row.pk)
    if snapshot is None:
        raise NotFoundError(f'run "{run_id}" of DAG "{dag_id}" has just been deleted')
    return snapshot


def find_instances(
    snapshot: RunSnapshot, task_id: str, map_index: MapIndex | None = None
) -> list[InstanceRow]:
    """Return the instances of a task in a run, all or those at a map index, in index order.

    ``NotFoundError`` names the tasks, or the map indexes, that there are.
    """
    rows = [row for row in snapshot.instances if row.task_id == task_id]
    if not rows:
        raise NotFoundError(
            f'run "{snapshot.run.run_id}" has no task "{task_id}".'
            f"{_near(task_id, {row.task_id for row in snapshot.instances})}"
        )
    rows.sort(key=lambda row: row.map_index)
    if map_index is None:
        return rows
    picked = [row for row in rows if row.map_index[: len(map_index)] == map_index]
    if not picked:
        last = format_map_index(rows[-1].map_index)
        known = (
            f"its map indexes are {format_map_index(rows[0].map_index)} to {last}"
            if last
            else "it is not mapped"
        )
        raise NotFoundError(f'task "{task_id}" has no map index {format_map_index(map_index)}: {known}')
    return picked


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=NEAR_MAX)
    if near:
        return f" Did you mean {', '.join(near)}?"
    return f" Its tasks: {', '.join(names[:20])}" if names else " It has no tasks yet: it has not started."
