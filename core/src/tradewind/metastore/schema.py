"""Creating, migrating and checking the schema. The only part beside ``tables`` that imports SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradewind.domain.spec import DEFAULT_POOL
from tradewind.errors import MetastoreError, SchemaError
from tradewind.metastore.dialects.dialect import SCHEMA_HINT, Dialect, NoDatabaseError
from tradewind.metastore.schema_version import HEAD, REVISIONS
from tradewind.metastore.session import Session, Tx
from tradewind.metastore.url import DatabaseUrl
from tradewind.ports.metastore import DEFAULT_POOL_SLOTS

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

VERSION_TABLE: Final = "alembic_version"
SEQUENCES: Final = ("event", "run", "version")

_DRIVERS: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def revision(session: Session) -> str | None:
    """Return the schema revision of the database, None when it has no tables of ours."""
    try:
        row = session.query(lambda tx: tx.one(f"SELECT version_num FROM {VERSION_TABLE}"))
    except NoDatabaseError:
        raise
    except SchemaError:
        return None
    return None if row is None else str(row[0])


def check(session: Session, url: DatabaseUrl) -> None:
    """Raise ``SchemaError`` unless the schema is the one this program works with."""
    found = revision(session)
    if found == HEAD:
        return
    if found is None:
        raise SchemaError(f"{url} {SCHEMA_HINT}.")
    if found in REVISIONS:
        raise SchemaError(
            f"{url} has schema {found}, older than this program's {HEAD}: stop all parts of Tradewind and "
            "run `tradewind db migrate`."
        )
    raise SchemaError(
        f"{url} has schema {found}, which this program does not know (it works with {HEAD}): a newer "
        "Tradewind migrated it. Upgrade this installation: `pip install --upgrade tradewind`."
    )


def migrate(dialect: Dialect, url: DatabaseUrl) -> tuple[str | None, str]:
    """Bring the schema to this program's; return (revision before, revision after).

    An empty database gets all tables at once; another is walked through the migrations. Several processes may
    do this at the same time: they take turns, and the later ones find nothing to do.
    """
    with _locked(dialect) as connection:
        before = _revision_of(connection)
        if before is not None and before not in REVISIONS:
            raise SchemaError(
                f"{url} has schema {before}, which this program does not know (its newest is {HEAD}). "
                "Upgrade this installation instead of the database."
            )
        if before is None:
            _create(connection)
        elif before != HEAD:
            upgrade(connection)
    return before, HEAD


def upgrade(connection: Connection, revision_to: str = "head") -> None:
    """Walk the migrations on an open connection."""
    from alembic import command

    command.upgrade(alembic_config(connection), revision_to)


def downgrade(dialect: Dialect, url: DatabaseUrl, revision_to: str) -> None:
    """Walk the migrations back; ``SchemaError`` when the revision is not one of them."""
    if revision_to not in REVISIONS:
        raise SchemaError(f"There is no schema revision {revision_to!r}. There are: {', '.join(REVISIONS)}.")
    with _locked(dialect) as connection:
        before = _revision_of(connection)
        if before not in REVISIONS:
            raise SchemaError(f"{url} has schema {before}, which this program does not know.")
        from alembic import command

        command.downgrade(alembic_config(connection), revision_to)


def alembic_config(connection: Connection | None = None) -> Any:
    """Return Alembic's configuration: scripts beside this file, no ini file, an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


@contextmanager
def _locked(dialect: Dialect) -> Iterator[Connection]:
    """Give a transaction that no other migration runs beside."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    def opened() -> Any:
        try:
            return dialect.open()
        except dialect.errors as error:
            raise dialect.explain(error) from error

    engine = create_engine(f"{_DRIVERS[dialect.kind]}://", creator=opened, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            for statement in dialect.begin_migration:
                connection.exec_driver_sql(statement)
            yield connection
            connection.exec_driver_sql("COMMIT")
    except DBAPIError as error:
        if isinstance(error.orig, dialect.errors):
            raise dialect.explain(error.orig) from error
        raise
    finally:
        engine.dispose()


def _revision_of(connection: Connection) -> str | None:
    from sqlalchemy import inspect

    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").first()
    return None if row is None else str(row[0])


def _create(connection: Connection) -> None:
    """Make all tables and the first rows in an empty database."""
    from sqlalchemy import insert

    from tradewind.metastore import tables

    foreign = sorted(set(tables.metadata.tables) & set(_table_names(connection)))
    if foreign:
        raise MetastoreError(
            f"The database holds tables of another program (or of an interrupted start): {', '.join(foreign)}. "
            "Give Tradewind an empty database of its own."
        )
    tables.metadata.create_all(connection, checkfirst=False)
    connection.execute(
        insert(tables.pool), {"name": DEFAULT_POOL, "slots": DEFAULT_POOL_SLOTS, "description": ""}
    )
    connection.execute(insert(tables.sequence), [{"name": name, "value": 0} for name in SEQUENCES])
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
        f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{HEAD}')")


def _table_names(connection: Connection) -> list[str]:
    from sqlalchemy import inspect

    return inspect(connection).get_table_names()


def allocate(tx: Tx, name: str, count: int) -> range:
    """Reserve ``count`` numbers of a sequence."""
    last, _now_us = tx.bump(name, count)
    return range(last - count + 1, last + 1)
