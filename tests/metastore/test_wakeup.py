"""Hints arrive at the others, never at oneself, never block, and survive vanished listeners."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradewind.domain.records import Batch
from tradewind.errors import ConfigError
from tradewind.metastore import connect
from tradewind.metastore.url import parse_url
from tradewind.metastore.wakeup import PostgresWakeup, SilentWakeup, SocketWakeup, wakeup_for
from tradewind.ports.wakeup import Wakeup
from tradewind.testing.conformance.metastore_rows import committed, event

DEADLINE_SECONDS = 10.0


def hinted(wakeup: Wakeup, seconds: float = DEADLINE_SECONDS) -> bool:
    """Say whether a hint is there within ``seconds``, and consume it."""
    descriptor = wakeup.fileno()
    assert descriptor is not None
    ready, _, _ = select.select([descriptor], [], [], seconds)
    wakeup.drain()
    return bool(ready)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[SocketWakeup, SocketWakeup]]:
    first, second = SocketWakeup(tmp_path / "run", "a"), SocketWakeup(tmp_path / "run", "b")
    yield first, second
    first.close()
    second.close()


def test_a_hint_reaches_the_others_only(two: tuple[SocketWakeup, SocketWakeup]) -> None:
    first, second = two
    first.notify()
    assert hinted(second)
    assert not hinted(second, 0)
    assert not hinted(first, 0)


def test_many_hints_are_one_wake(two: tuple[SocketWakeup, SocketWakeup]) -> None:
    first, second = two
    for _n in range(10_000):  # more than any queue holds: it neither blocks nor raises
        first.notify()
    assert hinted(second)
    assert not hinted(second, 0)


def test_one_that_only_notifies_has_no_descriptor(
    two: tuple[SocketWakeup, SocketWakeup], tmp_path: Path
) -> None:
    first, second = two
    quiet = SocketWakeup(tmp_path / "run")
    assert quiet.fileno() is None
    quiet.notify()
    assert hinted(first)
    assert hinted(second)
    quiet.close()
    quiet.notify()
    quiet.close()


def test_sockets_of_the_dead_are_swept(two: tuple[SocketWakeup, SocketWakeup], tmp_path: Path) -> None:
    first, second = two
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "run" / "wake-dead.sock"))
    dead.close()
    first.notify()
    assert hinted(second)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["wake-a.sock", "wake-b.sock"]
    successor = SocketWakeup(tmp_path / "run", "b")  # the same name again, after a kill
    first.notify()
    assert hinted(successor)
    successor.close()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["wake-a.sock"]


def test_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 200) / "run"
    listener, sender = SocketWakeup(folder, "a"), SocketWakeup(folder)
    sender.notify()
    assert hinted(listener)
    listener.close()
    sender.close()


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot make the socket"):
        SocketWakeup(tmp_path, "a/b")


def test_a_commit_on_sqlite_wakes_others(two: tuple[SocketWakeup, SocketWakeup], sqlite_url: str) -> None:
    first, second = two
    store = connect(sqlite_url, create=True, wakeup=first)
    committed(store.commit(Batch()))
    assert not hinted(second, 0)
    committed(store.commit(Batch(events=(event(),))))
    assert hinted(second)
    store.set_pool("io", 3, "", actor="a")
    assert hinted(second)
    store.close()


@pytest.mark.services
def test_a_commit_on_postgres_wakes_listeners(postgres_url: str, tmp_path: Path) -> None:
    store = connect(postgres_url, create=True)
    listener = wakeup_for(postgres_url, tmp_path, "a")
    assert isinstance(listener, PostgresWakeup)
    committed(store.commit(Batch(events=(event(),))))
    assert hinted(listener)
    store.set_pool("io", 3, "", actor="a")
    assert hinted(listener)
    term = store.acquire_term("wakeup", "scheduler", 60.0)
    committed(store.commit(Batch(events=(event(),)), term=term))
    assert not hinted(listener, 0)  # the leader needs no hint of its own commits
    other = PostgresWakeup(parse_url(postgres_url))
    other.notify()
    assert hinted(listener)
    assert not hinted(listener, 0)
    for channel in (other, listener):
        channel.close()
        channel.notify()
        channel.drain()
    store.close()


@pytest.mark.services
def test_a_broken_listener_connects_again(postgres_url: str) -> None:
    import psycopg

    listener = PostgresWakeup(parse_url(postgres_url))
    backend = listener._connection.info.backend_pid
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))
        assert hinted(listener)  # the end of the connection wakes too
        assert listener.fileno() is not None
        other.execute("NOTIFY tradewind")
        assert hinted(listener)
    listener.close()


def test_the_channel_fits_the_database(tmp_path: Path) -> None:
    sqlite = wakeup_for(f"sqlite:///{tmp_path}/x.db", tmp_path, "a")
    assert isinstance(sqlite, SocketWakeup)
    sqlite.close()
    silent = wakeup_for("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    assert isinstance(silent, SilentWakeup)
    assert silent.fileno() is None
    silent.notify()
    silent.drain()
    silent.close()
