"""A process that is killed while it commits loses nothing that was acknowledged and leaves nothing half done."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tradewind.metastore import SqlMetastore, connect
from tradewind.testing.conformance.metastore_rows import add_queued

WRITER = """
import sys
from tradewind.domain.records import Batch, EventRow, Guard, InstanceWrite
from tradewind.domain.states import TaskState
from tradewind.metastore import connect
from tradewind.testing.conformance.metastore_rows import changed

store = connect(sys.argv[1])
rows = list(store.active_runs()[0].instances)
while True:
    rows = [changed(row, token=row.token + 1) for row in rows]
    writes = tuple(InstanceWrite(row=row, guard=Guard(TaskState.QUEUED, row.token - 1)) for row in rows)
    events = tuple(EventRow(kind="k", data={"token": row.token}) for row in rows)
    print(store.commit(Batch(instances=writes, events=events)).last_event_id, flush=True)
"""
ROWS = 20
KILLS = 3


def kill_after(url: str, lines: int) -> int:
    """Start a writer, kill it after some commits; return the last id it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _n in range(lines):
            assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().splitlines(keepends=True)
        assert writer.wait(30) == -signal.SIGKILL
        whole = [line for line in rest if line.endswith("\n")]
        return int(whole[-1]) if whole else 0


def wait_for_the_last_commit(store: SqlMetastore) -> None:
    """A server may still be writing what the killed process had sent; it holds the counter until then."""
    sql = "SELECT value FROM sequence WHERE name = 'event'"
    store._session.write(lambda tx: tx.one(sql + tx.dialect.update_lock))


@pytest.mark.chaos
def test_kill_9_while_committing(sql_store: SqlMetastore, request: pytest.FixtureRequest) -> None:
    kind = sql_store._session.dialect.kind
    url = request.getfixturevalue(
        {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mysql": "mysql_url"}[kind]
    )
    ids = [row.id for row in add_queued(sql_store, ROWS).instances]
    seen = sql_store.last_event_id()
    for kill in range(KILLS):
        acknowledged = kill_after(url, 5 + kill)
        store = connect(url)
        wait_for_the_last_commit(store)
        events = store.events_after(seen, 100_000)
        assert [event.id for event in events] == list(range(seen + 1, seen + 1 + len(events)))
        assert acknowledged <= store.last_event_id()
        tokens = {row.token for row in store.instances(ids)}
        assert len(events) % ROWS == 0
        assert tokens == {1 + len(events) // ROWS}
        assert [event.data["token"] for event in events][-1] == tokens.pop()
        store.close()
    if kind == "sqlite":
        assert sql_store._session.query(lambda tx: tx.all("PRAGMA integrity_check")) == [("ok",)]
