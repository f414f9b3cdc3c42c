"""What tasks, people and processes keep in the in-memory metastore."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tradewind.domain.records import EventRow, MapIndex, PoolRow
from tradewind.domain.spec import DEFAULT_POOL
from tradewind.errors import NotFoundError
from tradewind.metastore.values import no_default_pool
from tradewind.ports.clock import Clock
from tradewind.testing.memory.commit import add_events
from tradewind.testing.memory.tables import Tables


class ValueStore:
    """The verbs of values: task state, connections, variables, pools, components."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self.tables = tables
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def _audit(self, kind: str, actor: str, dag_id: str | None = None, **data: str | int) -> None:
        event = EventRow(kind=kind, actor=actor, dag_id=dag_id, data=dict(data))
        add_events(self.tables, (event,), self.now())

    def task_state(self, run_pk: int, task_id: str, map_index: MapIndex) -> dict[str, str]:
        with self.tables.lock:
            return dict(sorted(self.tables.task_state.get((run_pk, task_id, map_index), {}).items()))

    def set_task_state(
        self, run_pk: int, task_id: str, map_index: MapIndex, values: Mapping[str, str | None]
    ) -> None:
        with self.tables.lock:
            if run_pk not in self.tables.runs:
                raise NotFoundError(f"Run {run_pk} was deleted; its tasks can keep nothing any more.")
            kept = self.tables.task_state.setdefault((run_pk, task_id, map_index), {})
            for key, value in values.items():
                if value is None:
                    kept.pop(key, None)
                else:
                    kept[key] = value

    def set_rendered(self, instance_id: int, token: int, fields: Mapping[str, str]) -> None:
        with self.tables.lock:
            self.tables.rendered.setdefault(instance_id, {})[token] = dict(fields)

    def rendered(self, instance_id: int) -> dict[str, str]:
        with self.tables.lock:
            attempts = self.tables.rendered.get(instance_id)
            return dict(attempts[max(attempts)]) if attempts else {}

    def connection(self, conn_id: str) -> tuple[str, bytes] | None:
        row = self.tables.connections.get(conn_id)
        return None if row is None else row[:2]

    def connections(self) -> list[tuple[str, str, bytes, str]]:
        with self.tables.lock:
            return [(conn_id, *row) for conn_id, row in sorted(self.tables.connections.items())]

    def set_connection(
        self, conn_id: str, conn_type: str, secret: bytes, description: str, *, actor: str
    ) -> None:
        with self.tables.lock:
            self.tables.connections[conn_id] = (conn_type, secret, description)
            self._audit("connection.set", actor, conn_id=conn_id, conn_type=conn_type)

    def delete_connection(self, conn_id: str, *, actor: str) -> bool:
        with self.tables.lock:
            if self.tables.connections.pop(conn_id, None) is None:
                return False
            self._audit("connection.deleted", actor, conn_id=conn_id)
            return True

    def variable(self, key: str) -> tuple[bytes, bool] | None:
        row = self.tables.variables.get(key)
        return None if row is None else row[:2]

    def variables(self) -> list[tuple[str, bytes, bool, str]]:
        with self.tables.lock:
            return [(key, *row) for key, row in sorted(self.tables.variables.items())]

    def set_variable(self, key: str, value: bytes, encrypted: bool, description: str, *, actor: str) -> None:  # noqa: FBT001 - stored as given
        with self.tables.lock:
            self.tables.variables[key] = (value, encrypted, description)
            self._audit("variable.set", actor, key=key)

    def delete_variable(self, key: str, *, actor: str) -> bool:
        with self.tables.lock:
            if self.tables.variables.pop(key, None) is None:
                return False
            self._audit("variable.deleted", actor, key=key)
            return True

    def set_pool(self, name: str, slots: int, description: str, *, actor: str) -> None:
        with self.tables.lock:
            self.tables.pools[name] = PoolRow(name=name, slots=slots, description=description)
            self._audit("pool.set", actor, pool=name, slots=slots)

    def delete_pool(self, name: str, *, actor: str) -> bool:
        if name == DEFAULT_POOL:
            raise no_default_pool()
        with self.tables.lock:
            if self.tables.pools.pop(name, None) is None:
                return False
            self._audit("pool.deleted", actor, pool=name)
            return True

    # -- components -------------------------------------------------------------------------------

    def beat_component(self, component: str, kind: str, host: str, pid: int, data: Mapping[str, Any]) -> None:
        with self.tables.lock:
            self.tables.components[component] = (kind, host, pid, self.now(), dict(data))

    def components(self) -> list[tuple[str, str, str, int, datetime, dict[str, Any]]]:
        with self.tables.lock:
            return [
                (name, *row) for name, row in sorted(self.tables.components.items(), key=lambda item: item[0])
            ]

    def forget_component(self, component: str) -> None:
        with self.tables.lock:
            self.tables.components.pop(component, None)
