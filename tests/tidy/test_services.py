"""The databases of tests.services are fresh, usable and gone afterwards."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tests import services


def tables_after_creating_one(url: str) -> list[str]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE boat (id INTEGER PRIMARY KEY)"))
    return inspect(engine).get_table_names()


@pytest.mark.services
def test_every_postgres_database_is_fresh(new_postgres_url: Callable[[], str]) -> None:
    first, second = new_postgres_url(), new_postgres_url()
    assert [tables_after_creating_one(first), tables_after_creating_one(second)] == [["boat"], ["boat"]]


@pytest.mark.services
def test_every_mysql_database_is_fresh(new_mysql_url: Callable[[], str]) -> None:
    first, second = new_mysql_url(), new_mysql_url()
    assert [tables_after_creating_one(first), tables_after_creating_one(second)] == [["boat"], ["boat"]]


@pytest.mark.services
def test_a_postgres_database_is_dropped_at_the_end_even_with_an_open_connection(postgres_url: str) -> None:
    with services.postgres_databases() as create:
        url = create()
        left_open = create_engine(url, poolclass=NullPool).connect()
    with pytest.raises(OperationalError, match="does not exist"):
        create_engine(url, poolclass=NullPool).connect()
    left_open.invalidate()
    left_open.close()


@pytest.mark.services
def test_a_mysql_database_is_dropped_at_the_end_even_with_an_open_transaction(mysql_url: str) -> None:
    with services.mysql_databases() as create:
        url = create()
        tables_after_creating_one(url)
        left_open = create_engine(url, poolclass=NullPool).connect()
        left_open.execute(text("SELECT * FROM boat"))
    with pytest.raises(OperationalError, match="Unknown database"):
        create_engine(url, poolclass=NullPool).connect()
    left_open.invalidate()
    left_open.close()


def test_an_absent_server_skips_and_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRADEWIND_TEST_REQUIRE_SERVICES", raising=False)
    monkeypatch.setenv("TRADEWIND_TEST_POSTGRES_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    with (
        pytest.raises(pytest.skip.Exception, match="Start it, or say where it is in TRADEWIND_TEST_POST"),
        services.postgres_databases(),
    ):
        pass


def test_an_absent_server_fails_where_services_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_TEST_REQUIRE_SERVICES", "1")
    monkeypatch.setenv("TRADEWIND_TEST_MYSQL_URL", "mysql+pymysql://nobody@127.0.0.1:1/")
    with (
        pytest.raises(pytest.fail.Exception, match="MySQL does not answer"),
        services.mysql_databases(),
    ):
        pass


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"+PONG\r\n", None), (b"-ERR unknown command\r\n", "answered b'-ERR unknown command\\r\\n'")],
)
def test_a_broker_is_recognised_by_its_own_protocol(answer: bytes, reason: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        port = listener.getsockname()[1]

        def serve() -> bytes:
            connection, _ = listener.accept()
            with connection:
                greeting = connection.recv(64)
                connection.sendall(answer)
            return greeting

        served = pool.submit(serve)
        result = services.answers(f"redis://127.0.0.1:{port}/0", 6379, b"PING\r\n", b"+PONG")
        assert served.result(timeout=5) == b"PING\r\n"
    assert result == (reason and f"127.0.0.1:{port} {reason}")
