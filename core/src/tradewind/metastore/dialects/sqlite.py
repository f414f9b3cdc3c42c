"""SQLite: one file, one writer at a time, every commit on disk before it returns.

Every write transaction starts with BEGIN IMMEDIATE: it waits for its turn at the beginning, where waiting is
harmless, and never finds in the middle that another writer came first ("database is locked").
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tradewind.errors import MetastoreError, MetastoreUnavailableError, SchemaError
from tradewind.metastore.dialects.dialect import (
    SCHEMA_HINT,
    Cursor,
    Fault,
    NoDatabaseError,
    RowByRow,
    on_conflict,
)
from tradewind.metastore.statements import Insert, Statement
from tradewind.metastore.url import DatabaseUrl, Kind

BUSY_SECONDS: Final = 30.0
VERSION_MIN: Final = (3, 35)  # RETURNING
STATEMENTS_CACHED: Final = 256
WAL_BYTES_KEPT: Final = 64 * 1024 * 1024

_PRIMARY_CODE: Final = 0xFF  # the rest of an error code tells the variety
_RETRY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteDialect:
    """See the module."""

    kind: Kind = "sqlite"
    now = "(CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)"
    share_lock = ""  # the one writer needs none
    update_lock = ""
    begin_write: tuple[str, ...] = ("BEGIN IMMEDIATE",)
    begin_read: tuple[str, ...] = ("BEGIN",)
    begin_migration: tuple[str, ...] = ("BEGIN IMMEDIATE",)
    wake: tuple[str, ...] = ()
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, url: DatabaseUrl, *, create: bool = False) -> None:
        self._url = url
        self._create = create
        self._row_by_row = RowByRow(self)

    def open(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < VERSION_MIN:
            raise MetastoreError(
                f"SQLite {sqlite3.sqlite_version} is too old: Tradewind needs 3.35 or newer. "
                "Use a newer Python, or PostgreSQL."
            )
        path = Path(self._url.database)
        if not self._create and not path.exists():
            raise NoDatabaseError(f"There is no metastore at {path}. Create it: run `tradewind db migrate`.")
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={'rwc' if self._create else 'rw'}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # used by one thread at a time, but closed by any
            cached_statements=STATEMENTS_CACHED,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise MetastoreError(
                f"{self._url} cannot use write-ahead logging (it stays in mode {mode}). "
                "Put the file on a local disk, or use PostgreSQL."
            )

    def sql(self, text: str) -> str:
        return text

    def conflict(self, statement: Insert) -> str:
        return on_conflict(statement)

    def change(self, cursor: Cursor, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        return self._row_by_row.change(cursor, statement, rows)

    def bump(self, cursor: Cursor, name: str, count: int) -> tuple[int, int]:
        cursor.execute(
            f"UPDATE sequence SET value = value + ? WHERE name = ? RETURNING value, {self.now}", (count, name)
        )
        ((value, now_us),) = cursor.fetchall()
        return value, now_us

    def fault(self, error: Exception) -> Fault:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        if code in _RETRY:
            return Fault.RETRY
        if isinstance(error, sqlite3.IntegrityError):
            return Fault.INTEGRITY
        return Fault.REFUSED

    def explain(self, error: Exception) -> MetastoreError:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        where = str(self._url)
        if code in _RETRY:
            return MetastoreUnavailableError(
                f"{where} was busy for longer than {BUSY_SECONDS:.0f} s. Another process holds a long "
                "transaction on it: end that process, or try again."
            )
        if code == sqlite3.SQLITE_FULL:
            return MetastoreUnavailableError(f"{where}: the disk is full. Free some space; nothing was lost.")
        if code == sqlite3.SQLITE_CANTOPEN:
            return MetastoreUnavailableError(
                f"cannot open {where}. Does its folder exist, and may this user write there?"
            )
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
            return MetastoreError(
                f"{where} is read-only for this user. Make the file and its folder writable."
            )
        if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            return MetastoreError(
                f"{where} is not a SQLite database, or is damaged: {error}. "
                "Restore a backup, or move the file away and run `tradewind db migrate`."
            )
        if code == sqlite3.SQLITE_IOERR:
            return MetastoreUnavailableError(f"{where}: {error}. Check the disk and the free space.")
        if "no such table" in str(error) or "no such column" in str(error) or "no column named" in str(error):
            return SchemaError(f"{where} {SCHEMA_HINT} ({error}).")
        return MetastoreError(f"{where}: {error}")
