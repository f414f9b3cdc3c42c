"""The metastores a scenario can run on: in memory, and SQLite whose database time is virtual."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal, cast

from tradewind.domain.records import Batch, CommitResult, Committed, Term
from tradewind.metastore import schema
from tradewind.metastore.dialects.sqlite import SqliteDialect
from tradewind.metastore.instants import to_us
from tradewind.metastore.session import Session
from tradewind.metastore.store import SqlMetastore
from tradewind.metastore.url import parse_url
from tradewind.ports.clock import Clock
from tradewind.ports.metastore import Metastore
from tradewind.testing.memory import InMemoryMetastore
from tradewind.testing.simulation.auditor import Auditor

StoreKind = Literal["memory", "sqlite"]
MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 - scenarios leave nothing behind, and need no disk


class VirtualSqlite(SqliteDialect):
    """SQLite with the clock of the simulation. Nothing is synced: its crashes are crashes of processes."""

    now = "virtual_now()"

    def __init__(self, clock: Clock, path: Path) -> None:
        super().__init__(parse_url(f"sqlite:///{path}"), create=True)
        self._clock = clock

    def open(self) -> sqlite3.Connection:
        connection = super().open()
        connection.execute("PRAGMA synchronous = OFF")
        connection.create_function("virtual_now", 0, lambda: to_us(self._clock.now()))
        return connection


def open_store(kind: StoreKind, clock: Clock, house: ExitStack) -> Metastore:
    """Return an empty metastore that goes away with ``house``."""
    if kind == "memory":
        return InMemoryMetastore(clock)
    parent = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    folder = house.enter_context(tempfile.TemporaryDirectory(prefix="tradewind-", dir=parent))
    path = Path(folder) / "tradewind.db"
    dialect = VirtualSqlite(clock, path)
    schema.migrate(dialect, parse_url(f"sqlite:///{path}"))
    session = Session(dialect, pause=lambda _seconds: None, jitter=lambda: 0.5)
    store = SqlMetastore(session)
    house.callback(store.close)
    return store


class AuditedMetastore:
    """A metastore that shows the auditor everything it has written, and tells who else should hear of it."""

    def __init__(self, store: Metastore, auditor: Auditor, who: str, wrote: Callable[[str], None]) -> None:
        self._store = store
        self._auditor = auditor
        self._who = who
        self._wrote = wrote

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._store, name)
        self.__dict__[name] = verb
        return verb

    def commit(self, batch: Batch, *, term: Term | None = None) -> CommitResult:
        """Commit, and have it audited at once."""
        result = self._store.commit(batch, term=term)
        if isinstance(result, Committed):
            self._auditor.committed(self._who, batch, term)
            if batch.events:
                self._wrote(self._who)
        else:
            self._auditor.lost_race(self._who, result)
        return result

    def heartbeat(self, beats: Sequence[tuple[int, int]], lease_seconds: float) -> list[tuple[int, int]]:
        """Renew leases."""
        refused = self._store.heartbeat(beats, lease_seconds)
        self._auditor.heard(list(beats), refused, lease_seconds)
        return refused

    def acquire_term(self, shard: str, holder: str, lease_seconds: float) -> Term | None:
        """Try to lead."""
        term = self._store.acquire_term(shard, holder, lease_seconds)
        if term is not None:
            self._auditor.acquired(term)
        return term


def audited(store: Metastore, auditor: Auditor, who: str, wrote: Callable[[str], None]) -> Metastore:
    """Return the store as one party uses it."""
    return cast("Metastore", AuditedMetastore(store, auditor, who, wrote))
