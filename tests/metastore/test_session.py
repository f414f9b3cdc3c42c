"""Transactions are tried again when that helps, and only then; nothing is ever half written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest

from tradewind.domain.records import Batch
from tradewind.errors import MetastoreError, MetastoreUnavailableError
from tradewind.metastore import SqlMetastore, connect
from tradewind.metastore.dialects.choose import dialect_for
from tradewind.metastore.session import TRIES_MAX, Session, Tx, clock_jitter
from tradewind.metastore.url import parse_url
from tradewind.testing.conformance.metastore_rows import committed, event


class Busy(sqlite3.OperationalError):
    """What SQLite raises when another one writes."""

    sqlite_errorcode = sqlite3.SQLITE_BUSY


class Pauses:
    """Records the pauses instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def session(sqlite_url: str, pauses: Pauses) -> Session:
    connect(sqlite_url, create=True).close()
    return Session(dialect_for(parse_url(sqlite_url)), pause=pauses, jitter=lambda: 0.0)


def failing(times: int, error: Callable[[], Exception]) -> Callable[[Tx], int]:
    """Return work that writes, then fails the first ``times`` times."""
    tries = iter(range(times + 1))

    def work(tx: Tx) -> int:
        tx.run("UPDATE sequence SET value = value + 1 WHERE name = 'run'")
        tried = next(tries)
        if tried < times:
            raise error()
        return tried

    return work


def value(session: Session) -> int:
    found: int = session.query(lambda tx: tx.one("SELECT value FROM sequence WHERE name = 'run'"))[0]
    return found


def test_a_busy_database_is_tried_again(session: Session, pauses: Pauses) -> None:
    with closing(session):
        assert session.write(failing(4, lambda: Busy("database is locked"))) == 4
        assert value(session) == 1
    assert pauses.seconds == [0.002, 0.004, 0.008, 0.016]


def test_tries_are_bounded_and_pauses_too(session: Session, pauses: Pauses) -> None:
    with closing(session):
        with pytest.raises(MetastoreUnavailableError, match="was busy for longer than 30 s"):
            session.write(failing(TRIES_MAX, lambda: Busy("database is locked")))
        assert value(session) == 0
    assert len(pauses.seconds) == TRIES_MAX - 1
    assert max(pauses.seconds) == 0.125


def test_jitter_spreads_the_pauses(sqlite_url: str, pauses: Pauses) -> None:
    connect(sqlite_url, create=True).close()
    numbers = iter([0.0, 1.0, 0.5])
    session = Session(dialect_for(parse_url(sqlite_url)), pause=pauses, jitter=lambda: next(numbers))
    with closing(session), closing(session.clone()) as clone:
        clone.write(failing(3, lambda: Busy("database is locked")))
    assert pauses.seconds == [0.002, 0.008, 0.012]
    assert 0 <= clock_jitter() < 1


def test_other_errors_are_not_tried_again(session: Session, pauses: Pauses) -> None:
    with closing(session):
        with pytest.raises(MetastoreError, match=r"sqlite:///.*: something odd"):
            session.write(failing(1, lambda: sqlite3.OperationalError("something odd")))
        assert value(session) == 0
    assert pauses.seconds == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_interrupts_rolls_back(session: Session, error: type[Exception]) -> None:
    with closing(session):
        with pytest.raises(error):
            session.write(failing(1, error))
        assert value(session) == 0
        assert session.write(failing(0, error)) == 0
        assert value(session) == 1


def test_reads_of_several_statements_see_one_state(sql_store: SqlMetastore) -> None:
    other = sql_store.clone()

    def read(tx: Tx) -> list[int]:
        before = tx.one("SELECT value FROM sequence WHERE name = 'run'")[0]
        other.allocate_run_pks(5)
        return [before, tx.one("SELECT value FROM sequence WHERE name = 'run'")[0]]

    with closing(other):
        assert sql_store._session.read(read) == [0, 0]
        assert sql_store.allocate_run_pks(1) == range(6, 7)


def kill(store: SqlMetastore) -> None:
    """End the server's side of a store's connection from another one."""
    connection = store._session._connection
    other = store.clone()
    with closing(other):
        if store._session.dialect.kind == "postgresql":
            backend = connection.info.backend_pid
            other._session.query(lambda tx: tx.all("SELECT pg_terminate_backend(?, 5000)", (backend,)))
        else:
            other._session.query(lambda tx: tx.run(f"KILL CONNECTION {connection.thread_id()}"))


@pytest.fixture(params=["postgres", "mysql"])
def server_store(request: pytest.FixtureRequest) -> SqlMetastore:
    store: SqlMetastore = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.mark.services
def test_an_idle_connection_that_died_is_replaced(server_store: SqlMetastore) -> None:
    kill(server_store)
    assert server_store.last_event_id() == 0
    kill(server_store)
    committed(server_store.commit(Batch(events=(event(),))))
    assert server_store.last_event_id() == 1


@pytest.mark.services
def test_a_transaction_cut_in_the_middle_is_done_again_once(server_store: SqlMetastore) -> None:
    cuts = iter([True, False])

    def work(tx: Tx) -> None:
        tx.run("UPDATE sequence SET value = value + 1 WHERE name = 'run'")
        if next(cuts):
            kill(server_store)
            tx.one("SELECT 1")

    server_store._session.write(work)
    assert server_store.allocate_run_pks(1) == range(2, 3)


@pytest.mark.services
def test_a_connection_that_dies_again_and_again_is_an_error(server_store: SqlMetastore) -> None:
    def work(tx: Tx) -> None:
        tx.run("UPDATE sequence SET value = value + 1 WHERE name = 'run'")
        kill(server_store)
        tx.one("SELECT 1")

    with pytest.raises(MetastoreUnavailableError, match="cannot reach"):
        server_store._session.write(work)
    assert server_store.allocate_run_pks(1) == range(1, 2)


class CutAtCommit(Tx):
    """Loses the connection while it commits: nobody can say whether the commit was done."""

    cut: Callable[[], None]

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        result = super().run(sql, parameters)
        if sql == "COMMIT":
            self.cut()
            super().one("SELECT 1")
        return result


@pytest.mark.services
def test_a_connection_lost_while_committing_is_told_not_repeated(server_store: SqlMetastore) -> None:
    session = server_store._session
    tx = CutAtCommit(session.dialect, session._connection.cursor())
    tx.cut = lambda: kill(server_store)
    session._tx = tx
    with pytest.raises(MetastoreUnavailableError, match="cannot reach"):
        server_store.allocate_run_pks(1)
    assert server_store.allocate_run_pks(1) == range(2, 3)  # it had been written, once


def test_a_closed_store_opens_again(sql_store: SqlMetastore) -> None:
    sql_store.close()
    sql_store.close()
    assert sql_store.last_event_id() == 0


def test_statements_of_a_commit_are_few(sql_store: SqlMetastore) -> None:
    sql_store.last_event_id()
    tx = sql_store._session._tx
    assert tx is not None
    before = tx.statements
    committed(sql_store.commit(Batch(events=tuple(event() for _n in range(100)))))
    statements = tx.statements - before
    # BEGIN, the counter, the events, COMMIT; PostgreSQL's NOTIFY
    assert statements == (5 if sql_store._session.dialect.wake else 4)
