"""Find the servers that tests may use, and hand out databases that nobody else touches.

Fixtures (tests/conftest.py makes them known everywhere, so no import is needed):

- `postgres_url`, `mysql_url`: SQLAlchemy URL of one fresh, empty database for each test process.
- `new_postgres_url`, `new_mysql_url`: a function; every call returns a fresh, empty database.
- `redis_url`, `rabbitmq_url`: URL of a server that answered; it is shared, so use your own key names.

All databases made here are dropped at the end. Where to look is set by TRADEWIND_TEST_POSTGRES_URL,
TRADEWIND_TEST_MYSQL_URL, TRADEWIND_TEST_REDIS_URL and TRADEWIND_TEST_RABBITMQ_URL (the database in them is
only the one to connect to first); without them, the usual ports of this machine are tried. A server that
does not answer skips the test with the reason, or fails it when TRADEWIND_TEST_REQUIRE_SERVICES=1.
"""

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final, NoReturn
from urllib.parse import urlsplit

import pytest
from pymysql.cursors import Cursor

ANSWER_SECONDS: Final = 3
"""How long a server may take to accept a connection before it counts as absent."""

POSTGRES_DEFAULT_URL: Final = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
MYSQL_DEFAULT_URLS: Final = (
    "mysql+pymysql://root@127.0.0.1:3306/?charset=utf8mb4",
    "mysql+pymysql://root@localhost/?charset=utf8mb4&unix_socket=/run/mysqld/mysqld.sock",
)
REDIS_DEFAULT_URL: Final = "redis://127.0.0.1:6379/0"
RABBITMQ_DEFAULT_URL: Final = "amqp://guest:guest@127.0.0.1:5672//"

_numbers = itertools.count(1)


def services_required() -> bool:
    """Say whether an absent server is a failure (in CI) and not a skip (on a laptop)."""
    return os.environ.get("TRADEWIND_TEST_REQUIRE_SERVICES", "") not in {"", "0"}


def unavailable(service: str, variable: str, reason: str) -> NoReturn:
    """Skip the running test, or fail it when services are required, saying what to set."""
    message = f"{service} does not answer ({reason}). Start it, or say where it is in {variable}."
    if services_required():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def fresh_database_name() -> str:
    """Return a database name that no other test process of this machine uses now."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return f"tradewind_test_{os.getpid()}_{worker}_{next(_numbers)}"


# --- PostgreSQL ----------------------------------------------------------------------------------------


@contextmanager
def postgres_databases() -> Iterator[Callable[[], str]]:
    """Give a function that creates a PostgreSQL database and returns its URL; drop them all at the end."""
    import psycopg
    from sqlalchemy import make_url

    url = make_url(os.environ.get("TRADEWIND_TEST_POSTGRES_URL", POSTGRES_DEFAULT_URL))
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        server = psycopg.connect(plain, autocommit=True, connect_timeout=ANSWER_SECONDS)
    except psycopg.OperationalError as error:
        unavailable("PostgreSQL", "TRADEWIND_TEST_POSTGRES_URL", str(error).strip().splitlines()[-1])
    made: list[str] = []

    def create() -> str:
        name = fresh_database_name()
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        made.append(name)
        return url.set(database=name).render_as_string(hide_password=False)

    with closing(server):
        yield create
        for name in made:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """One empty PostgreSQL database, shared by the tests of this process."""
    with postgres_databases() as create:
        yield create()


@pytest.fixture
def new_postgres_url() -> Iterator[Callable[[], str]]:
    """Return a function that makes a fresh PostgreSQL database on every call."""
    with postgres_databases() as create:
        yield create


# --- MySQL and MariaDB ---------------------------------------------------------------------------------


@contextmanager
def mysql_databases() -> Iterator[Callable[[], str]]:
    """Give a function that creates a MySQL database and returns its URL; drop them all at the end."""
    import pymysql
    from sqlalchemy import make_url

    given = os.environ.get("TRADEWIND_TEST_MYSQL_URL")
    server, reasons = None, []
    for candidate in (given,) if given else MYSQL_DEFAULT_URLS:
        url = make_url(candidate)
        unix_socket = str(url.query["unix_socket"]) if "unix_socket" in url.query else None
        try:
            server = pymysql.connect(
                host=url.host or "127.0.0.1",
                port=url.port or 3306,
                user=url.username,
                password=url.password or "",
                connect_timeout=ANSWER_SECONDS,
                autocommit=True,
                unix_socket=unix_socket,
            )
            break
        except pymysql.MySQLError as error:
            reasons.append(str(error))
    if server is None:
        unavailable("MySQL", "TRADEWIND_TEST_MYSQL_URL", "; ".join(reasons))
    made: list[str] = []

    def create() -> str:
        name = fresh_database_name()
        with server.cursor() as cursor:
            # A killed test process may have left its database, and its number may come again. (DROP … IF
            # EXISTS would do, but warns when there is nothing to drop, and warnings are errors here.)
            cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (name,))
            if cursor.fetchone():
                cursor.execute(f"DROP DATABASE `{name}`")
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        made.append(name)
        return url.set(database=name).render_as_string(hide_password=False)

    with closing(server):
        yield create
        with server.cursor() as cursor:
            for name in made:
                _end_mysql_connections(cursor, name)
                cursor.execute(f"DROP DATABASE `{name}`")


def _end_mysql_connections(cursor: Cursor, database: str) -> None:
    """End connections that a failed test left open: their locks would make DROP DATABASE wait."""
    cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (database,))
    for (connection_id,) in cursor.fetchall():
        cursor.execute("KILL %s", (connection_id,))


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """One empty MySQL or MariaDB database, shared by the tests of this process."""
    with mysql_databases() as create:
        yield create()


@pytest.fixture
def new_mysql_url() -> Iterator[Callable[[], str]]:
    """Return a function that makes a fresh MySQL or MariaDB database on every call."""
    with mysql_databases() as create:
        yield create


# --- Brokers -------------------------------------------------------------------------------------------


def answers(url: str, default_port: int, greeting: bytes, expected: bytes) -> str | None:
    """Send a protocol's first bytes; return None when the answer starts as expected, else the reason."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or default_port)
    try:
        with socket.create_connection(address, timeout=ANSWER_SECONDS) as connection:
            connection.sendall(greeting)
            answer = connection.recv(64)
    except OSError as error:
        return f"{address[0]}:{address[1]}: {error}"
    return None if answer.startswith(expected) else f"{address[0]}:{address[1]} answered {answer!r}"


@pytest.fixture(scope="session")
def redis_url() -> str:
    """URL of a Redis server that answered; its keys are shared, so choose names of your own."""
    url = os.environ.get("TRADEWIND_TEST_REDIS_URL", REDIS_DEFAULT_URL)
    # "-NOAUTH" is an answer too: the password is in the URL, for the client to send.
    if reason := answers(url, 6379, b"PING\r\n", b"-NOAUTH" if urlsplit(url).password else b"+PONG"):
        unavailable("Redis", "TRADEWIND_TEST_REDIS_URL", reason)
    return url


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """URL of a RabbitMQ server that answered; its queues are shared, so choose names of your own."""
    url = os.environ.get("TRADEWIND_TEST_RABBITMQ_URL", RABBITMQ_DEFAULT_URL)
    # The header opens AMQP 0-9-1; a server that speaks it answers with a method frame (type 1).
    if reason := answers(url, 5672, b"AMQP\x00\x00\x09\x01", b"\x01"):
        unavailable("RabbitMQ", "TRADEWIND_TEST_RABBITMQ_URL", reason)
    return url
