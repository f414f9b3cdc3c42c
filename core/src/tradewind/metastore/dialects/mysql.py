"""MySQL and MariaDB through PyMySQL: InnoDB, READ COMMITTED, every text compared byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from tradewind.errors import ConfigError, MetastoreError, MetastoreUnavailableError, SchemaError
from tradewind.metastore.dialects.dialect import SCHEMA_HINT, Cursor, Fault, RowByRow
from tradewind.metastore.statements import Delete, Insert, Statement, Update
from tradewind.metastore.url import DatabaseUrl, Kind

CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 120  # a server that says nothing for so long is gone
LOCK_WAIT_SECONDS: Final = 15
MIGRATION_WAIT_SECONDS: Final = 600
OPTIONS: Final = frozenset({"unix_socket", "charset", "ssl_ca", "ssl_cert", "ssl_key"})

ROWS_PER_STATEMENT: Final = 200  # with long reasons still far below the server's packet limit

_RETRY: Final = {1205, 1213, 1020}  # lock wait timeout, deadlock, record changed since the snapshot
_LOST: Final = {2002, 2003, 2006, 2013, 2014, 2055, 1053, 1152, 1158, 1159, 1160, 1161, 1927, 4031, 0}
_FULL: Final = {1021, 1026, 1114, 1030, 1040, 1203}
_READ_ONLY: Final = {1290, 1792, 1836, 1142}
_NO_SCHEMA: Final = {1146, 1054}
_DENIED: Final = {1044, 1045, 1698}
_NO_DATABASE: Final = 1049


@lru_cache(maxsize=1024)
def _percent(text: str) -> str:
    return text.replace("%", "%%").replace("?", "%s")


def joined(statement: Update | Delete, count: int) -> str:
    """Return the statement for ``count`` rows: the table joined with the rows' values."""
    places = [f"c{n}" for n in range(len(statement.sets) + len(statement.guards))]
    first = ", ".join(f"? AS {place}" for place in places)
    other = ", ".join("?" * len(places))
    source = f"(SELECT {first}{f' UNION ALL SELECT {other}' * (count - 1)}) v"
    guards = zip(statement.guards, places[len(statement.sets) :], strict=True)
    on = " AND ".join([f"t.{name} = v.{place}" for name, place in guards] + [statement.condition or "TRUE"])
    if isinstance(statement, Delete):
        return f"DELETE t FROM {source} JOIN {statement.table} t ON {on}"
    sets = ", ".join(
        f"t.{name} = {expression.replace('?', f'v.{place}')}"
        for (name, expression), place in zip(statement.sets, places, strict=False)
    )
    return f"UPDATE {source} JOIN {statement.table} t ON {on} SET {sets}"


class MysqlDialect:
    """See the module."""

    kind: Kind = "mysql"
    now = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
    share_lock = " LOCK IN SHARE MODE"
    update_lock = " FOR UPDATE"
    begin_write: tuple[str, ...] = ("START TRANSACTION",)
    begin_read: tuple[str, ...] = (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )
    # A statement that changes tables ends the transaction, so the lock is one of the session; it ends with it.
    begin_migration: tuple[str, ...] = (f"SELECT GET_LOCK('tradewind_migration', {MIGRATION_WAIT_SECONDS})",)
    wake: tuple[str, ...] = ()

    def __init__(self, url: DatabaseUrl) -> None:
        try:
            import pymysql
        except ImportError as error:
            raise ConfigError(
                f"{url} needs a driver that is not installed: pip install 'tradewind[mysql]'"
            ) from error
        unknown = sorted({name for name, _value in url.options} - OPTIONS)
        if unknown:
            raise ConfigError(
                f"The metastore's URL has options that are not known for MySQL: {', '.join(unknown)}. "
                f"There are: {', '.join(sorted(OPTIONS))}."
            )
        self._pymysql = pymysql
        self._url = url
        self._row_by_row = RowByRow(self)
        self.errors: tuple[type[Exception], ...] = (pymysql.Error, OSError)

    def open(self) -> Any:
        from pymysql.constants import CLIENT

        url = self._url
        options: dict[str, Any] = {name: value for name, value in url.options if name != "charset"}
        connection = self._pymysql.connect(
            host=url.host,
            port=url.port,
            database=url.database,
            user=url.user,
            password=url.password or "",
            charset="utf8mb4",
            collation="utf8mb4_bin",
            autocommit=True,  # transactions are begun and ended by statements
            client_flag=CLIENT.FOUND_ROWS,  # an update counts the rows it matched, changed or not
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
            **options,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(
                "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
                f"innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}"
            )
        return connection

    def sql(self, text: str) -> str:
        return _percent(text)

    def conflict(self, statement: Insert) -> str:
        if not statement.key:
            return ""
        replaced = ", ".join(f"{name} = VALUES({name})" for name in statement.replaced)
        return f" ON DUPLICATE KEY UPDATE {replaced}"

    def change(self, cursor: Cursor, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        # The driver itself writes the rows of an INSERT into one statement.
        if isinstance(statement, Insert) or len(rows) == 1:
            return self._row_by_row.change(cursor, statement, rows)
        matched = 0
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            some = rows[start : start + ROWS_PER_STATEMENT]
            cursor.execute(_percent(joined(statement, len(some))), [value for row in some for value in row])
            matched += cursor.rowcount
        return matched

    def bump(self, cursor: Cursor, name: str, count: int) -> tuple[int, int]:
        cursor.execute("UPDATE sequence SET value = value + %s WHERE name = %s", (count, name))
        cursor.execute(f"SELECT value, {self.now} FROM sequence WHERE name = %s", (name,))
        ((value, now_us),) = cursor.fetchall()
        return value, now_us

    def fault(self, error: Exception) -> Fault:
        code = self._code(error)
        if code in _RETRY:
            return Fault.RETRY
        if isinstance(error, self._pymysql.IntegrityError):
            return Fault.INTEGRITY
        lost = code in _LOST and not isinstance(error, self._pymysql.DataError)
        return Fault.LOST if lost or isinstance(error, OSError) else Fault.REFUSED

    def explain(self, error: Exception) -> MetastoreError:
        code = self._code(error)
        text = self._plain(error)
        where = str(self._url)
        if code in _RETRY:
            return MetastoreUnavailableError(
                f"{where} was too busy with other transactions: {text}. Try again."
            )
        if code in _FULL:
            return MetastoreUnavailableError(
                f"{where} is out of space, memory or connections: {text}. Nothing was lost; make room and try again."
            )
        if code in _READ_ONLY:
            return MetastoreError(
                f"{where} does not let this user write: {text}. Use the primary server and a user with all rights."
            )
        if code in _NO_SCHEMA:
            return SchemaError(f"{where} {SCHEMA_HINT} ({text}).")
        if code == _NO_DATABASE:
            return MetastoreUnavailableError(
                f"cannot reach {where}: {text}. Create it: CREATE DATABASE `{self._url.database}`"
            )
        if code in _DENIED:
            return MetastoreUnavailableError(
                f"cannot reach {where}: {text}. Check the user and the password in [metastore] url."
            )
        if self.fault(error) is Fault.LOST:
            return MetastoreUnavailableError(
                f"cannot reach {where}: {text}. Is it running? Check host and port in [metastore] url."
            )
        return MetastoreError(f"{where}: {text}")

    def _code(self, error: Exception) -> int:
        code = error.args[0] if error.args else 0
        return code if isinstance(code, int) else -1

    def _plain(self, error: Exception) -> str:
        """Return the cause in the driver's words, without the password."""
        text = str(error.args[-1] if error.args else type(error).__name__)
        inner = text.rpartition("([Errno ")[2].rpartition("] ")[2].rstrip(")") if "([Errno " in text else text
        plain = inner.strip().rstrip(".")
        return plain.replace(self._url.password, "***") if self._url.password else plain
