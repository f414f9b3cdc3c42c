"""Empty metastores of every kind, made quickly: servers keep one database and lose its rows between tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, insert, text
from sqlalchemy.pool import NullPool

from tradewind.metastore import SqlMetastore, connect, tables
from tradewind.metastore.schema import SEQUENCES
from tradewind.ports.metastore import DEFAULT_POOL_SLOTS


def empty(url: str) -> None:
    """Delete all rows but those a new metastore has."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            names = ", ".join(table.name for table in tables.metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {names}"))
        else:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(delete(table))
        connection.execute(
            insert(tables.pool), {"name": "default", "slots": DEFAULT_POOL_SLOTS, "description": ""}
        )
        connection.execute(insert(tables.sequence), [{"name": name, "value": 0} for name in SEQUENCES])
    engine.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/tradewind.db"


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[SqlMetastore]:
    store = connect(sqlite_url, create=True)
    yield store
    store.close()


def server_store(url: str) -> Iterator[SqlMetastore]:
    """Give an empty metastore on a server's database that tests share."""
    connect(url, create=True).close()
    empty(url)
    store = connect(url)
    yield store
    store.close()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[SqlMetastore]:
    yield from server_store(postgres_url)


@pytest.fixture
def mysql_store(mysql_url: str) -> Iterator[SqlMetastore]:
    yield from server_store(mysql_url)


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database of each kind, without tables."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    make: Callable[[], str] = request.getfixturevalue(f"new_{request.param}_url")
    return make()


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def sql_store(request: pytest.FixtureRequest) -> SqlMetastore:
    """An empty metastore of each kind of database."""
    store: SqlMetastore = request.getfixturevalue(f"{request.param}_store")
    return store
