"""What a dialect must do, and what several of them do alike.

Statements are written once, with ``?`` for parameters; :meth:`Dialect.sql` puts in the driver's own mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from tradewind.errors import MetastoreError, SchemaError
from tradewind.metastore.statements import Insert, Statement, one_row
from tradewind.metastore.url import Kind

SCHEMA_HINT = "has no Tradewind tables or older ones: run `tradewind db migrate`"


class NoDatabaseError(SchemaError):
    """There is no file where the database should be."""


class Fault(Enum):
    """What an error of the driver means for the transaction it ended."""

    RETRY = "retry"  # deadlock, serialization, lock timeout: nothing was written, try again
    INTEGRITY = "integrity"  # a unique or foreign key said no
    LOST = "lost"  # the connection is gone
    REFUSED = "refused"  # anything else: trying again will not help


class Cursor(Protocol):
    """The part of a DBAPI cursor that is used here."""

    rowcount: int

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: str, parameters: Any, /) -> Any: ...
    def fetchall(self) -> Any: ...


class Dialect(Protocol):
    """One database and its driver."""

    kind: Kind
    now: str  # SQL expression: database time in microseconds, inside a transaction too
    share_lock: str  # what ends a SELECT that must keep its rows from changing
    update_lock: str  # what ends a SELECT that announces an update
    begin_write: tuple[str, ...]
    begin_read: tuple[str, ...]  # one snapshot for several statements
    begin_migration: tuple[str, ...]  # a transaction beside which no other migration runs
    wake: tuple[str, ...]  # statements that tell listeners of the database, inside the writing transaction
    errors: tuple[type[Exception], ...]  # all that the driver raises

    def open(self) -> Any:
        """Return a new DBAPI connection in autocommit mode; raises what ``errors`` names, or MetastoreError."""
        ...

    def sql(self, text: str) -> str:
        """Return a statement in the driver's own parameter style."""
        ...

    def conflict(self, statement: Insert) -> str:
        """Return the end of an INSERT that replaces when the row's key exists; "" when it has no key."""
        ...

    def change(self, cursor: Cursor, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        """Execute a change for one or many rows; return how many rows it matched."""
        ...

    def bump(self, cursor: Cursor, name: str, count: int) -> tuple[int, int]:
        """Raise a sequence by ``count``, keeping it locked; return (its new value, database time)."""
        ...

    def fault(self, error: Exception) -> Fault:
        """Say what an error of the driver means."""
        ...

    def explain(self, error: Exception) -> MetastoreError:
        """Return the error for people: what, where, what to do; never a password."""
        ...


class RowByRow:
    """The plain form of :meth:`Dialect.change`: the statement for one row, prepared once and executed for each."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._texts: dict[Statement, str] = {}

    def change(self, cursor: Cursor, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        """Execute the change for each row."""
        text = self._texts.get(statement)
        if text is None:
            conflict = self._dialect.conflict(statement) if isinstance(statement, Insert) else ""
            text = self._texts[statement] = self._dialect.sql(one_row(statement, conflict))
        if len(rows) == 1:
            cursor.execute(text, rows[0])
        else:
            cursor.executemany(text, rows)
        return cursor.rowcount


def on_conflict(statement: Insert) -> str:
    """Return the end of an INSERT as SQLite and PostgreSQL understand it."""
    if not statement.key:
        return ""
    replaced = ", ".join(f"{name} = excluded.{name}" for name in statement.replaced)
    return f" ON CONFLICT ({', '.join(statement.key)}) DO UPDATE SET {replaced}"
