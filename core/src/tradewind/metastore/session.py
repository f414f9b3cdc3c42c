"""One connection and its transactions: opened when needed, tried again when the database asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from tradewind.errors import MetastoreError, MetastoreUnavailableError
from tradewind.metastore.dialects.dialect import Cursor, Dialect, Fault
from tradewind.metastore.statements import Statement

T = TypeVar("T")
Parameters = Sequence[Any]

TRIES_MAX: Final = 10  # of one transaction that ends in deadlocks; the pauses add up to about a second
PAUSE_SECONDS_FIRST: Final = 0.002
PAUSE_SECONDS_MAX: Final = 0.25


class KeyRefusedError(MetastoreError):
    """A unique or foreign key refused the transaction; the caller finds out which row it was."""


def wait_seconds(seconds: float) -> None:
    """Wait, without anything to be woken by."""
    threading.Event().wait(seconds)


def clock_jitter() -> float:
    """Return a number in [0, 1) that two colliding writers are unlikely to share."""
    return time.monotonic_ns() // 100 % 1_000 / 1_000


class Tx:
    """The statements of one transaction, with ``?`` for parameters."""

    __slots__ = ("_cursor", "dialect", "now", "statements")

    def __init__(self, dialect: Dialect, cursor: Cursor) -> None:
        self.dialect = dialect
        self.now = dialect.now
        self._cursor = cursor
        self.statements = 0

    def all(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """Return all rows of a query."""
        self.statements += 1
        self._cursor.execute(self.dialect.sql(sql), parameters)
        rows: list[Any] = self._cursor.fetchall()
        return rows

    def one(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first row of a query, or None."""
        rows = self.all(sql, parameters)
        return rows[0] if rows else None

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute one change; return how many rows it matched."""
        self.statements += 1
        self._cursor.execute(self.dialect.sql(sql), parameters)
        return self._cursor.rowcount

    def many(self, sql: str, rows: Sequence[Parameters]) -> int:
        """Execute one change for each row of parameters; return how many rows they matched together."""
        self.statements += 1
        self._cursor.executemany(self.dialect.sql(sql), rows)
        return self._cursor.rowcount

    def change(self, statement: Statement, rows: Sequence[Parameters]) -> int:
        """Execute a change for one or many rows in the dialect's quickest form; return how many rows it matched."""
        self.statements += 1
        return self.dialect.change(self._cursor, statement, rows)

    def bump(self, name: str, count: int) -> tuple[int, int]:
        """Raise a sequence and keep it locked; return (its new value, database time)."""
        self.statements += 1
        return self.dialect.bump(self._cursor, name, count)


class Session:
    """One lazily opened connection. Used by one thread at a time.

    ``pause`` waits and ``jitter`` gives numbers in [0, 1): injected, so that a simulation repeats itself.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        pause: Callable[[float], None] = wait_seconds,
        jitter: Callable[[], float] = clock_jitter,
    ) -> None:
        self.dialect = dialect
        self._pause = pause
        self._jitter = jitter
        self._connection: Any = None
        self._tx: Tx | None = None

    def clone(self) -> Session:
        """Return a session on the same database with a connection of its own."""
        return Session(self.dialect, pause=self._pause, jitter=self._jitter)

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        connection, self._connection, self._tx = self._connection, None, None
        if connection is not None:
            with suppress(*self.dialect.errors):
                connection.close()

    def query(self, work: Callable[[Tx], T]) -> T:
        """Run one statement that reads."""
        return self._attempt((), work)

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run several statements that read one and the same state."""
        return self._attempt(self.dialect.begin_read, work)

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run a transaction that writes: all of it or nothing, tried again after deadlocks.

        ``work`` can run several times and must keep nothing outside. ``MetastoreUnavailableError`` when the
        database is gone; if that happened while committing, the transaction may or may not have been written.
        """
        return self._attempt(self.dialect.begin_write, work)

    def _attempt(self, begin: tuple[str, ...], work: Callable[[Tx], T]) -> T:
        reopened = False
        tried = 0
        while True:
            committing = False
            fresh = self._tx is None
            try:
                tx = self._tx or self._open()
                for statement in begin:
                    tx.run(statement)
                result = work(tx)
                if begin:
                    committing = True
                    tx.run("COMMIT")
                return result
            except self.dialect.errors as error:
                fault = self._failed(error)
                tried += 1
                if fault is Fault.RETRY and tried < TRIES_MAX:
                    self._pause(self._delay(tried))
                elif fault is Fault.LOST and not (committing or fresh or reopened):
                    reopened = True  # an idle connection had died; nothing was sent to be committed
                else:
                    raise self._named(fault, error) from error
            except BaseException:
                self._rollback()
                raise

    def _open(self) -> Tx:
        connection = self.dialect.open()
        self._connection = connection
        self._tx = Tx(self.dialect, connection.cursor())
        return self._tx

    def _failed(self, error: Exception) -> Fault:
        fault = self.dialect.fault(error)
        if fault is Fault.LOST or self._tx is None:
            self.close()
        else:
            self._rollback()
        return fault

    def _rollback(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rollback()
            except self.dialect.errors:
                self.close()

    def _delay(self, tried: int) -> float:
        ceiling = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_FIRST * float(2**tried))
        return ceiling * (0.5 + 0.5 * self._jitter())

    def _named(self, fault: Fault, error: Exception) -> MetastoreError:
        if fault is Fault.INTEGRITY:
            return KeyRefusedError(str(self.dialect.explain(error)))
        explained = self.dialect.explain(error)
        if fault in {Fault.LOST, Fault.RETRY} and not isinstance(explained, MetastoreUnavailableError):
            return MetastoreUnavailableError(str(explained))
        return explained
