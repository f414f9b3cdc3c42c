"""One schema, whichever way it is made; and clear words about one that does not fit."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, select, text
from sqlalchemy.pool import NullPool

from tradewind.errors import MetastoreError, SchemaError
from tradewind.metastore import check_schema, connect, downgrade, migrate, rows, schema, tables
from tradewind.metastore.apply import XCOM_KEY, XCOM_REST
from tradewind.metastore.dialects.choose import dialect_for
from tradewind.metastore.schema_version import HEAD, REVISIONS
from tradewind.metastore.url import parse_url

THREADS = 4


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def walk(url: str) -> None:
    """Make the schema by all migrations, one after the other."""
    with schema._locked(dialect_for(parse_url(url), create=True)) as connection:
        schema.upgrade(connection)


def described(url: str) -> dict[str, Any]:
    """Read all that a database says of its tables, and their first rows."""
    with opened(url) as connection:
        found = inspect(connection)
        tables_found = {
            name: {
                "columns": [{**column, "type": str(column["type"])} for column in found.get_columns(name)],
                "key": found.get_pk_constraint(name),
                "foreign": found.get_foreign_keys(name),
                "unique": sorted(found.get_unique_constraints(name), key=str),
                "indexes": sorted(map(plain, found.get_indexes(name)), key=str),
                "options": found.get_table_options(name),
            }
            for name in sorted(found.get_table_names())
        }
        first_rows = {
            table.name: sorted(connection.execute(select(table)).all())
            for table in tables.metadata.sorted_tables
        }
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return {"tables": tables_found, "rows": first_rows, "version": version}


def plain(index: Any) -> dict[str, Any]:
    """Return an index with its condition as text."""
    options = {key: str(value) for key, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def wipe(url: str) -> None:
    with opened(url) as connection:
        tables.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))


def test_created_and_migrated_schemas_are_the_same(empty_url: str) -> None:
    migrate(empty_url)
    created = described(empty_url)
    wipe(empty_url)
    walk(empty_url)
    assert described(empty_url) == created
    assert created["version"] == [HEAD]
    assert created["rows"]["sequence"] == [("event", 0), ("run", 0), ("version", 0)]


def test_migrations_leave_nothing_to_add(empty_url: str) -> None:
    walk(empty_url)
    with opened(empty_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_sqlite_keeps_the_same_statements(sqlite_url: str) -> None:
    def statements() -> list[list[str]]:
        with opened(sqlite_url) as connection:
            found = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars()
            # As words: constraints of one table may stand in another order.
            return sorted(sorted(re.split(r"[\s,()]+", sql)) for sql in found)

    migrate(sqlite_url)
    created = statements()
    wipe(sqlite_url)
    walk(sqlite_url)
    assert statements() == created


def test_the_revisions_named_are_those_on_disk() -> None:
    scripts = ScriptDirectory.from_config(schema.alembic_config())
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == REVISIONS
    assert scripts.get_heads() == [HEAD]


def test_column_lists_are_those_of_the_tables() -> None:
    lists = {
        "task_instance": rows.INSTANCE_COLUMNS,
        "run": rows.RUN_COLUMNS,
        "attempt": rows.ATTEMPT_COLUMNS,
        "event": rows.EVENT_COLUMNS,
        "dag": rows.DAG_COLUMNS,
        "xcom": XCOM_KEY + XCOM_REST,
    }
    columns = {name: {column.name for column in tables.metadata.tables[name].columns} for name in lists}
    assert {name: set(names) for name, names in lists.items()} == columns


def test_migrating_twice_does_nothing_the_second_time(empty_url: str) -> None:
    assert migrate(empty_url) == (None, HEAD)
    assert migrate(empty_url) == (HEAD, HEAD)
    check_schema(empty_url)
    downgrade(empty_url, HEAD)
    check_schema(empty_url)


def test_an_empty_database_asks_for_migrate(empty_url: str) -> None:
    if not empty_url.startswith("sqlite"):
        with pytest.raises(SchemaError, match=r"has no Tradewind tables.*run `tradewind db migrate`"):
            check_schema(empty_url)
    with pytest.raises(SchemaError, match="run `tradewind db migrate`"):
        connect(empty_url)


def test_an_older_schema_asks_for_migrate(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(empty_url)
    monkeypatch.setattr(schema, "REVISIONS", ("0000", *REVISIONS))
    with opened(empty_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    for use in (check_schema, connect, lambda url: connect(url, create=True)):
        with pytest.raises(SchemaError, match=r"has schema 0000, older than .*run `tradewind db migrate`"):
            use(empty_url)


def test_a_newer_schema_asks_for_an_upgrade(empty_url: str) -> None:
    migrate(empty_url)
    with opened(empty_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match=r"has schema 9999, which this program does not know.*Upgrade this"):
        connect(empty_url, create=True)
    with pytest.raises(SchemaError, match="has schema 9999"):
        migrate(empty_url)
    with pytest.raises(SchemaError, match="no schema revision 'x'"):
        downgrade(empty_url, "x")


def test_tables_of_another_program_are_left_alone(empty_url: str) -> None:
    dialect_for(parse_url(empty_url), create=True).open().close()
    with opened(empty_url) as connection:
        connection.execute(text("CREATE TABLE run (x INTEGER)"))
    with pytest.raises(MetastoreError, match=r"tables of another program .*: run\. Give Tradewind an empty"):
        connect(empty_url, create=True)
    with opened(empty_url) as connection:
        assert inspect(connection).get_table_names() == ["run"]


def test_several_processes_may_start_on_an_empty_database(empty_url: str) -> None:
    barrier = threading.Barrier(THREADS)

    def start(_n: int) -> list[str]:
        barrier.wait(30)
        store = connect(empty_url, create=True)
        try:
            return [pool.name for pool in store.pools()]
        finally:
            store.close()

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(start, range(THREADS))) == [["default"]] * THREADS
