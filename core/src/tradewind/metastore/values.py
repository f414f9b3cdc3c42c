"""What tasks and people keep in the metastore: XComs, task state, connections, variables, pools, components."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from tradewind.domain.codec import decode, encode
from tradewind.domain.records import EventRow, MapIndex, format_map_index
from tradewind.domain.spec import DEFAULT_POOL
from tradewind.errors import ConflictError
from tradewind.metastore.apply import insert_events
from tradewind.metastore.instants import from_us
from tradewind.metastore.rows import json_object, json_text, read_map_index
from tradewind.metastore.session import Tx
from tradewind.metastore.statements import Insert, values

STATE_KEY: Final = ("run_pk", "task_id", "map_index", "item")

_PUT_STATE: Final = Insert("task_state", values((*STATE_KEY, "value")), key=STATE_KEY)
_PUT_RENDERED: Final = Insert(
    "rendered", values(("instance_id", "token", "fields")), key=("instance_id", "token")
)
_PUT_CONNECTION: Final = Insert(
    "connection", values(("conn_id", "conn_type", "secret", "description")), key=("conn_id",)
)
_PUT_VARIABLE: Final = Insert(
    "variable", values(("item", "value", "encrypted", "description")), key=("item",)
)
_PUT_POOL: Final = Insert("pool", values(("name", "slots", "description")), key=("name",))
_PUT_COMPONENT: Final = Insert(
    "component", values(("component", "kind", "host", "pid", "beat_at", "data")), key=("component",)
)


# ---- of tasks ----------------------------------------------------------------------------------


def xcoms(
    tx: Tx, run_pk: int, task_id: str, key: str | None, map_index: MapIndex | None
) -> list[tuple[MapIndex, str, str, str | None]]:
    """Return (map index, key, JSON text, store reference) by index, then key."""
    sql = "SELECT map_index, item, value, store_ref FROM xcom WHERE run_pk = ? AND task_id = ?"
    parameters: list[Any] = [run_pk, task_id]
    if map_index is not None:
        sql += " AND map_index = ?"
        parameters.append(format_map_index(map_index))
    if key is not None:
        sql += " AND item = ?"
        parameters.append(key)
    found = [(read_map_index(index), item, value, ref) for index, item, value, ref in tx.all(sql, parameters)]
    return sorted(found, key=lambda row: row[:2])


def task_state(tx: Tx, run_pk: int, task_id: str, map_index: MapIndex) -> dict[str, str]:
    """Return the key/value store of an instance."""
    found = tx.all(
        "SELECT item, value FROM task_state WHERE run_pk = ? AND task_id = ? AND map_index = ?",
        (run_pk, task_id, format_map_index(map_index)),
    )
    return dict(sorted((item, value) for item, value in found))


def set_task_state(
    tx: Tx, run_pk: int, task_id: str, map_index: MapIndex, values: Mapping[str, str | None]
) -> None:
    """Set keys of that store; None deletes."""
    name = (run_pk, task_id, format_map_index(map_index))
    gone = [(*name, key) for key, value in sorted(values.items()) if value is None]
    kept = [(*name, key, value) for key, value in sorted(values.items()) if value is not None]
    if gone:
        tx.many(
            "DELETE FROM task_state WHERE run_pk = ? AND task_id = ? AND map_index = ? AND item = ?", gone
        )
    if kept:
        tx.change(_PUT_STATE, kept)


def set_rendered(tx: Tx, instance_id: int, token: int, fields: Mapping[str, str]) -> None:
    """Keep the rendered fields of an attempt."""
    text = encode(dict(fields)).decode("utf-8")
    tx.change(_PUT_RENDERED, [(instance_id, token, text)])


def rendered(tx: Tx, instance_id: int) -> dict[str, str]:
    """Return the rendered fields of the newest attempt that has any."""
    row = tx.one(
        "SELECT fields FROM rendered WHERE instance_id = ? ORDER BY token DESC LIMIT 1", (instance_id,)
    )
    return {} if row is None else decode(row[0], dict[str, str])


# ---- of people ---------------------------------------------------------------------------------


def connection(tx: Tx, conn_id: str) -> tuple[str, bytes] | None:
    """Return (type, encrypted JSON)."""
    row = tx.one("SELECT conn_type, secret FROM connection WHERE conn_id = ?", (conn_id,))
    return None if row is None else (row[0], bytes(row[1]))


def connections(tx: Tx) -> list[tuple[str, str, bytes, str]]:
    """Return (id, type, encrypted JSON, description), by id."""
    found = tx.all("SELECT conn_id, conn_type, secret, description FROM connection")
    return sorted((conn_id, kind, bytes(secret), text) for conn_id, kind, secret, text in found)


def set_connection(tx: Tx, conn_id: str, conn_type: str, secret: bytes, description: str, actor: str) -> None:
    """Create or replace; the event says which, not what."""
    tx.change(_PUT_CONNECTION, [(conn_id, conn_type, secret, description)])
    _audit(tx, "connection.set", actor, conn_id=conn_id, conn_type=conn_type)


def delete_connection(tx: Tx, conn_id: str, actor: str) -> bool:
    """Delete; False if there was none."""
    if not tx.run("DELETE FROM connection WHERE conn_id = ?", (conn_id,)):
        return False
    _audit(tx, "connection.deleted", actor, conn_id=conn_id)
    return True


def variable(tx: Tx, key: str) -> tuple[bytes, bool] | None:
    """Return (stored value, encrypted?)."""
    row = tx.one("SELECT value, encrypted FROM variable WHERE item = ?", (key,))
    return None if row is None else (bytes(row[0]), bool(row[1]))


def variables(tx: Tx) -> list[tuple[str, bytes, bool, str]]:
    """Return (key, stored value, encrypted?, description), by key."""
    found = tx.all("SELECT item, value, encrypted, description FROM variable")
    return sorted((key, bytes(value), bool(encrypted), text) for key, value, encrypted, text in found)


def set_variable(tx: Tx, key: str, value: bytes, encrypted: bool, description: str, actor: str) -> None:  # noqa: FBT001 - stored as given
    """Create or replace; the event does not tell the value."""
    tx.change(_PUT_VARIABLE, [(key, value, int(encrypted), description)])
    _audit(tx, "variable.set", actor, key=key)


def delete_variable(tx: Tx, key: str, actor: str) -> bool:
    """Delete; False if there was none."""
    if not tx.run("DELETE FROM variable WHERE item = ?", (key,)):
        return False
    _audit(tx, "variable.deleted", actor, key=key)
    return True


def set_pool(tx: Tx, name: str, slots: int, description: str, actor: str) -> None:
    """Create or change a pool."""
    tx.change(_PUT_POOL, [(name, slots, description)])
    _audit(tx, "pool.set", actor, pool=name, slots=slots)


def delete_pool(tx: Tx, name: str, actor: str) -> bool:
    """Delete; False if there was none; the default pool stays."""
    if name == DEFAULT_POOL:
        raise no_default_pool()
    if not tx.run("DELETE FROM pool WHERE name = ?", (name,)):
        return False
    _audit(tx, "pool.deleted", actor, pool=name)
    return True


def no_default_pool() -> ConflictError:
    """Return the refusal to delete the pool that tasks without one use."""
    return ConflictError(
        f'Pool "{DEFAULT_POOL}" cannot be deleted: tasks that name no pool use it. '
        f"Change its size instead: `tradewind pools set {DEFAULT_POOL} SLOTS`."
    )


def _audit(tx: Tx, kind: str, actor: str, **data: str | int) -> None:
    insert_events(tx, (EventRow(kind=kind, actor=actor, data=dict(data)),))


# ---- of processes ------------------------------------------------------------------------------


def beat_component(tx: Tx, component: str, kind: str, host: str, pid: int, data: Mapping[str, Any]) -> None:
    """Record a sign of life with database time."""
    now_us = tx.one(f"SELECT {tx.now}")[0]
    tx.change(_PUT_COMPONENT, [(component, kind, host, pid, now_us, json_text(dict(data)))])


def components(tx: Tx) -> list[tuple[str, str, str, int, datetime, dict[str, Any]]]:
    """Return (component, kind, host, pid, last beat, data), by name."""
    found = tx.all("SELECT component, kind, host, pid, beat_at, data FROM component")
    return sorted(
        (
            (name, kind, host, pid, from_us(beat_at), json_object(data))
            for name, kind, host, pid, beat_at, data in found
        ),
        key=lambda row: row[0],
    )
