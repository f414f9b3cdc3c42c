"""What differs between the databases is what they need; errors are named so that a person can act."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from pathlib import Path

import psycopg
import pymysql
import pytest
from sqlalchemy import BigInteger, Integer, SmallInteger

from tradewind.domain.records import Batch
from tradewind.errors import ConfigError, MetastoreError, MetastoreUnavailableError, SchemaError
from tradewind.metastore import SqlMetastore, connect, migrate, tables
from tradewind.metastore.apply import XCOM_KEY
from tradewind.metastore.dialects.choose import dialect_for
from tradewind.metastore.dialects.dialect import Fault
from tradewind.metastore.dialects.mysql import MysqlDialect, joined
from tradewind.metastore.dialects.postgres import NUMBERS, PostgresDialect, arrays
from tradewind.metastore.dialects.sqlite import SqliteDialect
from tradewind.metastore.statements import Delete, Insert, Update, one_row, values
from tradewind.metastore.url import DatabaseUrl, parse_url
from tradewind.testing.conformance.metastore_rows import event

PASSWORD = "hunter2-s3cret"


# -- URLs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("sqlite:////var/x%20y.db", DatabaseUrl("sqlite", "/var/x y.db")),
        ("sqlite:///x.db", DatabaseUrl("sqlite", str(Path("x.db").absolute()))),
        (
            "postgresql+psycopg://me:p%40ss@db.example:6000/tw?sslmode=require",
            DatabaseUrl("postgresql", "tw", "db.example", 6000, "me", "p@ss", (("sslmode", "require"),)),
        ),
        ("postgres://[::1]/tw", DatabaseUrl("postgresql", "tw", "::1", 5432)),
        ("mysql+pymysql://root@/tw", DatabaseUrl("mysql", "tw", "127.0.0.1", 3306, "root")),
        ("mariadb://root:@h/tw", DatabaseUrl("mysql", "tw", "h", 3306, "root", "")),
    ],
)
def test_urls(url: str, parts: DatabaseUrl) -> None:
    assert parse_url(url) == parts


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oracle://x/y", "'oracle' is not a database Tradewind knows.*postgresql://"),
        ("tradewind.db", "there is no '://' in it"),
        ("sqlite://x.db", "three slashes before a relative path"),
        ("sqlite://", "needs a SQLite file"),
        ("sqlite:///:memory:", "needs a SQLite file"),
        ("sqlite:///x.db?mode=ro", "needs a SQLite file"),
        ("postgresql://host", "names no database"),
        (f"postgresql://me:{PASSWORD}@host:port/x", "host or port is malformed"),
        (f"mysql://me:{PASSWORD}@host/x?foo=1&bar=2", "options that are not known for MySQL: bar, foo"),
    ],
)
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        connect(url)
    assert PASSWORD not in str(caught.value)


def test_a_url_never_shows_its_password() -> None:
    url = parse_url(f"postgresql://me:{PASSWORD}@host/tw")
    assert PASSWORD not in f"{url} {url!r}"
    assert str(url) == "postgresql at host:5432/tw"
    assert str(parse_url("mysql://root@/tw?unix_socket=/run/m.sock")) == "mysql at /run/m.sock/tw"


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_nobody_listens(kind: str) -> None:
    with pytest.raises(MetastoreUnavailableError) as caught:
        connect(f"{kind}://me:{PASSWORD}@127.0.0.1:9/tw")
    text = str(caught.value)
    assert text.startswith(f"cannot reach {kind} at 127.0.0.1:9/tw: ")
    assert "Connection refused. Is it running? Check host and port in [metastore] url." in text
    assert PASSWORD not in text


@pytest.mark.services
def test_no_such_database(postgres_url: str, mysql_url: str) -> None:
    for url, hint in ((postgres_url, "createdb absent"), (mysql_url, "CREATE DATABASE `absent`")):
        base, _slash, rest = url.rpartition("/")
        absent = f"{base}/absent{'?' + rest.partition('?')[2] if '?' in rest else ''}"
        with pytest.raises(MetastoreUnavailableError, match=r"(?i)cannot reach .*absent.*create") as caught:
            connect(absent)
        assert hint in str(caught.value)


@pytest.mark.services
def test_a_wrong_password(mysql_url: str) -> None:
    parsed = parse_url(mysql_url)
    with pytest.raises(MetastoreUnavailableError, match="Check the user and the password") as caught:
        connect(f"mysql://nobody:{PASSWORD}@{parsed.host}:{parsed.port}/{parsed.database}")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "module", "extra"), [("postgresql", "psycopg", "postgres"), ("mysql", "pymysql", "mysql")]
)
def test_a_missing_driver(kind: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'tradewind\[{extra}\]'"):
        connect(f"{kind}://me:{PASSWORD}@127.0.0.1:9/tw")


def test_a_sqlite_file_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary " * 1_000)
    with pytest.raises(MetastoreError, match="is not a SQLite database, or is damaged"):
        connect(f"sqlite:///{file}", create=True)
    with pytest.raises(MetastoreUnavailableError, match="Does its folder exist"):
        connect(f"sqlite:///{tmp_path}/no/folder/x.db", create=True)
    with pytest.raises(
        SchemaError, match=r"There is no metastore at .*x.db. Create it: run `tradewind db migrate`"
    ):
        connect(f"sqlite:///{tmp_path}/x.db")
    assert not (tmp_path / "x.db").exists()


def test_a_read_only_sqlite_file(sqlite_url: str) -> None:
    migrate(sqlite_url)
    store = connect(sqlite_url)
    store._session.query(lambda tx: tx.run("PRAGMA query_only = ON"))
    with pytest.raises(MetastoreError, match="is read-only for this user"):
        store.commit(Batch(events=(event(),)))
    store.close()


def test_a_full_disk_loses_nothing(sqlite_url: str) -> None:
    store = connect(sqlite_url, create=True)
    store.commit(Batch(events=(event(),)))
    pages = store._session.query(lambda tx: tx.one("PRAGMA page_count"))[0]
    store._session.query(lambda tx: tx.one(f"PRAGMA max_page_count = {pages}"))
    big = Batch(events=tuple(event(data={"x": "y" * 1_000}) for _n in range(100)))
    with pytest.raises(
        MetastoreUnavailableError, match=r"the disk is full. Free some space; nothing was lost."
    ):
        store.commit(big)
    assert store.last_event_id() == 1
    store._session.query(lambda tx: tx.one(f"PRAGMA max_page_count = {pages * 10}"))
    store.commit(big)
    assert store.last_event_id() == 101
    store.close()


def test_a_schema_that_vanished(sql_store: SqlMetastore) -> None:
    with pytest.raises(
        SchemaError, match="has no Tradewind tables or older ones: run `tradewind db migrate`"
    ):
        sql_store._session.query(lambda tx: tx.all("SELECT 1 FROM no_such_table"))
    with pytest.raises(SchemaError, match="run `tradewind db migrate`"):
        sql_store._session.query(lambda tx: tx.all("SELECT no_such_column FROM run"))


class _ServerError(psycopg.Error):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(f"ERROR: it said no to {PASSWORD}\nDETAIL: none")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "fault", "kind", "words"),
    [
        ("40001", Fault.RETRY, MetastoreUnavailableError, "too busy with other transactions"),
        ("40P01", Fault.RETRY, MetastoreUnavailableError, "Try again"),
        ("53100", Fault.REFUSED, MetastoreUnavailableError, "out of space, memory or connections"),
        ("25006", Fault.REFUSED, MetastoreError, "does not let this user write"),
        ("42P01", Fault.REFUSED, SchemaError, "run `tradewind db migrate`"),
        ("57P01", Fault.LOST, MetastoreUnavailableError, "Is it running?"),
        ("08006", Fault.LOST, MetastoreUnavailableError, "Is it running?"),
        ("25P03", Fault.LOST, MetastoreUnavailableError, "Is it running?"),
        ("22001", Fault.REFUSED, MetastoreError, r"/tw: it said no to \*\*\*"),
    ],
)
def test_what_postgres_says(state: str, fault: Fault, kind: type[MetastoreError], words: str) -> None:
    dialect = PostgresDialect(parse_url(f"postgresql://me:{PASSWORD}@h/tw"))
    error = _ServerError(state)
    explained = dialect.explain(error)
    assert dialect.fault(error) is fault
    assert type(explained) is kind
    assert PASSWORD not in str(explained)
    assert re.search(words, str(explained))


@pytest.mark.parametrize(
    ("code", "fault", "kind", "words"),
    [
        (1213, Fault.RETRY, MetastoreUnavailableError, "too busy with other transactions"),
        (1205, Fault.RETRY, MetastoreUnavailableError, "Try again"),
        (1020, Fault.RETRY, MetastoreUnavailableError, "Try again"),
        (1114, Fault.REFUSED, MetastoreUnavailableError, "out of space, memory or connections"),
        (1290, Fault.REFUSED, MetastoreError, "does not let this user write"),
        (1146, Fault.REFUSED, SchemaError, "run `tradewind db migrate`"),
        (2006, Fault.LOST, MetastoreUnavailableError, "Is it running?"),
        (2013, Fault.LOST, MetastoreUnavailableError, "Is it running?"),
        (1406, Fault.REFUSED, MetastoreError, r"/tw: it said no to \*\*\*"),
    ],
)
def test_what_mysql_says(code: int, fault: Fault, kind: type[MetastoreError], words: str) -> None:
    dialect = MysqlDialect(parse_url(f"mysql://me:{PASSWORD}@h/tw"))
    error = pymysql.err.OperationalError(code, f"it said no to {PASSWORD}")
    explained = dialect.explain(error)
    assert dialect.fault(error) is fault
    assert type(explained) is kind
    assert PASSWORD not in str(explained)
    assert re.search(words, str(explained))


def test_an_old_sqlite_is_named(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(MetastoreError, match=r"is too old: Tradewind needs 3.35"):
        connect(sqlite_url, create=True)


def test_sqlite_keeps_its_promises(sqlite_url: str) -> None:
    store = connect(sqlite_url, create=True)

    def pragma(name: str) -> object:
        return store._session.query(lambda tx: tx.one(f"PRAGMA {name}"))[0]

    settings = {
        name: pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    store.close()


# -- statements -------------------------------------------------------------------------------------

PUT = Insert("attempt", values(("instance_id", "token", "reason")), key=("instance_id", "token"))
CHANGE = Update("task_instance", (("state", "?"), ("lease_until_at", "now + ?")), ("id", "state"), "x < 5")
REMOVE = Delete("xcom", ("run_pk", "item"))


def test_statements_for_one_row() -> None:
    assert one_row(CHANGE, "") == (
        "UPDATE task_instance SET state = ?, lease_until_at = now + ? WHERE id = ? AND state = ? AND x < 5"
    )
    assert one_row(REMOVE, "") == "DELETE FROM xcom WHERE run_pk = ? AND item = ?"
    sqlite = SqliteDialect(parse_url("sqlite:////x.db"))
    assert one_row(PUT, sqlite.conflict(PUT)) == (
        "INSERT INTO attempt (instance_id, token, reason) VALUES (?, ?, ?) "
        "ON CONFLICT (instance_id, token) DO UPDATE SET reason = excluded.reason"
    )


def test_statements_over_arrays() -> None:
    assert arrays(CHANGE) == (
        "UPDATE task_instance AS t SET state = v.c0, lease_until_at = now + v.c1 "
        "FROM unnest(CAST(? AS text[]), CAST(? AS bigint[]), CAST(? AS bigint[]), CAST(? AS text[])) "
        "AS v(c0, c1, c2, c3) WHERE t.id = v.c2 AND t.state = v.c3 AND x < 5"
    )
    assert arrays(REMOVE) == (
        "DELETE FROM xcom AS t USING unnest(CAST(? AS bigint[]), CAST(? AS text[])) AS v(c0, c1) "
        "WHERE t.run_pk = v.c0 AND t.item = v.c1 AND TRUE"
    )


def test_statements_over_joined_rows() -> None:
    assert joined(CHANGE, 2) == (
        "UPDATE (SELECT ? AS c0, ? AS c1, ? AS c2, ? AS c3 UNION ALL SELECT ?, ?, ?, ?) v "
        "JOIN task_instance t ON t.id = v.c2 AND t.state = v.c3 AND x < 5 "
        "SET t.state = v.c0, t.lease_until_at = now + v.c1"
    )
    assert joined(REMOVE, 1) == (
        "DELETE t FROM (SELECT ? AS c0, ? AS c1) v JOIN xcom t ON t.run_pk = v.c0 AND t.item = v.c1 AND TRUE"
    )


def test_numbers_are_known_for_every_table_written_in_bulk() -> None:
    for name in ("run", "task_instance", "attempt", "xcom", "task_state", "event"):
        for column in tables.metadata.tables[name].columns:
            is_number = isinstance(column.type, (BigInteger, Integer, SmallInteger))
            assert (column.name in NUMBERS) is is_number, f"{name}.{column.name}"
    assert set(XCOM_KEY) & NUMBERS == {"run_pk"}


def test_the_dialect_of_a_url(tmp_path: Path) -> None:
    kinds = [
        dialect_for(parse_url(url)).kind
        for url in (f"sqlite:///{tmp_path}/x", "mysql://h/x", "postgres://h/x")
    ]
    assert kinds == ["sqlite", "mysql", "postgresql"]


def test_the_running_system_needs_no_sqlalchemy(sqlite_url: str) -> None:
    import subprocess

    connect(sqlite_url, create=True).close()
    program = (
        "import sys; from tradewind.metastore import connect; s = connect(sys.argv[1]); s.active_runs(); "
        "s.commit(__import__('tradewind.domain.records').domain.records.Batch()); "
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'sqlalchemy', 'alembic', 'psycopg', 'pymysql'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sqlite_url],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert done.stdout == "[]\n"
