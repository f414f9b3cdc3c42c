"""PostgreSQL through psycopg 3: READ COMMITTED for writes, one snapshot for reads of several statements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from tradewind.errors import ConfigError, MetastoreError, MetastoreUnavailableError, SchemaError
from tradewind.metastore.dialects.dialect import SCHEMA_HINT, Cursor, Fault, RowByRow, on_conflict
from tradewind.metastore.statements import Insert, Statement, Update
from tradewind.metastore.url import DatabaseUrl, Kind

CONNECT_SECONDS: Final = 10
# A process that is stopped inside a transaction must not hold its locks for longer than this.
IDLE_IN_TRANSACTION_SECONDS: Final = 10
CHANNEL: Final = "tradewind"
_MIGRATION_LOCK: Final = 0x7472616465  # "trade"

ROWS_AS_ARRAYS: Final = 3  # from here on one statement over arrays is quicker than a pipeline of statements

# The columns of the tables written in bulk that hold numbers; all others hold text (a test compares them).
NUMBERS: Final = frozenset(
    {
        "id", "run_pk", "token", "try_number", "tries_max", "losses", "wake_at", "skip_all_downstream",
        "queued_at", "started_at", "ended_at", "first_started_at", "pool_slots", "priority", "held",
        "lease_until_at", "instance_id", "pk", "version_id", "logical_date", "run_after", "interval_start",
        "interval_end", "tick", "clear_number", "instances", "revision", "pid", "exit_code",
        "signal_number", "memory_max_bytes", "at",
    }
)  # fmt: skip

# SQLSTATEs: serialization failure, deadlock, lock not available, statement not completed
_RETRY: Final = {"40001", "40P01", "55P03", "40003"}
_FULL: Final = {"53100", "53200", "53300", "53400"}
_READ_ONLY: Final = {"25006", "42501"}
_NO_SCHEMA: Final = {"42P01", "42703"}


@lru_cache(maxsize=1024)
def _percent(text: str) -> str:
    return text.replace("%", "%%").replace("?", "%s")


def arrays(statement: Statement) -> str:
    """Return the statement for any number of rows: one array for each column."""
    places = [f"c{n}" for n in range(len(statement.sets) + len(statement.guards))]
    names = [name for name, _expression in statement.sets] + list(statement.guards)
    casts = ", ".join(f"CAST(? AS {'bigint' if name in NUMBERS else 'text'}[])" for name in names)
    source = f"unnest({casts}) AS v({', '.join(places)})"
    given = [
        expression.replace("?", f"v.{place}")
        for (_, expression), place in zip(statement.sets, places, strict=False)
    ]
    if isinstance(statement, Insert):
        return (
            f"INSERT INTO {statement.table} ({statement.columns}) SELECT {', '.join(given)} FROM {source}"
            f"{on_conflict(statement)}"
        )
    guards = zip(statement.guards, places[len(statement.sets) :], strict=True)
    where = " AND ".join(
        [f"t.{name} = v.{place}" for name, place in guards] + [statement.condition or "TRUE"]
    )
    if isinstance(statement, Update):
        sets = ", ".join(f"{name} = {value}" for (name, _), value in zip(statement.sets, given, strict=True))
        return f"UPDATE {statement.table} AS t SET {sets} FROM {source} WHERE {where}"
    return f"DELETE FROM {statement.table} AS t USING {source} WHERE {where}"


class PostgresDialect:
    """See the module."""

    kind: Kind = "postgresql"
    now = "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)"
    share_lock = " FOR SHARE"
    update_lock = " FOR UPDATE"
    begin_write: tuple[str, ...] = ("BEGIN",)
    begin_read: tuple[str, ...] = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",)
    begin_migration: tuple[str, ...] = ("BEGIN", f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    wake: tuple[str, ...] = (f"NOTIFY {CHANNEL}",)

    def __init__(self, url: DatabaseUrl) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise ConfigError(
                f"{url} needs a driver that is not installed: pip install 'tradewind[postgres]'"
            ) from error
        self._psycopg = psycopg
        self._url = url
        self._row_by_row = RowByRow(self)
        self._texts: dict[Statement, str] = {}
        self.errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def open(self) -> Any:
        url = self._url
        options: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "application_name": "tradewind"}
        options |= dict(url.options)
        connection = self._psycopg.connect(
            host=url.host,
            port=url.port,
            dbname=url.database,
            user=url.user,
            password=url.password,
            autocommit=True,  # transactions are begun and ended by statements
            **options,
        )
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS}s'")
        return connection

    def sql(self, text: str) -> str:
        return _percent(text)

    def conflict(self, statement: Insert) -> str:
        return on_conflict(statement)

    def change(self, cursor: Cursor, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        if len(rows) < ROWS_AS_ARRAYS:
            return self._row_by_row.change(cursor, statement, rows)
        text = self._texts.get(statement)
        if text is None:
            text = self._texts[statement] = _percent(arrays(statement))
        cursor.execute(text, [list(column) for column in zip(*rows, strict=True)])
        return cursor.rowcount

    def bump(self, cursor: Cursor, name: str, count: int) -> tuple[int, int]:
        cursor.execute(
            f"UPDATE sequence SET value = value + %s WHERE name = %s RETURNING value, {self.now}",
            (count, name),
        )
        ((value, now_us),) = cursor.fetchall()
        return value, now_us

    def fault(self, error: Exception) -> Fault:
        state = getattr(error, "sqlstate", None)
        if state in _RETRY:
            return Fault.RETRY
        if isinstance(error, self._psycopg.IntegrityError):
            return Fault.INTEGRITY
        # Class 08: connection; 57P0x: the server ends sessions; 25P03: idle in a transaction for too long.
        if state is not None:
            return (
                Fault.LOST if state[:2] == "08" or state[:4] == "57P0" or state == "25P03" else Fault.REFUSED
            )
        lost = isinstance(error, (self._psycopg.OperationalError, self._psycopg.InterfaceError))
        return Fault.LOST if lost else Fault.REFUSED

    def explain(self, error: Exception) -> MetastoreError:
        state = getattr(error, "sqlstate", None)
        text = self._plain(error)
        where = str(self._url)
        if state in _RETRY:
            return MetastoreUnavailableError(
                f"{where} was too busy with other transactions: {text}. Try again."
            )
        if state in _FULL:
            return MetastoreUnavailableError(
                f"{where} is out of space, memory or connections: {text}. Nothing was lost; make room and try again."
            )
        if state in _READ_ONLY:
            return MetastoreError(
                f"{where} does not let this user write: {text}. Use the primary server and an owner of the tables."
            )
        if state in _NO_SCHEMA:
            return SchemaError(f"{where} {SCHEMA_HINT} ({text}).")
        if "does not exist" in text and "database" in text:
            return MetastoreUnavailableError(
                f"cannot reach {where}: {text}. Create it: createdb {self._url.database}"
            )
        if "password" in text or "authentication" in text:
            return MetastoreUnavailableError(
                f"cannot reach {where}: {text}. Check the user and the password in [metastore] url."
            )
        if self.fault(error) is Fault.LOST:
            return MetastoreUnavailableError(
                f"cannot reach {where}: {text}. Is it running? Check host and port in [metastore] url."
            )
        return MetastoreError(f"{where}: {text}")

    def _plain(self, error: Exception) -> str:
        """Return the last part of the driver's text, which says the cause, without the password."""
        lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
        text = next(
            (line for line in lines if "failed:" in line), lines[0] if lines else type(error).__name__
        )
        text = (
            text.rpartition("failed: ")[2].removeprefix("FATAL:").removeprefix("ERROR:").strip().rstrip(".")
        )
        return text.replace(self._url.password, "***") if self._url.password else text
