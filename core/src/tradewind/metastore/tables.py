"""The schema: SQLAlchemy Core tables. Used to create and migrate; the running system needs only their names.

Portable on purpose: instants are BIGINT microseconds since 1970 UTC (docs/decisions/0007), flags are
SMALLINT 0 or 1, structured values are canonical JSON text, a map index is text such as ``3.0``. Text
compares byte by byte on all three databases.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

ID_CHARS_MAX: Final = 250
MAP_INDEX_CHARS_MAX: Final = 100
FILE_CHARS_MAX: Final = 700  # the longest that MySQL can index with four bytes a character

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
MYSQL: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_row_format": "DYNAMIC",
}

metadata: Final = MetaData(naming_convention=NAMING)


def _id() -> String:
    return String(ID_CHARS_MAX)


def _long_text() -> TypeEngine[str]:
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def _key() -> TypeEngine[int]:
    """A number that is the primary key: SQLite stores a row under it only when its type says INTEGER."""
    return BigInteger().with_variant(Integer(), "sqlite")


def _bytes() -> TypeEngine[bytes]:
    return LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def _instant(name: str, *, nullable: bool = True) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


dag = Table(
    "dag",
    metadata,
    Column("dag_id", _id(), primary_key=True),
    Column("file", String(FILE_CHARS_MAX), nullable=False),
    Column("version_id", BigInteger, nullable=False),
    Column("version_number", Integer, nullable=False),
    _instant("first_seen_at", nullable=False),
    _flag("paused"),
    _flag("held"),
    _instant("cursor_at"),
    _instant("next_run_at"),
    _instant("missing_since_at"),
    _flag("retired"),
    _instant("failing_since_at"),
    Column("revision", BigInteger, nullable=False),
    **MYSQL,
)

Index("ix_dag_file", dag.c.file)

dag_source = Table(
    "dag_source",
    metadata,
    Column("sha", String(64), primary_key=True),
    Column("content", _bytes(), nullable=False),
    **MYSQL,
)

dag_version = Table(
    "dag_version",
    metadata,
    Column("id", _key(), primary_key=True, autoincrement=False),
    Column("dag_id", _id(), ForeignKey("dag.dag_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("spec", _long_text(), nullable=False),
    Column("file", String(FILE_CHARS_MAX), nullable=False),
    Column("source_sha", String(64), nullable=False),
    _instant("created_at", nullable=False),
    UniqueConstraint("dag_id", "number"),
    **MYSQL,
)

dag_file = Table(
    "dag_file",
    metadata,
    Column("file", String(FILE_CHARS_MAX), primary_key=True),
    Column("sha", String(64), nullable=False),
    _instant("saved_at", nullable=False),
    **MYSQL,
)

import_error = Table(
    "import_error",
    metadata,
    Column("file", String(FILE_CHARS_MAX), primary_key=True),
    Column("line", Integer),
    Column("message", _long_text(), nullable=False),
    Column("traceback", _long_text(), nullable=False),
    _instant("since_at", nullable=False),
    **MYSQL,
)

run = Table(
    "run",
    metadata,
    Column("pk", _key(), primary_key=True, autoincrement=False),
    Column("dag_id", _id(), ForeignKey("dag.dag_id"), nullable=False),
    Column("run_id", _id(), nullable=False),
    Column("version_id", BigInteger, nullable=False),
    Column("run_type", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    _instant("logical_date", nullable=False),
    _instant("run_after", nullable=False),
    _instant("interval_start", nullable=False),
    _instant("interval_end", nullable=False),
    _instant("tick"),
    Column("conf", _long_text()),
    Column("params", _long_text()),
    Column("priority", Integer, nullable=False),
    _instant("queued_at"),
    _instant("started_at"),
    _instant("ended_at"),
    Column("triggered_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("clear_number", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("retries_used", _long_text()),
    Column("revision", BigInteger, nullable=False),
    UniqueConstraint("dag_id", "run_id"),
    UniqueConstraint("dag_id", "tick"),
    **MYSQL,
)
_ACTIVE = text("state IN ('queued', 'running', 'paused')")
Index("ix_run_active", run.c.state, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
Index("ix_run_dag_id_pk", run.c.dag_id, run.c.pk)
Index("ix_run_dag_id_logical_date", run.c.dag_id, run.c.logical_date)

task_instance = Table(
    "task_instance",
    metadata,
    Column("id", _key(), primary_key=True, autoincrement=False),
    Column("run_pk", BigInteger, ForeignKey("run.pk"), nullable=False),
    Column("task_id", _id(), nullable=False),
    Column("map_index", String(MAP_INDEX_CHARS_MAX), nullable=False),
    Column("state", String(20), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("try_number", Integer, nullable=False),
    Column("tries_max", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    _instant("wake_at"),
    Column("lengths", _long_text()),
    Column("branch", _long_text()),
    _flag("skip_all_downstream"),
    Column("reason", Text, nullable=False),
    _instant("queued_at"),
    _instant("started_at"),
    _instant("ended_at"),
    _instant("first_started_at"),
    Column("worker", _id()),
    Column("executor", _id()),
    Column("queue", _id()),
    Column("pool", _id(), nullable=False),
    Column("pool_slots", Integer, nullable=False),
    Column("priority", BigInteger, nullable=False),
    _flag("held"),
    Column("label", Text),
    Column("resume", _long_text()),
    _instant("lease_until_at"),
    UniqueConstraint("run_pk", "task_id", "map_index"),
    **MYSQL,
)
_RUNNING = text("state = 'running'")
Index(
    "ix_task_instance_lease",
    task_instance.c.lease_until_at,
    sqlite_where=_RUNNING,
    postgresql_where=_RUNNING,
)

attempt = Table(
    "attempt",
    metadata,
    Column("instance_id", BigInteger, primary_key=True, autoincrement=False),
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("try_number", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", _long_text()),
    Column("worker", _id()),
    _instant("queued_at"),
    _instant("started_at"),
    _instant("ended_at"),
    Column("pid", BigInteger),
    Column("exit_code", BigInteger),
    Column("signal_number", Integer),
    Column("memory_max_bytes", BigInteger),
    sqlite_with_rowid=False,
    **MYSQL,
)

xcom = Table(
    "xcom",
    metadata,
    Column("run_pk", BigInteger, ForeignKey("run.pk"), primary_key=True, autoincrement=False),
    Column("task_id", _id(), primary_key=True),
    Column("map_index", String(MAP_INDEX_CHARS_MAX), primary_key=True),
    Column("item", _id(), primary_key=True),
    Column("value", _long_text(), nullable=False),
    Column("store_ref", Text),
    sqlite_with_rowid=False,
    **MYSQL,
)

task_state = Table(
    "task_state",
    metadata,
    Column("run_pk", BigInteger, ForeignKey("run.pk"), primary_key=True, autoincrement=False),
    Column("task_id", _id(), primary_key=True),
    Column("map_index", String(MAP_INDEX_CHARS_MAX), primary_key=True),
    Column("item", _id(), primary_key=True),
    Column("value", _long_text(), nullable=False),
    **MYSQL,
)

rendered = Table(
    "rendered",
    metadata,
    Column("instance_id", BigInteger, primary_key=True, autoincrement=False),
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("fields", _long_text(), nullable=False),
    **MYSQL,
)

event = Table(
    "event",
    metadata,
    Column("id", _key(), primary_key=True, autoincrement=False),
    _instant("at", nullable=False),
    Column("kind", String(60), nullable=False),
    Column("dag_id", _id()),
    Column("run_pk", BigInteger),
    Column("run_id", _id()),
    Column("instance_id", BigInteger),
    Column("task_id", _id()),
    Column("map_index", String(MAP_INDEX_CHARS_MAX), nullable=False),
    Column("actor", Text, nullable=False),
    Column("data", _long_text()),
    **MYSQL,
)

pool = Table(
    "pool",
    metadata,
    Column("name", _id(), primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("description", Text, nullable=False),
    **MYSQL,
)

variable = Table(
    "variable",
    metadata,
    Column("item", _id(), primary_key=True),
    Column("value", _bytes(), nullable=False),
    _flag("encrypted"),
    Column("description", Text, nullable=False),
    **MYSQL,
)

connection = Table(
    "connection",
    metadata,
    Column("conn_id", _id(), primary_key=True),
    Column("conn_type", _id(), nullable=False),
    Column("secret", _bytes(), nullable=False),
    Column("description", Text, nullable=False),
    **MYSQL,
)

leader = Table(
    "leader",
    metadata,
    Column("shard", _id(), primary_key=True),
    Column("holder", _id(), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("lease_us", BigInteger, nullable=False),
    _instant("lease_until_at", nullable=False),
    **MYSQL,
)

component = Table(
    "component",
    metadata,
    Column("component", _id(), primary_key=True),
    Column("kind", _id(), nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    _instant("beat_at", nullable=False),
    Column("data", _long_text()),
    **MYSQL,
)

# Numbers that only grow. "event" is locked from its increment to the end of the transaction: so ids become
# visible in their order. "run" and "version" are given in blocks.
sequence = Table(
    "sequence",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
    **MYSQL,
)
