"""Pools with what holds their slots."""

from __future__ import annotations

from typing import Any

from tradewind.domain.states import SLOT_STATES, TaskState
from tradewind.ports.metastore import Metastore


def list_pools(store: Metastore) -> list[dict[str, Any]]:
    """Return all pools by name, each with the slots in use and the instances that wait for some."""
    rows: dict[str, dict[str, Any]] = {
        pool.name: {
            "name": pool.name,
            "slots": pool.slots,
            "used": 0,
            "waiting": 0,
            "description": pool.description,
        }
        for pool in store.pools()
    }
    for snapshot in store.active_runs():
        for row in snapshot.instances:
            pool = rows.get(row.pool)
            if pool is not None and row.state in SLOT_STATES:
                pool["used"] += row.pool_slots
            elif pool is not None and row.state is TaskState.SCHEDULED:
                pool["waiting"] += 1
    return [rows[name] for name in sorted(rows)]
