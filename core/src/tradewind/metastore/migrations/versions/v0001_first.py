"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
BYTES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_row_format": "DYNAMIC",
}
ACTIVE = sa.text("state IN ('queued', 'running', 'paused')")
RUNNING = sa.text("state = 'running'")
TABLES = (
    "attempt",
    "component",
    "connection",
    "dag",
    "dag_file",
    "dag_source",
    "event",
    "import_error",
    "leader",
    "pool",
    "rendered",
    "sequence",
    "variable",
    "dag_version",
    "run",
    "task_instance",
    "task_state",
    "xcom",
)

pool = sa.table("pool", sa.column("name"), sa.column("slots"), sa.column("description"))
sequence = sa.table("sequence", sa.column("name"), sa.column("value"))


def upgrade() -> None:
    """Make all tables and the first rows."""
    _create_attempt()
    _create_component()
    _create_connection()
    _create_dag()
    _create_dag_file()
    _create_dag_source()
    _create_event()
    _create_import_error()
    _create_leader()
    _create_pool()
    _create_rendered()
    _create_sequence()
    _create_variable()
    _create_dag_version()
    _create_run()
    _create_task_instance()
    _create_task_state()
    _create_xcom()
    op.bulk_insert(pool, [{"name": "default", "slots": 128, "description": ""}])
    op.bulk_insert(sequence, [{"name": name, "value": 0} for name in ("event", "run", "version")])


def downgrade() -> None:
    """Drop all tables."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("instance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("error", LONG_TEXT, nullable=True),
        sa.Column("worker", sa.String(length=250), nullable=True),
        sa.Column("queued_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("signal_number", sa.Integer(), nullable=True),
        sa.Column("memory_max_bytes", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("instance_id", "token", name="pk_attempt"),
        sqlite_with_rowid=False,
        **MYSQL,
    )


def _create_component() -> None:
    op.create_table(
        "component",
        sa.Column("component", sa.String(length=250), nullable=False),
        sa.Column("kind", sa.String(length=250), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.Column("data", LONG_TEXT, nullable=True),
        sa.PrimaryKeyConstraint("component", name="pk_component"),
        **MYSQL,
    )


def _create_connection() -> None:
    op.create_table(
        "connection",
        sa.Column("conn_id", sa.String(length=250), nullable=False),
        sa.Column("conn_type", sa.String(length=250), nullable=False),
        sa.Column("secret", BYTES, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("conn_id", name="pk_connection"),
        **MYSQL,
    )


def _create_dag() -> None:
    op.create_table(
        "dag",
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("file", sa.String(length=700), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("paused", sa.SmallInteger(), nullable=False),
        sa.Column("held", sa.SmallInteger(), nullable=False),
        sa.Column("cursor_at", sa.BigInteger(), nullable=True),
        sa.Column("next_run_at", sa.BigInteger(), nullable=True),
        sa.Column("missing_since_at", sa.BigInteger(), nullable=True),
        sa.Column("retired", sa.SmallInteger(), nullable=False),
        sa.Column("failing_since_at", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dag_id", name="pk_dag"),
        **MYSQL,
    )
    op.create_index("ix_dag_file", "dag", ["file"], unique=False)


def _create_dag_file() -> None:
    op.create_table(
        "dag_file",
        sa.Column("file", sa.String(length=700), nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file", name="pk_dag_file"),
        **MYSQL,
    )


def _create_dag_source() -> None:
    op.create_table(
        "dag_source",
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("content", BYTES, nullable=False),
        sa.PrimaryKeyConstraint("sha", name="pk_dag_source"),
        **MYSQL,
    )


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=True),
        sa.Column("run_pk", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.String(length=250), nullable=True),
        sa.Column("instance_id", sa.BigInteger(), nullable=True),
        sa.Column("task_id", sa.String(length=250), nullable=True),
        sa.Column("map_index", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("data", LONG_TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        **MYSQL,
    )


def _create_import_error() -> None:
    op.create_table(
        "import_error",
        sa.Column("file", sa.String(length=700), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("message", LONG_TEXT, nullable=False),
        sa.Column("traceback", LONG_TEXT, nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file", name="pk_import_error"),
        **MYSQL,
    )


def _create_leader() -> None:
    op.create_table(
        "leader",
        sa.Column("shard", sa.String(length=250), nullable=False),
        sa.Column("holder", sa.String(length=250), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("lease_us", sa.BigInteger(), nullable=False),
        sa.Column("lease_until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_leader"),
        **MYSQL,
    )


def _create_pool() -> None:
    op.create_table(
        "pool",
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pool"),
        **MYSQL,
    )


def _create_rendered() -> None:
    op.create_table(
        "rendered",
        sa.Column("instance_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fields", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("instance_id", "token", name="pk_rendered"),
        **MYSQL,
    )


def _create_sequence() -> None:
    op.create_table(
        "sequence",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sequence"),
        **MYSQL,
    )


def _create_variable() -> None:
    op.create_table(
        "variable",
        sa.Column("item", sa.String(length=250), nullable=False),
        sa.Column("value", BYTES, nullable=False),
        sa.Column("encrypted", sa.SmallInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("item", name="pk_variable"),
        **MYSQL,
    )


def _create_dag_version() -> None:
    op.create_table(
        "dag_version",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("spec", LONG_TEXT, nullable=False),
        sa.Column("file", sa.String(length=700), nullable=False),
        sa.Column("source_sha", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dag_id"], ["dag.dag_id"], name="fk_dag_version_dag_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dag_version"),
        sa.UniqueConstraint("dag_id", "number", name="uq_dag_version_dag_id_number"),
        **MYSQL,
    )


def _create_run() -> None:
    op.create_table(
        "run",
        sa.Column("pk", KEY, autoincrement=False, nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("run_type", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("logical_date", sa.BigInteger(), nullable=False),
        sa.Column("run_after", sa.BigInteger(), nullable=False),
        sa.Column("interval_start", sa.BigInteger(), nullable=False),
        sa.Column("interval_end", sa.BigInteger(), nullable=False),
        sa.Column("tick", sa.BigInteger(), nullable=True),
        sa.Column("conf", LONG_TEXT, nullable=True),
        sa.Column("params", LONG_TEXT, nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("triggered_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("clear_number", sa.Integer(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("retries_used", LONG_TEXT, nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dag_id"], ["dag.dag_id"], name="fk_run_dag_id"),
        sa.PrimaryKeyConstraint("pk", name="pk_run"),
        sa.UniqueConstraint("dag_id", "run_id", name="uq_run_dag_id_run_id"),
        sa.UniqueConstraint("dag_id", "tick", name="uq_run_dag_id_tick"),
        **MYSQL,
    )
    op.create_index(
        "ix_run_active", "run", ["state"], unique=False, sqlite_where=ACTIVE, postgresql_where=ACTIVE
    )
    op.create_index("ix_run_dag_id_logical_date", "run", ["dag_id", "logical_date"], unique=False)
    op.create_index("ix_run_dag_id_pk", "run", ["dag_id", "pk"], unique=False)


def _create_task_instance() -> None:
    op.create_table(
        "task_instance",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("run_pk", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.String(length=250), nullable=False),
        sa.Column("map_index", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("tries_max", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("wake_at", sa.BigInteger(), nullable=True),
        sa.Column("lengths", LONG_TEXT, nullable=True),
        sa.Column("branch", LONG_TEXT, nullable=True),
        sa.Column("skip_all_downstream", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("first_started_at", sa.BigInteger(), nullable=True),
        sa.Column("worker", sa.String(length=250), nullable=True),
        sa.Column("executor", sa.String(length=250), nullable=True),
        sa.Column("queue", sa.String(length=250), nullable=True),
        sa.Column("pool", sa.String(length=250), nullable=False),
        sa.Column("pool_slots", sa.Integer(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.SmallInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("resume", LONG_TEXT, nullable=True),
        sa.Column("lease_until_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_pk"], ["run.pk"], name="fk_task_instance_run_pk"),
        sa.PrimaryKeyConstraint("id", name="pk_task_instance"),
        sa.UniqueConstraint(
            "run_pk", "task_id", "map_index", name="uq_task_instance_run_pk_task_id_map_index"
        ),
        **MYSQL,
    )
    op.create_index(
        "ix_task_instance_lease",
        "task_instance",
        ["lease_until_at"],
        unique=False,
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )


def _create_task_state() -> None:
    op.create_table(
        "task_state",
        sa.Column("run_pk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.String(length=250), nullable=False),
        sa.Column("map_index", sa.String(length=100), nullable=False),
        sa.Column("item", sa.String(length=250), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["run.pk"], name="fk_task_state_run_pk"),
        sa.PrimaryKeyConstraint("run_pk", "task_id", "map_index", "item", name="pk_task_state"),
        **MYSQL,
    )


def _create_xcom() -> None:
    op.create_table(
        "xcom",
        sa.Column("run_pk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.String(length=250), nullable=False),
        sa.Column("map_index", sa.String(length=100), nullable=False),
        sa.Column("item", sa.String(length=250), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.Column("store_ref", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_pk"], ["run.pk"], name="fk_xcom_run_pk"),
        sa.PrimaryKeyConstraint("run_pk", "task_id", "map_index", "item", name="pk_xcom"),
        sqlite_with_rowid=False,
        **MYSQL,
    )
