"""Conformance under concurrency: several connections at once, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from tradewind.domain.records import Batch, Committed, EventRow, InstanceRow, LostRace, RunWrite, Term
from tradewind.domain.states import TaskState
from tradewind.errors import StaleTermError
from tradewind.ports.metastore import Metastore
from tradewind.testing.conformance.metastore_rows import (
    add_dag,
    add_queued,
    changed,
    committed,
    dag_spec,
    event,
    insert,
    instance_row,
    replace,
    run_row,
    save,
)

T = TypeVar("T")

DEADLINE_SECONDS: Final = 60.0
WRITERS: Final = 50


def at_once(store: Metastore, works: Sequence[Callable[[Metastore], T]]) -> list[T]:
    """Run each work in a thread with a clone of its own, all starting together; return their results in order."""
    barrier = threading.Barrier(len(works))

    def started(work: Callable[[Metastore], T]) -> T:
        clone = store.clone()
        try:
            clone.now()  # the connection is open before the race begins
            barrier.wait(DEADLINE_SECONDS)
            return work(clone)
        finally:
            clone.close()

    with ThreadPoolExecutor(len(works)) as threads:
        futures = [threads.submit(started, work) for work in works]
        return [future.result(DEADLINE_SECONDS) for future in futures]


class ConcurrencyConformance:
    """Races between connections; ``store`` is a fixture, empty and fresh."""

    def test_of_two_claimers_one_wins(self, store: Metastore) -> None:
        rows = add_queued(store, 10).instances
        for row in rows:

            def claim(clone: Metastore, worker: str, row: InstanceRow = row) -> object:
                write = changed(replace(row, state=TaskState.RUNNING, worker=worker), lease_seconds=60.0)
                return clone.commit(Batch(instances=(write,), events=(event("task.running"),)))

            results = at_once(
                store, [lambda c: claim(c, "a"), lambda c: claim(c, "b"), lambda c: claim(c, "c")]
            )
            winners = [n for n, result in enumerate(results) if isinstance(result, Committed)]
            losers = [result for result in results if not isinstance(result, Committed)]
            assert len(winners) == 1
            assert losers == [LostRace(instances=(row.id,))] * 2
            (found,) = store.instances([row.id])
            assert found.worker == "abc"[winners[0]]
        assert [e.kind for e in store.events_after(0, 100) if e.kind != "dag.added"] == ["task.running"] * 10

    def test_of_two_overlapping_batches_one_wins_whole(self, store: Metastore) -> None:
        rows = add_queued(store, 40).instances

        def cancel(clone: Metastore, some: Sequence[InstanceRow], reason: str) -> object:
            writes = tuple(replace(row, state=TaskState.CANCELLED, reason=reason) for row in some)
            return clone.commit(Batch(instances=writes))

        results = at_once(
            store, [lambda c: cancel(c, rows[:25], "a"), lambda c: cancel(c, rows[:14:-1], "b")]
        )
        assert sorted(isinstance(result, Committed) for result in results) == [False, True]
        reasons = [row.reason for row in store.instances([row.id for row in rows])]
        first = isinstance(results[0], Committed)
        assert reasons == (["a"] * 25 + [""] * 15 if first else [""] * 15 + ["b"] * 25)

    def test_of_many_leaders_one_leads(self, store: Metastore) -> None:
        for shard in ("one", "two"):

            def stand(clone: Metastore, holder: str, shard: str = shard) -> Term | None:
                return clone.acquire_term(shard, holder, 60.0)

            terms = at_once(store, [lambda c, n=n: stand(c, f"holder-{n}") for n in range(6)])  # type: ignore[misc]
            leaders = [term for term in terms if term is not None]
            assert [term.number for term in leaders] == [1]
            found = store.leader(shard)
            assert found is not None
            assert found[0] == leaders[0]

    def test_no_commit_of_an_old_term_lands_after_the_new_one(self, store: Metastore) -> None:
        old = store.acquire_term("main", "old", -1.0)
        assert old is not None
        under_way = threading.Event()

        def lead(clone: Metastore) -> int:
            for n in range(100_000):
                try:
                    clone.commit(Batch(events=(event("old"),)), term=old)
                except StaleTermError:
                    return n
                under_way.set()
            raise AssertionError("the old term was never refused")

        def take_over(clone: Metastore) -> int:
            assert under_way.wait(DEADLINE_SECONDS)
            new = clone.acquire_term("main", "new", 60.0)
            assert new is not None
            return committed(clone.commit(Batch(events=(event("new"),)), term=new)).last_event_id

        written, taken_over_at = at_once(store, [lead, take_over])
        kinds = [row.kind for row in store.events_after(0, 200_000)]
        assert kinds == ["old"] * written + ["new"]
        assert taken_over_at == written + 1

    def test_of_two_schedulers_one_makes_the_tick(self, store: Metastore) -> None:
        dag = add_dag(store)
        ticks = 10
        for n in range(1, ticks + 1):

            def make(clone: Metastore, n: int = n) -> object:
                (pk,) = clone.allocate_run_pks(1)
                run = run_row(pk, dag, tick=run_row(n, dag).tick, run_id=f"scheduled__{n}")
                batch = Batch(runs=(RunWrite(row=run),), instances=(insert(instance_row(pk)),))
                return clone.commit(batch)

            results = at_once(store, [make, make])
            assert sorted(type(result).__name__ for result in results) == ["Committed", "LostRace"]
            (lost,) = (result for result in results if isinstance(result, LostRace))
            assert len(lost.duplicate_runs) == 1
        assert len(store.active_runs()) == ticks

    def test_fifty_writers_wait_their_turn(self, store: Metastore) -> None:
        rows = add_queued(store, WRITERS).instances
        seen = store.last_event_id()
        each = 4

        def work(clone: Metastore, row: InstanceRow) -> None:
            for state in (
                TaskState.RUNNING,
                TaskState.UP_FOR_RESCHEDULE,
                TaskState.SCHEDULED,
                TaskState.QUEUED,
            ):
                token = row.token + (state is TaskState.QUEUED)
                write = replace(row, state=state, token=token)
                committed(clone.commit(Batch(instances=(write,), events=(event(instance_id=row.id),))))
                row = write.row

        at_once(store, [lambda c, row=row: work(c, row) for row in rows])  # type: ignore[misc]
        assert [row.token for row in store.instances([row.id for row in rows])] == [2] * WRITERS
        ids = [row.id for row in store.events_after(seen, 10_000)]
        assert ids == list(range(seen + 1, seen + 1 + each * WRITERS))

    def test_run_keys_of_many_are_their_own(self, store: Metastore) -> None:
        blocks = at_once(store, [lambda c: [c.allocate_run_pks(7) for _n in range(5)]] * 6)
        keys = [key for block in blocks for keys in block for key in keys]
        assert len(keys) == len(set(keys)) == 6 * 5 * 7

    def test_a_reader_never_finds_an_event_behind_it(self, store: Metastore) -> None:
        commits, writers = 40, 3
        total = commits * writers * 2

        def write(clone: Metastore) -> list[EventRow]:
            for _n in range(commits):
                committed(clone.commit(Batch(events=(event("a"), event("b")))))
            return []

        def read(clone: Metastore) -> list[EventRow]:
            seen: list[EventRow] = []
            while len(seen) < total:
                seen += clone.events_after(seen[-1].id if seen else 0, 1_000)
            return seen

        *_written, found = at_once(store, [write] * writers + [read])
        assert [row.id for row in found] == list(range(1, total + 1))
        assert found == store.events_after(0, total + 1)

    def test_a_deadlock_storm_ends(self, store: Metastore) -> None:
        rows = add_queued(store, 12).instances
        ids = [row.id for row in rows]
        storms, rounds = 5, 6

        def storm(clone: Metastore, n: int) -> int:
            races = 0
            for turn in range(rounds):
                while True:
                    order = ids[(n + turn) % 12 :] + ids[: (n + turn) % 12]
                    found = {row.id: row for row in clone.instances(ids)}
                    picked = [found[row_id] for row_id in (order if n % 2 else reversed(order))]
                    writes = tuple(replace(row, token=row.token + 1) for row in picked)
                    # Rows in two statements, so that the order of ids does not order the whole batch.
                    split = tuple(
                        changed(w, lease_seconds=1.0) if m % 3 == 0 else w for m, w in enumerate(writes)
                    )
                    if isinstance(clone.commit(Batch(instances=split, events=(event(),))), Committed):
                        break
                    races += 1
            return races

        at_once(store, [lambda c, n=n: storm(c, n) for n in range(storms)])  # type: ignore[misc]
        assert {row.token for row in store.instances(ids)} == {1 + storms * rounds}

    def test_two_parsers_save_one_new_file(self, store: Metastore) -> None:
        for name in ("a", "b", "c"):

            def parse(clone: Metastore, name: str = name) -> tuple[str, int, bool]:
                return save(clone, dag_spec(name))

            first, second = at_once(store, [parse, parse])
            assert first[:2] == second[:2]
            assert sorted([first[2], second[2]]) == [False, True]
            assert len(store.versions(name)) == 1
