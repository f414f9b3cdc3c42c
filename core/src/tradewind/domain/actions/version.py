"""Moving a run to another version of its DAG: what leaves it, what joins it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tradewind.domain.actions.plan import Draft
from tradewind.domain.graph import Graph, GraphTask
from tradewind.domain.records import InstanceRow, MapIndex, instance_id
from tradewind.domain.states import TaskEvent, TaskState


def change_version(
    draft: Draft, rows: Sequence[InstanceRow], old: Graph, new: Graph, version_id: int
) -> tuple[list[InstanceRow], list[InstanceRow]]:
    """Draft the run's move to version ``version_id``; return the rows that stay, and those of them to clear.

    Instances of tasks that are gone, and map indexes of tasks that are mapped otherwise now, become removed.
    A new task gets its first instance. To clear is what was no placeholder before and is one now, or the
    other way round.
    """
    draft.set_run(version_id=version_id)
    draft.data["version_id"] = version_id
    draft.notes.append(f"the run moves to version id {version_id} of the DAG")
    kept: list[InstanceRow] = []
    remapped: list[InstanceRow] = []
    for row in rows:
        task = new.by_id.get(row.task_id)
        same = task is not None and _depth(old, row.task_id) == task.depth
        if task is not None and (same or not row.map_index):
            kept.append(row)
            if not same:
                remapped.append(row)
        elif row.state is not TaskState.REMOVED:
            _remove(draft, row)
    present = {row.task_id for row in kept}
    for task in new.tasks:
        if task.task_id not in present:
            draft.insert(first_instance(draft, task))
    return kept, remapped


def first_instance(draft: Draft, task: GraphTask, map_index: MapIndex = ()) -> InstanceRow:
    """Return the instance a task begins with: itself, or the placeholder of what it is mapped over there."""
    return InstanceRow(
        id=instance_id(draft.read.pk, draft.take_ordinal()),
        run_pk=draft.read.pk,
        task_id=task.task_id,
        map_index=map_index,
        tries_max=task.spec.retry.retries + 1,
        **task_columns(task),
    )


def _remove(draft: Draft, row: InstanceRow) -> None:
    draft.move(
        row,
        TaskEvent.REMOVE,
        reason="this version of the DAG has no such task or map index",
        ended_at=row.ended_at or draft.act.now,
        wake_at=None,
    )


def task_columns(task: GraphTask) -> dict[str, Any]:
    """Return the columns of an instance that come from its task."""
    return {
        "queue": task.spec.queue,
        "pool": task.spec.pool,
        "pool_slots": task.spec.pool_slots,
        "priority": task.weight,
    }


def _depth(graph: Graph, task_id: str) -> int:
    task = graph.by_id.get(task_id)
    return task.depth if task is not None else 0
