"""What only the in-memory metastore has: a clock of its own and a check of every change of state."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tradewind.domain.records import Batch, Guard, InstanceRow, InstanceWrite
from tradewind.domain.states import TASK_EDGES, TaskState
from tradewind.errors import MetastoreError
from tradewind.testing.conformance.metastore_rows import (
    AT,
    add_dag,
    add_queued,
    add_run,
    changed,
    committed,
    event,
    everything,
    insert,
    instance_row,
    replace,
)
from tradewind.testing.memory import InMemoryMetastore
from tradewind.testing.memory.edges import COMMITTED_EDGES, check_edge


class HandClock:
    """A clock that moves when the test says so."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def test_leases_and_events_follow_the_clock() -> None:
    clock = HandClock()
    store = InMemoryMetastore(clock)
    (row,) = add_queued(store).instances
    write = changed(replace(row, state=TaskState.RUNNING), lease_seconds=30.0)
    last = committed(store.commit(Batch(instances=(write,), events=(event(),)))).last_event_id
    assert store.events_after(last - 1, 1) == [event(id=last, at=AT)]
    term = store.acquire_term("main", "a", 10.0)
    assert term is not None
    clock.at += timedelta(seconds=30)
    assert store.expired_leases(10) == []
    assert store.acquire_term("main", "b", 10.0) == changed(term, holder="b", number=2)
    clock.at += timedelta(microseconds=1)
    assert store.expired_leases(10) == [(row.id, 1)]


def test_a_batch_that_writes_one_row_twice_is_refused() -> None:
    store = InMemoryMetastore()
    run = add_run(store, add_dag(store)).run
    twice = (insert(instance_row(run.pk, 1)), insert(instance_row(run.pk, 1)))
    with pytest.raises(MetastoreError, match="contradicts itself"):
        store.commit(Batch(instances=twice))


def test_every_listed_edge_may_be_committed() -> None:
    missing = {(a, b) for a, b in TASK_EDGES if b not in COMMITTED_EDGES[a]}
    assert missing == set()


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        (TaskState.NONE, {"queued", "skipped", "upstream_failed", "success", "deferred"}),
        (TaskState.RUNNING, {"queued", "up_for_retry", "scheduled", "unknown", "none"}),
        (TaskState.FAILED, {"queued", "none"}),
    ],
)
def test_what_one_decision_chains_may_be_committed(source: TaskState, targets: set[str]) -> None:
    assert {TaskState(target) for target in targets} <= COMMITTED_EDGES[source]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (TaskState.NONE, TaskState.RUNNING),
        (TaskState.SCHEDULED, TaskState.RUNNING),
        (TaskState.SUCCESS, TaskState.RUNNING),
        (TaskState.UP_FOR_RETRY, TaskState.RUNNING),
        (TaskState.NONE, TaskState.UP_FOR_RETRY),
        (TaskState.SCHEDULED, TaskState.UP_FOR_RESCHEDULE),
        (TaskState.FAILED, TaskState.UNKNOWN),
        (TaskState.SUCCESS, TaskState.UP_FOR_RETRY),
    ],
)
def test_an_edge_nothing_explains_is_an_assertion(source: TaskState, target: TaskState) -> None:
    store = InMemoryMetastore(assert_edges=True)
    old = InstanceRow(id=1, run_pk=1, task_id="t", state=source, token=1)
    with pytest.raises(AssertionError, match=f"went from {source} to {target} in one commit"):
        check_edge(Guard(source, 1), changed(old, state=target, ended_at=AT))
    assert store.active_runs() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": TaskState.RUNNING, "token": 0}, "its token fell from 1 to 0"),
        ({"state": TaskState.RUNNING, "token": 2}, "runs under a token never queued"),
    ],
)
def test_tokens_are_asserted(changes: dict[str, object], message: str) -> None:
    store = InMemoryMetastore(assert_edges=True)
    (row,) = add_queued(store).instances
    before = everything(store)
    with pytest.raises(AssertionError, match=message):
        store.commit(Batch(instances=(replace(row, **changes),)))
    assert everything(store) == before
    committed(store.commit(Batch(instances=(replace(row, state=TaskState.RUNNING),))))


def test_a_queued_instance_needs_a_new_token() -> None:
    store = InMemoryMetastore(assert_edges=True)
    run = add_run(store, add_dag(store), count=1)
    (row,) = run.instances
    with pytest.raises(AssertionError, match="was queued under its old token 0"):
        store.commit(Batch(instances=(replace(row, state=TaskState.QUEUED),)))
    running = InstanceWrite(row=instance_row(run.run.pk, 7, state=TaskState.RUNNING, token=1))
    with pytest.raises(AssertionError, match="was inserted as running"):
        store.commit(Batch(instances=(running,)))
    committed(store.commit(Batch(instances=(replace(row, state=TaskState.QUEUED, token=1),))))
