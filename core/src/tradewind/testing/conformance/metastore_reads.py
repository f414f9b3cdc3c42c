"""Conformance of reads, leadership and deletion."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from tradewind.domain.records import (
    AttemptRow,
    Batch,
    RunRow,
    RunSnapshot,
    RunType,
    RunWrite,
    Term,
    XComWrite,
)
from tradewind.domain.states import RunState, TaskState
from tradewind.errors import ConflictError, NotFoundError
from tradewind.ports.metastore import DagListing, Metastore
from tradewind.testing.conformance.metastore_rows import (
    AT,
    HOUR,
    add_dag,
    add_run,
    changed,
    committed,
    dag_spec,
    event,
    everything,
    instance_row,
    replace,
    save,
)


def _end(store: Metastore, snapshot: RunSnapshot, state: RunState = RunState.SUCCESS) -> RunRow:
    row = changed(snapshot.run, state=state, ended_at=snapshot.run.logical_date)
    committed(store.commit(Batch(runs=(RunWrite(row=row, guard=snapshot.run.state),))))
    return changed(row, revision=row.revision + 1)


class ReadConformance:
    """Cases of the reading and deleting verbs; ``store`` is a fixture, empty and fresh."""

    def test_a_new_metastore_is_empty(self, store: Metastore) -> None:
        assert [(pool.name, pool.slots) for pool in store.pools()] == [("default", 128)]
        assert store.active_runs() == []
        assert store.dags() == []
        assert store.list_runs() == []
        assert store.events_after(0, 10) == []
        assert store.last_event_id() == 0
        assert store.run(1) is None
        assert store.run_row(1) is None
        assert store.find_run("x", "y") is None
        assert store.leader("main") is None
        assert store.instances([1, 2]) == []
        assert store.instances([]) == []
        assert store.dag_row("x") is None
        assert store.import_errors() == []
        assert store.files() == {}
        assert store.components() == []
        assert store.dag_list() == []

    def test_now_is_utc_and_goes_on(self, store: Metastore) -> None:
        first, second = store.now(), store.now()
        assert first.tzinfo is UTC
        assert first <= second < first + timedelta(minutes=1)

    def test_run_keys_are_given_once(self, store: Metastore) -> None:
        first, second = store.allocate_run_pks(10), store.allocate_run_pks(1)
        assert (len(first), len(second)) == (10, 1)
        assert first.start >= 1
        assert second.start == first.stop
        with pytest.raises(ValueError, match="at least 1"):
            store.allocate_run_pks(0)

    def test_active_runs_come_whole_and_in_order(self, store: Metastore) -> None:
        dag, other = add_dag(store), add_dag(store, "stock")
        queued = add_run(store, dag, state=RunState.QUEUED)
        running = add_run(store, other, count=3)
        paused = add_run(store, dag, count=1, state=RunState.PAUSED)
        _end(store, add_run(store, dag, count=2))
        assert store.active_runs() == [queued, running, paused]

    def test_an_ended_run_is_still_read(self, store: Metastore) -> None:
        snapshot = add_run(store, add_dag(store), count=2)
        ended = _end(store, snapshot, RunState.FAILED)
        assert store.run(ended.pk) == RunSnapshot(run=ended, instances=snapshot.instances)
        assert store.run_row(ended.pk) == ended

    def test_previous_run(self, store: Metastore) -> None:
        dag, other = add_dag(store), add_dag(store, "stock")
        first = add_run(store, dag, count=2)
        add_run(store, other, logical_date=first.run.logical_date + HOUR / 2)
        manual = add_run(store, dag, run_type=RunType.MANUAL, logical_date=first.run.logical_date + HOUR)
        twin = add_run(
            store, dag, run_type=RunType.MANUAL, logical_date=manual.run.logical_date, run_id="manual__2"
        )
        add_run(store, dag, run_type=RunType.BACKFILL, logical_date=manual.run.logical_date + HOUR / 2)
        last = add_run(store, dag, logical_date=first.run.logical_date + 2 * HOUR)
        assert store.previous_run(last.run) == twin
        assert store.previous_run(twin.run) == first
        assert store.previous_run(first.run) is None

    def test_newest_success(self, store: Metastore) -> None:
        dag = add_dag(store)
        first = _end(store, add_run(store, dag))
        second = _end(store, add_run(store, dag))
        _end(store, add_run(store, dag), RunState.FAILED)
        last = add_run(store, dag).run
        assert store.newest_success(dag.dag_id, last.logical_date) == second
        assert store.newest_success(dag.dag_id, second.logical_date) == first
        assert store.newest_success(dag.dag_id, first.logical_date) is None
        assert store.newest_success("other", last.logical_date) is None

    def test_find_run_at(self, store: Metastore) -> None:
        dag = add_dag(store)
        first = add_run(store, dag).run
        twin = add_run(store, dag, logical_date=first.logical_date, run_id="manual__x").run
        assert store.find_run_at(dag.dag_id, first.logical_date) == twin
        assert store.find_run_at(dag.dag_id, first.logical_date + timedelta(microseconds=1)) is None

    def test_list_runs_pages_and_filters(self, store: Metastore) -> None:
        dag, other = add_dag(store), add_dag(store, "stock")
        runs = [add_run(store, dag if n % 2 else other).run for n in range(6)]
        failed = _end(store, RunSnapshot(run=runs[0], instances=()), RunState.FAILED)
        newest = [*reversed(runs[1:]), failed]
        assert store.list_runs() == newest
        assert store.list_runs(limit=2) == newest[:2]
        assert store.list_runs(limit=2, before_pk=newest[1].pk) == newest[2:4]
        assert store.list_runs(dag_id="stock") == [row for row in newest if row.dag_id == "stock"]
        assert store.list_runs(states=["failed", "success"]) == [failed]
        assert store.list_runs(dag_id="sales", states=["failed"]) == []
        assert store.list_runs(states=[]) == []

    def test_search_runs_by_prefix(self, store: Metastore) -> None:
        dag, other = add_dag(store), add_dag(store, "stock")
        names = ["manual__1", "manual__2", "manual%", "Manual__3", "backfill__1"]
        runs = [add_run(store, dag, run_id=name, tick=None).run for name in names]
        elsewhere = add_run(store, other, run_id="manual__1", tick=None).run
        assert store.search_runs("manual__") == [elsewhere, runs[1], runs[0]]
        assert store.search_runs("manual__", dag_id="sales", limit=1) == [runs[1]]
        assert store.search_runs("manual%") == [runs[2]]
        assert store.search_runs("x") == []

    def test_find_and_count_instances(self, store: Metastore) -> None:
        dag = add_dag(store)
        states = [TaskState.SUCCESS, TaskState.FAILED, TaskState.SUCCESS, TaskState.RUNNING]
        rows = [instance_row(0, n, state=state, ended_at=AT) for n, state in enumerate(states)]
        rows.append(instance_row(0, task_id="load", map_index=()))
        run = add_run(store, dag, *rows)
        add_run(store, dag, count=2)
        pk, found = run.run.pk, list(run.instances)
        assert store.find_instances(pk) == found
        assert store.find_instances(pk, states=["success"]) == [found[0], found[2]]
        assert store.find_instances(pk, task_id="load") == [found[4]]
        assert store.find_instances(pk, limit=2, after_id=found[1].id) == found[2:4]
        assert store.find_instances(pk, states=[]) == []
        assert store.find_instances(pk + 5) == []
        assert store.count_instances(pk) == {
            TaskState.NONE: 1,
            TaskState.RUNNING: 1,
            TaskState.SUCCESS: 2,
            TaskState.FAILED: 1,
        }

    def test_dags_are_listed_with_their_newest_run(self, store: Metastore) -> None:
        sales, stock = add_dag(store), add_dag(store, "stock")
        add_run(store, sales)
        ended = _end(store, add_run(store, sales))
        running = add_run(store, sales, state=RunState.QUEUED).run
        add_dag(store, "old")
        store.mark_missing(["old.py"], now=AT)
        store.retire_missing(AT + HOUR)
        assert store.dag_list() == [DagListing(dag=sales, last_run=running), DagListing(dag=stock)]
        assert store.count_active_runs() == {"sales": {RunState.QUEUED: 1, RunState.RUNNING: 1}}
        assert ended.state is RunState.SUCCESS

    # -- leadership -------------------------------------------------------------------------------------

    def test_leadership_is_held_by_one(self, store: Metastore) -> None:
        other = store.clone()
        try:
            first = store.acquire_term("main", "a", 60.0)
            assert first == Term(shard="main", holder="a", number=1, lease_seconds=60.0)
            assert other.acquire_term("main", "b", 60.0) is None
            assert other.acquire_term("other", "b", 60.0) == Term(
                shard="other", holder="b", number=1, lease_seconds=60.0
            )
            again = store.acquire_term("main", "a", 30.0)
            assert again is not None
            assert again == changed(first, number=2, lease_seconds=30.0)
            assert store.renew_term(first) is False
            assert store.renew_term(again) is True
            found = other.leader("main")
            assert found is not None
            assert found[0] == again
            assert timedelta(0) < found[1] - store.now() <= timedelta(seconds=30)
        finally:
            other.close()

    def test_an_expired_or_released_leadership_is_free(self, store: Metastore) -> None:
        expired = store.acquire_term("main", "a", -1.0)
        assert expired is not None
        second = store.acquire_term("main", "b", 60.0)
        assert second is not None
        assert second == Term(shard="main", holder="b", number=2, lease_seconds=60.0)
        store.release_term(expired)
        assert store.acquire_term("main", "c", 60.0) is None
        store.release_term(second)
        assert store.acquire_term("main", "c", 60.0) == Term(
            shard="main", holder="c", number=3, lease_seconds=60.0
        )
        assert store.renew_term(second) is False

    # -- deleting ---------------------------------------------------------------------------------------

    def test_delete_dag_takes_its_history_and_nothing_else(self, store: Metastore) -> None:
        kept = add_run(store, add_dag(store, "stock"), count=2)
        _version = save(store, dag_spec("sales"), b"# of sales")[1]
        dag = store.dag_row("sales")
        assert dag is not None
        before = everything(store)
        snapshot = add_run(store, dag, count=2)
        (row, _other) = snapshot.instances
        attempt = AttemptRow(
            instance_id=row.id, token=1, try_number=1, state=TaskState.FAILED, outcome="error"
        )
        xcom = XComWrite(run_pk=row.run_pk, task_id="extract", map_index=(0,), key="k", value="1")
        committed(store.commit(Batch(attempts=(attempt,), xcoms=(xcom,))))
        store.set_task_state(row.run_pk, "extract", (0,), {"a": "1"})
        store.set_rendered(row.id, 1, {"f": "x"})
        with pytest.raises(ConflictError, match=r'DAG "sales" has active runs \(scheduled__'):
            store.delete_dag("sales", actor="cli:anna")
        _end(store, snapshot)
        assert store.delete_dag("sales", actor="cli:anna") is True
        assert store.delete_dag("sales", actor="cli:anna") is False
        after = everything(store)
        assert after.runs == before.runs == [kept]
        assert after.dags == [dag for dag in before.dags if dag.dag_id == "stock"]
        assert store.dag_row("sales") is None
        assert store.versions("sales") == []
        assert store.attempts(row.id) == []
        assert store.xcoms(row.run_pk, "extract") == []
        assert store.task_state(row.run_pk, "extract", (0,)) == {}
        assert store.rendered(row.id) == {}
        assert (after.events[-1].kind, after.events[-1].dag_id, after.events[-1].actor) == (
            "dag.deleted",
            "sales",
            "cli:anna",
        )
        with pytest.raises(NotFoundError, match="no DAG version with id"):
            store.spec(_version)

    def test_clean_keeps_the_last_the_active_and_the_young(self, store: Metastore) -> None:
        dag, other = add_dag(store), add_dag(store, "stock")
        old = [add_run(store, dag, count=1) for _n in range(4)]
        for snapshot in old[:3]:
            _end(store, snapshot)
        young = add_run(store, dag)
        _end(store, young)
        last = add_run(store, dag)
        only = _end(store, add_run(store, other))
        before = young.run.logical_date
        none = store.clean(AT - 99 * HOUR, keep_last_per_dag=0, limit=10)
        assert set(none.values()) == {0}
        first = store.clean(before, keep_last_per_dag=1, limit=2)
        assert (first["run"], first["task_instance"]) == (2, 2)
        second = store.clean(before, keep_last_per_dag=1, limit=2)
        assert (second["run"], second["task_instance"]) == (1, 1)
        left = {run.pk for run in store.list_runs()}
        assert left == {old[3].run.pk, young.run.pk, last.run.pk, only.pk}

    def test_clean_takes_old_events_and_readers_go_on(self, store: Metastore) -> None:
        events = [event(f"k{n}", at=AT + n * HOUR) for n in range(5)]
        last = committed(store.commit(Batch(events=tuple(events)))).last_event_id
        counts = [store.clean(AT + 3 * HOUR, keep_last_per_dag=0, limit=limit)["event"] for limit in (2, 10)]
        assert counts == [2, 1]
        assert [row.kind for row in store.events_after(0, 10)] == ["k3", "k4"]
        assert [row.kind for row in store.events_after(last - 1, 10)] == ["k4"]
        assert store.last_event_id() == last
        store.clean(AT + 99 * HOUR, keep_last_per_dag=0, limit=10)
        assert store.last_event_id() == last
        assert committed(store.commit(Batch(events=(event(),)))).last_event_id == last + 1
        assert [row.id for row in store.events_after(0, 10)] == [last + 1]

    def test_rows_replaced_by_someone_else_are_seen(self, store: Metastore) -> None:
        other = store.clone()
        try:
            snapshot = add_run(store, add_dag(store), count=1)
            assert other.run(snapshot.run.pk) == snapshot
            (row,) = snapshot.instances
            write = replace(row, state=TaskState.SKIPPED, ended_at=AT)
            committed(store.commit(Batch(instances=(write,))))
            assert other.run(snapshot.run.pk) == RunSnapshot(run=snapshot.run, instances=(write.row,))
        finally:
            other.close()
