"""Conformance of the one write: what is written, what each guard refuses, and that nothing is written then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tradewind.domain.records import (
    AttemptRow,
    Batch,
    DagWrite,
    EventRow,
    Guard,
    InstanceRow,
    InstanceWrite,
    LostRace,
    RunSnapshot,
    RunWrite,
    XComWrite,
    instance_id,
)
from tradewind.domain.states import RunState, TaskState
from tradewind.errors import StaleTermError
from tradewind.ports.metastore import Metastore
from tradewind.testing.conformance.metastore_rows import (
    AT,
    HOUR,
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
    run_row,
)

NASTY = "quote ' \" ` back\\slash %s ? %% :x 😀 \u0001 \n é e\u0301"
FULL_INSTANCE = InstanceRow(
    id=0,
    run_pk=0,
    task_id="group.tâche_😀",
    map_index=(3, 0, 199_999),
    state=TaskState.SCHEDULED,
    token=2**40,
    try_number=3,
    tries_max=7,
    losses=4,
    wake_at=AT + timedelta(microseconds=1),
    lengths={"return_value": 5, "😀": 0},
    branch=("load", "autre_é"),
    skip_all_downstream=True,
    reason=NASTY,
    queued_at=AT - HOUR,
    started_at=AT,
    ended_at=AT + HOUR,
    first_started_at=AT + timedelta(microseconds=999_999),
    worker="host-1",
    executor="local",
    queue="gpu",
    pool="io",
    pool_slots=3,
    priority=-(2**40),
    held=True,
    label="région 😀",
    resume={"method": "resume", "event": [1, None, {"a": "😀"}]},
)


def _one_lost(result: object, instance: int) -> None:
    assert result == LostRace(instances=(instance,))


class CommitConformance:
    """Cases of :meth:`~tradewind.ports.metastore.Metastore.commit`; ``store`` is a fixture, empty and fresh."""

    def test_every_field_of_a_run_comes_back(self, store: Metastore) -> None:
        dag = add_dag(store)
        row = run_row(
            7,
            dag,
            run_id="manual__2026-01-01T06:00:00.000001+00:00_2",
            state=RunState.QUEUED,
            logical_date=AT + timedelta(microseconds=1),
            tick=None,
            conf={"region": "eu", "emoji": "😀", "deep": [1, 2.5, None, True]},
            params={"x": 1},
            priority=-3,
            queued_at=AT,
            started_at=AT + HOUR,
            ended_at=AT + 2 * HOUR,
            triggered_by="cli:anna 😀",
            note=NASTY,
            reason="because é",
            clear_number=4,
            instances=5,
            retries_used={"": 1, "load[3]": 2},
        )
        committed(store.commit(Batch(runs=(RunWrite(row=row),))))
        found = store.run(7)
        assert found == RunSnapshot(run=row, instances=())
        assert store.find_run(dag.dag_id, row.run_id) == row

    def test_every_field_of_an_instance_comes_back(self, store: Metastore) -> None:
        snapshot = add_run(store, add_dag(store), FULL_INSTANCE)
        expected = changed(FULL_INSTANCE, id=instance_id(snapshot.run.pk, 0), run_pk=snapshot.run.pk)
        assert snapshot.instances == (expected,)

    def test_a_replaced_instance_keeps_nothing_of_the_old_one(self, store: Metastore) -> None:
        (full,) = add_run(store, add_dag(store), FULL_INSTANCE).instances
        bare = InstanceRow(
            id=full.id, run_pk=full.run_pk, task_id=full.task_id, map_index=full.map_index, token=full.token
        )
        write = InstanceWrite(row=bare, guard=Guard(full.state, full.token))
        committed(store.commit(Batch(instances=(write,))))
        assert store.instances([full.id]) == [bare]

    def test_text_no_database_can_keep_is_made_visible(self, store: Metastore) -> None:
        (row,) = add_run(store, add_dag(store), count=1).instances
        broken = replace(row, reason="nul \0 lone \ud800", label="\0")
        committed(store.commit(Batch(instances=(broken,))))
        assert store.instances([row.id]) == [changed(row, reason="nul ␀ lone ?", label="␀")]

    def test_text_that_is_too_long_is_cut(self, store: Metastore) -> None:
        (row,) = add_run(store, add_dag(store), count=1).instances
        committed(store.commit(Batch(instances=(replace(row, reason="😀" * 20_000),))))
        assert store.instances([row.id]) == [changed(row, reason="😀" * 15_999 + "…")]
        store.save_import_error("a.py", "é" * 20_000, 1, "x" * 300_000, now=AT)
        ((_file, _line, message, traceback, _since),) = store.import_errors()
        assert (message, traceback) == ("é" * 15_999 + "…", "x" * 199_999 + "…")

    def test_an_empty_batch_changes_nothing(self, store: Metastore) -> None:
        before = everything(store)
        assert committed(store.commit(Batch())).last_event_id == 0
        assert everything(store) == before

    def test_run_and_instances_and_events_in_one_commit(self, store: Metastore) -> None:
        dag = add_dag(store)
        seen = store.last_event_id()
        run = run_row(1, dag)
        rows = tuple(instance_row(1, n) for n in range(3))
        events = (
            event("run.running", dag_id=dag.dag_id, run_pk=1),
            event("task.queued", instance_id=rows[0].id),
        )
        batch = Batch(runs=(RunWrite(row=run),), instances=tuple(map(insert, rows)), events=events)
        assert committed(store.commit(batch)).last_event_id == seen + 2
        assert store.active_runs() == [RunSnapshot(run=run, instances=rows)]

    def test_every_field_of_an_event_comes_back(self, store: Metastore) -> None:
        sent = EventRow(
            kind="task.failed",
            dag_id="sales",
            run_pk=2**40,
            run_id="manual__x",
            instance_id=2**60,
            task_id="load",
            map_index=(3, 1),
            actor="cli:anna 😀",
            data={"why": NASTY, "n": [1]},
            at=AT,
        )
        last = committed(store.commit(Batch(events=(sent, event())))).last_event_id
        first, second = store.events_after(last - 2, 10)
        assert first == changed(sent, id=last - 1)
        assert second.at is not None
        assert abs(second.at - store.now()) < timedelta(minutes=1)
        assert second == event(id=last, at=second.at)

    def test_events_are_read_in_pages(self, store: Metastore) -> None:
        last = committed(store.commit(Batch(events=tuple(event(f"k{n}") for n in range(7))))).last_event_id
        first = last - 7
        assert [row.kind for row in store.events_after(first, 3)] == ["k0", "k1", "k2"]
        assert [row.kind for row in store.events_after(first + 3, 10)] == ["k3", "k4", "k5", "k6"]
        assert store.events_after(last, 10) == []
        assert store.last_event_id() == last

    @pytest.mark.parametrize(
        "guard", [Guard(TaskState.RUNNING, 1), Guard(TaskState.QUEUED, 0), Guard(TaskState.QUEUED, 2)]
    )
    def test_a_wrong_guard_loses_and_nothing_is_written(self, store: Metastore, guard: Guard) -> None:
        good, bad = add_queued(store, 2).instances
        before = everything(store)
        batch = Batch(
            instances=(
                replace(good, state=TaskState.RUNNING),
                InstanceWrite(row=changed(bad, state=TaskState.RUNNING), guard=guard),
            ),
            attempts=(
                AttemptRow(instance_id=good.id, token=1, try_number=1, state=good.state, outcome="lost"),
            ),
            xcoms=(XComWrite(run_pk=good.run_pk, task_id="extract", map_index=(0,), key="k", value="1"),),
            events=(event(),),
        )
        _one_lost(store.commit(batch), bad.id)
        assert everything(store) == before

    def test_a_row_that_does_not_exist_loses(self, store: Metastore) -> None:
        (row,) = add_queued(store).instances
        missing = changed(row, id=row.id + 1)
        _one_lost(store.commit(Batch(instances=(replace(missing, state=TaskState.RUNNING),))), row.id + 1)

    def test_all_losers_are_named(self, store: Metastore) -> None:
        snapshot = add_queued(store, 4)
        wrong = [changed(row, token=9) for row in snapshot.instances[1:3]]
        batch = Batch(
            runs=(RunWrite(row=snapshot.run, guard=RunState.PAUSED),),
            instances=tuple(replace(row, state=TaskState.RUNNING) for row in [snapshot.instances[0], *wrong]),
            removed=((snapshot.instances[3].id, Guard(TaskState.NONE, 0)),),
        )
        assert store.commit(batch) == LostRace(
            instances=tuple(row.id for row in snapshot.instances[1:]), runs=(snapshot.run.pk,)
        )

    def test_an_equal_row_can_be_written_again(self, store: Metastore) -> None:
        snapshot = add_queued(store)
        (row,) = snapshot.instances
        batch = Batch(runs=(RunWrite(row=snapshot.run, guard=snapshot.run.state),), instances=(replace(row),))
        committed(store.commit(batch))
        assert store.run(snapshot.run.pk) == changed(snapshot, run=changed(snapshot.run, revision=1))

    def test_a_run_is_guarded_by_its_state(self, store: Metastore) -> None:
        snapshot = add_queued(store)
        ended = changed(snapshot.run, state=RunState.SUCCESS, ended_at=AT)
        assert store.commit(Batch(runs=(RunWrite(row=ended, guard=RunState.QUEUED),))) == LostRace(
            runs=(snapshot.run.pk,)
        )
        committed(store.commit(Batch(runs=(RunWrite(row=ended, guard=RunState.RUNNING),))))
        assert store.find_run(ended.dag_id, ended.run_id) == changed(ended, revision=1)
        assert store.active_runs() == []

    def test_what_was_decided_before_a_clear_loses(self, store: Metastore) -> None:
        snapshot = add_queued(store)
        cleared = changed(snapshot.run, clear_number=1)
        ended = changed(snapshot.run, state=RunState.SUCCESS)
        committed(store.commit(Batch(runs=(RunWrite(row=cleared, guard=RunState.RUNNING),))))
        assert store.commit(Batch(runs=(RunWrite(row=ended, guard=RunState.RUNNING),))) == LostRace(
            runs=(snapshot.run.pk,)
        )
        assert store.find_run(cleared.dag_id, cleared.run_id) == changed(cleared, revision=1)

    def test_what_was_decided_on_an_older_run_row_loses(self, store: Metastore) -> None:
        snapshot = add_queued(store)
        pk = snapshot.run.pk
        committed(store.commit(Batch(runs=(RunWrite(row=snapshot.run, guard=RunState.RUNNING),))))
        (row,) = snapshot.instances[:1]
        write = InstanceWrite(row=changed(row, reason="decided before"), guard=Guard(row.state, row.token))
        assert store.commit(Batch(instances=(write,), checks=((pk, 0),))) == LostRace(runs=(pk,))
        assert store.instances([row.id]) == [row]
        committed(store.commit(Batch(instances=(write,), checks=((pk, 1),))))

    def test_a_tick_makes_one_run(self, store: Metastore) -> None:
        dag = add_dag(store)
        first = run_row(1, dag)
        committed(store.commit(Batch(runs=(RunWrite(row=first),))))
        same_tick = run_row(2, dag, tick=first.tick)
        before = everything(store)
        batch = Batch(
            runs=(RunWrite(row=same_tick),), instances=(insert(instance_row(2)),), events=(event(),)
        )
        assert store.commit(batch) == LostRace(duplicate_runs=(2,))
        assert everything(store) == before
        committed(store.commit(Batch(runs=(RunWrite(row=changed(same_tick, tick=None)),))))
        committed(store.commit(Batch(runs=(RunWrite(row=run_row(3, dag, tick=None)),))))

    def test_a_run_id_is_given_once_per_dag(self, store: Metastore) -> None:
        dag, other = add_dag(store), add_dag(store, "stock")
        committed(store.commit(Batch(runs=(RunWrite(row=run_row(1, dag, run_id="x", tick=None)),))))
        again = RunWrite(row=run_row(2, dag, run_id="x", tick=None))
        assert store.commit(Batch(runs=(again,))) == LostRace(duplicate_runs=(2,))
        assert store.commit(Batch(runs=(RunWrite(row=run_row(1, dag, run_id="y", tick=None)),))) == LostRace(
            duplicate_runs=(1,)
        )
        committed(store.commit(Batch(runs=(RunWrite(row=run_row(3, dag, run_id="X", tick=None)),))))
        committed(store.commit(Batch(runs=(RunWrite(row=run_row(4, other, run_id="x", tick=None)),))))

    def test_only_the_duplicate_of_several_runs_is_named(self, store: Metastore) -> None:
        dag = add_dag(store)
        committed(store.commit(Batch(runs=(RunWrite(row=run_row(1, dag)),))))
        runs = (RunWrite(row=run_row(2, dag)), RunWrite(row=run_row(3, dag, tick=run_row(1, dag).tick)))
        assert store.commit(Batch(runs=runs)) == LostRace(duplicate_runs=(3,))
        assert [row.pk for row in store.list_runs()] == [1]

    def test_an_instance_is_inserted_once(self, store: Metastore) -> None:
        snapshot = add_run(store, add_dag(store), count=2)
        pk = snapshot.run.pk
        same_id = instance_row(pk, 0, map_index=(9,))
        same_name = instance_row(pk, 5, map_index=(1,))
        before = everything(store)
        _one_lost(store.commit(Batch(instances=(insert(same_id),))), same_id.id)
        result = store.commit(Batch(instances=(insert(instance_row(pk, 4)), insert(same_name))))
        _one_lost(result, same_name.id)
        assert everything(store) == before

    def test_new_rows_of_what_is_gone_lose(self, store: Metastore) -> None:
        dag = add_dag(store)
        ghost = changed(dag, dag_id="ghost")
        assert store.commit(Batch(runs=(RunWrite(row=run_row(1, ghost)),))) == LostRace(dags=("ghost",))
        assert store.commit(Batch(instances=(insert(instance_row(77)),))) == LostRace(runs=(77,))
        xcom = XComWrite(run_pk=78, task_id="extract", map_index=(), key="k", value="1")
        assert store.commit(Batch(xcoms=(xcom,))) == LostRace(runs=(78,))

    def test_placeholders_give_way_to_their_instances(self, store: Metastore) -> None:
        dag = add_dag(store)
        snapshot = add_run(store, dag, instance_row(0, map_index=()))
        (placeholder,) = snapshot.instances
        rows = tuple(instance_row(snapshot.run.pk, n, map_index=(n - 1,)) for n in (1, 2))
        gone = (placeholder.id, Guard(placeholder.state, placeholder.token))
        committed(store.commit(Batch(removed=(gone,), instances=tuple(map(insert, rows)))))
        assert store.run(snapshot.run.pk) == RunSnapshot(run=snapshot.run, instances=rows)
        _one_lost(store.commit(Batch(removed=(gone,))), placeholder.id)

    def test_a_name_can_move_from_a_removed_row_to_a_new_one(self, store: Metastore) -> None:
        snapshot = add_run(store, add_dag(store), count=1)
        (old,) = snapshot.instances
        new = instance_row(snapshot.run.pk, 8, map_index=old.map_index)
        committed(
            store.commit(Batch(removed=((old.id, Guard(old.state, old.token)),), instances=(insert(new),)))
        )
        assert store.run(snapshot.run.pk) == RunSnapshot(run=snapshot.run, instances=(new,))

    def test_attempts_are_archived_in_order(self, store: Metastore) -> None:
        (row,) = add_queued(store).instances
        second = AttemptRow(
            instance_id=row.id,
            token=2,
            try_number=2,
            state=TaskState.UP_FOR_RETRY,
            outcome="error",
            reason=NASTY,
            error={"type": "ValueError", "message": "😀", "frames": [{"file": "a.py", "line": 3}]},
            worker="host-1",
            queued_at=AT,
            started_at=AT + HOUR,
            ended_at=AT + 2 * HOUR,
            pid=2**31,
            exit_code=-9,
            signal=9,
            memory_max_bytes=2**40,
        )
        first = AttemptRow(
            instance_id=row.id, token=1, try_number=1, state=TaskState.UP_FOR_RETRY, outcome="error"
        )
        committed(store.commit(Batch(attempts=(second,))))
        committed(store.commit(Batch(attempts=(first,))))
        assert store.attempts(row.id) == [first, second]
        committed(store.commit(Batch(attempts=(changed(first, outcome="lost"),))))
        assert store.attempts(row.id) == [changed(first, outcome="lost"), second]
        assert store.attempts(row.id + 1) == []

    def test_xcoms_are_cleared_before_they_are_written(self, store: Metastore) -> None:
        (row, other) = add_queued(store, 2).instances

        def xcom(key: str, value: str, index: tuple[int, ...] = (0,), ref: str | None = None) -> XComWrite:
            return XComWrite(
                run_pk=row.run_pk, task_id="extract", map_index=index, key=key, value=value, store_ref=ref
            )

        committed(store.commit(Batch(xcoms=(xcom("a", "1"), xcom("b", "2"), xcom("a", '"other"', (1,))))))
        committed(store.commit(Batch(xcoms=(xcom("a", "3", ref="s3://x"),))))
        assert store.xcoms(row.run_pk, "extract") == [
            ((0,), "a", "3", "s3://x"),
            ((0,), "b", "2", None),
            ((1,), "a", '"other"', None),
        ]
        clear = ((row.run_pk, "extract", (0,)),)
        committed(store.commit(Batch(xcoms_cleared=clear, xcoms=(xcom("c", "4"),))))
        assert store.xcoms(row.run_pk, "extract") == [
            ((0,), "c", "4", None),
            ((1,), "a", '"other"', None),
        ]
        assert other.run_pk == row.run_pk

    def test_leases_are_database_time(self, store: Metastore) -> None:
        (row,) = add_queued(store).instances
        before = store.now()
        write = changed(replace(row, state=TaskState.RUNNING, lease_until_at=AT), lease_seconds=30.0)
        committed(store.commit(Batch(instances=(write,))))
        after = store.now()
        (running,) = store.instances([row.id])
        assert running.lease_until_at is not None
        slack = timedelta(milliseconds=1)  # of databases that count whole milliseconds
        assert before - slack <= running.lease_until_at - timedelta(seconds=30) <= after + slack
        assert running == changed(write.row, lease_until_at=running.lease_until_at)

    def test_only_a_running_instance_keeps_a_lease(self, store: Metastore) -> None:
        (row,) = add_queued(store).instances
        running = replace(row, state=TaskState.RUNNING, lease_until_at=AT)
        committed(store.commit(Batch(instances=(running,))))
        assert store.instances([row.id]) == [running.row]
        ended = replace(running.row, state=TaskState.SUCCESS, ended_at=AT)
        committed(store.commit(Batch(instances=(ended,))))
        assert store.instances([row.id]) == [changed(ended.row, lease_until_at=None)]

    def test_an_expired_lease_is_found_and_guards(self, store: Metastore) -> None:
        over, live, forever = add_queued(store, 3).instances
        writes = [
            changed(replace(over, state=TaskState.RUNNING), lease_seconds=-1.0),
            changed(replace(live, state=TaskState.RUNNING), lease_seconds=60.0),
            replace(forever, state=TaskState.RUNNING),
        ]
        committed(store.commit(Batch(instances=tuple(writes))))
        assert store.expired_leases(10) == [(over.id, 1)]
        assert store.expired_leases(0) == []
        lost = [changed(replace(w.row, state=TaskState.SCHEDULED), lease_expired=True) for w in writes]
        assert store.commit(Batch(instances=tuple(lost))) == LostRace(instances=(live.id, forever.id))
        committed(store.commit(Batch(instances=(lost[0],))))
        assert store.expired_leases(10) == []

    def test_a_heartbeat_extends_and_names_the_stale(self, store: Metastore) -> None:
        first, second, queued = add_queued(store, 3).instances
        writes = [changed(replace(r, state=TaskState.RUNNING), lease_seconds=-1.0) for r in (first, second)]
        committed(store.commit(Batch(instances=tuple(writes))))
        assert store.expired_leases(10) == [(first.id, 1), (second.id, 1)]
        beats = [(second.id, 2), (first.id, 1), (queued.id, 1), (first.id + 999, 1)]
        assert store.heartbeat(beats, 60.0) == [(second.id, 2), (queued.id, 1), (first.id + 999, 1)]
        assert store.expired_leases(10) == [(second.id, 1)]
        assert store.heartbeat([(second.id, 1)], 60.0) == []
        assert store.heartbeat([], 60.0) == []
        assert store.expired_leases(10) == []

    def test_a_stale_term_writes_nothing(self, store: Metastore) -> None:
        old = store.acquire_term("main", "a", -1.0)
        new = store.acquire_term("main", "b", 60.0)
        assert old is not None
        assert new is not None
        (row,) = add_queued(store).instances
        batch = Batch(instances=(replace(row, state=TaskState.RUNNING),), events=(event(),))
        before = everything(store)
        with pytest.raises(
            StaleTermError, match=r"Term 1 of a over shard 'main' is over; b \(term 2\) leads now"
        ):
            store.commit(batch, term=old)
        with pytest.raises(StaleTermError, match="nobody leads now"):
            store.commit(batch, term=changed(old, shard="other"))
        assert everything(store) == before
        committed(store.commit(batch, term=new))

    def test_a_tick_moves_the_cursor_it_saw(self, store: Metastore) -> None:
        dag = add_dag(store)
        moved = changed(dag, cursor_at=AT, next_run_at=AT + HOUR)
        committed(store.commit(Batch(dags=(DagWrite(row=moved),))))
        assert store.dag_row(dag.dag_id) == moved
        later = changed(moved, cursor_at=AT + HOUR)
        assert store.commit(Batch(dags=(DagWrite(row=later),))) == LostRace(dags=(dag.dag_id,))
        committed(store.commit(Batch(dags=(DagWrite(row=later, guard_cursor_at=AT),))))
        assert store.dag_row(dag.dag_id) == later

    def test_a_tick_cannot_undo_a_pause(self, store: Metastore) -> None:
        dag = add_dag(store)
        committed(store.commit(Batch(dags=(DagWrite(row=changed(dag, paused=True)),))))
        paused = changed(dag, paused=True, revision=1)
        assert store.dag_row(dag.dag_id) == paused
        tick = changed(dag, cursor_at=AT)
        assert store.commit(Batch(dags=(DagWrite(row=tick),))) == LostRace(dags=(dag.dag_id,))
        committed(store.commit(Batch(dags=(DagWrite(row=changed(paused, held=True)),))))
        assert store.dag_row(dag.dag_id) == changed(paused, held=True, revision=2)

    def test_a_dag_write_changes_only_what_scheduling_owns(self, store: Metastore) -> None:
        dag = add_dag(store)
        odd = changed(
            dag, file="other.py", version_id=99, version_number=9, retired=True, missing_since_at=AT
        )
        committed(store.commit(Batch(dags=(DagWrite(row=changed(odd, next_run_at=AT)),))))
        assert store.dag_row(dag.dag_id) == changed(dag, next_run_at=AT)
        ghost = DagWrite(row=changed(dag, dag_id="ghost"))
        assert store.commit(Batch(dags=(ghost,))) == LostRace(dags=("ghost",))

    def test_a_big_batch(self, store: Metastore) -> None:
        count = 5_000
        dag = add_dag(store)
        run = run_row(1, dag, instances=count)
        rows = tuple(instance_row(1, n) for n in range(count))
        events = tuple(event("task.none", instance_id=row.id) for row in rows)
        batch = Batch(runs=(RunWrite(row=run),), instances=tuple(map(insert, rows)), events=events)
        committed(store.commit(batch))
        queued = tuple(replace(row, state=TaskState.QUEUED, token=1, queued_at=AT) for row in reversed(rows))
        committed(store.commit(Batch(instances=queued)))
        expected = tuple(changed(row, state=TaskState.QUEUED, token=1, queued_at=AT) for row in rows)
        assert store.active_runs() == [RunSnapshot(run=run, instances=expected)]
        assert store.instances([row.id for row in reversed(rows)]) == list(expected)
        stale = changed(rows[2_500], token=1)
        lost = store.commit(Batch(instances=tuple(replace(row) for row in (*expected[:2_500], stale))))
        _one_lost(lost, stale.id)
