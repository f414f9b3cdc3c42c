"""What is shown of one task in a run: state, attempts, rendered arguments, XComs."""

from __future__ import annotations

import json
from typing import Any

from tradewind.api.usecases.find import find_instances, find_snapshot
from tradewind.api.usecases.shapes import iso, operators_of, task_shape
from tradewind.api.usecases.views import attempts_of, spec_or_none
from tradewind.domain.records import InstanceRow, MapIndex
from tradewind.ports.metastore import Metastore


def show_task(
    store: Metastore, dag_id: str, run_id: str, task_id: str, map_index: MapIndex | None = None
) -> list[dict[str, Any]]:
    """Return the instances of a task, all or those at a map index. Errors as ``find_instances``."""
    snapshot = find_snapshot(store, dag_id, run_id)
    spec = spec_or_none(store, snapshot.run.version_id)
    operator = operators_of(spec).get(task_id, "") if spec is not None else ""
    return [_shape(store, row, operator) for row in find_instances(snapshot, task_id, map_index)]


def _shape(store: Metastore, row: InstanceRow, operator: str) -> dict[str, Any]:
    return {
        **task_shape(row, operator),
        "reason": row.reason,
        "label": row.label,
        "tries_max": row.tries_max,
        "losses": row.losses,
        "held": row.held,
        "executor": row.executor,
        "queue": row.queue,
        "worker": row.worker,
        "wake_at": iso(row.wake_at),
        "attempts": attempts_of(store, row),
        "rendered": store.rendered(row.id),
        "xcoms": xcoms_of(store, row),
    }


def xcoms_of(store: Metastore, row: InstanceRow) -> dict[str, Any]:
    """Return what an instance pushed, by key; a value in the XCom store is shown by its reference."""
    return {
        key: json.loads(text) if reference is None else {"stored_at": reference}
        for _index, key, text, reference in store.xcoms(row.run_pk, row.task_id, map_index=row.map_index)
    }
