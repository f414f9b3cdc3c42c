"""A scheduler in miniature for tests: a strict store of rows, a world on it, and workers that do as told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tradewind.domain.decide import Decision, Dispatch, decide
from tradewind.domain.graph import Graph
from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.records import (
    AttemptRow,
    Batch,
    DagRow,
    EventRow,
    InstanceRow,
    MapIndex,
    PoolRow,
    RunRow,
    RunSnapshot,
    RunType,
    format_map_index,
    run_pk_of,
)
from tradewind.domain.spec import DagSpec, ExpandSpec, LiteralInput, RefInput, TaskSpec
from tradewind.domain.states import ACTIVE_RUN_STATES, TASK_EDGES, RunState, TaskState
from tradewind.domain.world import World

T0 = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
Behaviour = Callable[[str, MapIndex, int], Mapping[str, Any] | OutcomeKind]


def task(task_id: str, *upstream: str, **fields: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, operator="Test", upstream=tuple(sorted(upstream)), **fields)


def over(*sources: Any) -> ExpandSpec:
    """A mapping over literal lists, or over task ids."""
    return ExpandSpec(
        inputs=tuple(
            (f"a{i}", RefInput(task_id=s) if isinstance(s, str) else LiteralInput(value=s))
            for i, s in enumerate(sources)
        )
    )


def dag(*tasks: TaskSpec, dag_id: str = "d", **fields: Any) -> DagSpec:
    return DagSpec(dag_id=dag_id, file=f"{dag_id}.py", tasks=tasks, **fields)


_REACHABLE: dict[TaskState, set[TaskState]] = {state: {state} for state in TaskState}
for _ in TaskState:
    for _source, _target in TASK_EDGES:
        for _known in _REACHABLE.values():
            if _source in _known:
                _known.add(_target)


class Store:
    """Rows as a database would keep them; a batch is applied whole or raises."""

    def __init__(self) -> None:
        self.dags: dict[str, DagRow] = {}
        self.graphs: dict[int, Graph] = {}
        self.pools = {"default": PoolRow(name="default", slots=10_000)}
        self.runs: dict[int, RunRow] = {}
        self.instances: dict[int, InstanceRow] = {}
        self.attempts: list[AttemptRow] = []
        self.xcoms: dict[tuple[int, str, MapIndex], dict[str, str]] = {}
        self.events: list[EventRow] = []
        self.next_pk = 1
        self.checked = True

    def apply(self, batch: Batch) -> None:
        for write in batch.runs:
            old = self.runs.get(write.row.pk)
            assert (old.state if old else None) == write.guard, (old, write)
            if old is None:
                assert all(
                    (r.dag_id, r.run_id) != (write.row.dag_id, write.row.run_id) for r in self.runs.values()
                )
            if write.guard is not None:
                assert old is not None
                assert old.revision == write.row.revision
            self.runs[write.row.pk] = msgspec.structs.replace(
                write.row, revision=write.row.revision + (write.guard is not None)
            )
        seen = set()
        for removed, expected in batch.removed:
            gone = self.instances.pop(removed)
            assert (gone.state, gone.token) == expected
        for one in batch.instances:
            row, guard = one.row, one.guard
            assert row.id not in seen, "one write per row"
            seen.add(row.id)
            known = self.instances.get(row.id)
            if guard is None:
                assert known is None, (known, row)
                if self.checked:
                    assert row.run_pk == run_pk_of(row.id)
            else:
                assert known is not None, row
                assert (known.state, known.token) == guard, (known, guard)
                assert row.state in _REACHABLE[known.state]
            self.instances[row.id] = row
        for cleared in batch.xcoms_cleared:
            self.xcoms.pop(cleared, None)
        for xcom in batch.xcoms:
            self.xcoms.setdefault((xcom.run_pk, xcom.task_id, xcom.map_index), {})[xcom.key] = xcom.value
        for dag_write in batch.dags:
            assert self.dags[dag_write.row.dag_id].cursor_at == dag_write.guard_cursor_at
            self.dags[dag_write.row.dag_id] = dag_write.row
        self.attempts.extend(batch.attempts)
        self.events.extend(batch.events)

    def snapshot(self, pk: int) -> RunSnapshot:
        rows = sorted((r for r in self.instances.values() if r.run_pk == pk), key=lambda r: r.id)
        return RunSnapshot(run=self.runs[pk], instances=tuple(rows))

    def previous(self, pk: int) -> RunSnapshot | None:
        run = self.runs[pk]
        earlier = [
            r
            for r in self.runs.values()
            if r.dag_id == run.dag_id
            and r.logical_date < run.logical_date
            and r.run_type is not RunType.BACKFILL
        ]
        return self.snapshot(max(earlier, key=lambda r: r.logical_date).pk) if earlier else None


class Kernel:
    """The store, the world on it, and a clock that the test moves."""

    def __init__(self, *specs: DagSpec, slots: int = 10_000, **dag_fields: Any) -> None:
        self.store = Store()
        self.now = T0
        self.slots = slots
        self.queue: list[Dispatch] = []
        self.cancels: list[tuple[int, int, str]] = []
        self.started: list[str] = []
        self.decision = Decision(batch=Batch())
        for spec in specs:
            self.add_dag(spec, **dag_fields)
        self.world = self.rebuilt()

    def add_dag(self, spec: DagSpec, **fields: Any) -> None:
        version = len(self.store.graphs) + 1
        self.store.graphs[version] = Graph(spec)
        given = {"first_seen_at": T0, "version_number": 1, **fields}
        self.store.dags[spec.dag_id] = DagRow(dag_id=spec.dag_id, file=spec.file, version_id=version, **given)

    def rebuilt(self) -> World:
        """Return a new world from the rows alone."""
        world = World()
        for version, graph in self.store.graphs.items():
            world.put_version(version, graph)
        for row in self.store.dags.values():
            world.put_dag(row)
        world.set_pools(self.store.pools.values())
        world.set_capacity("local", self.slots, 1)
        self.give_pks(world, 100)
        for run in self.store.runs.values():
            if run.state in ACTIVE_RUN_STATES:
                world.load_run(self.store.snapshot(run.pk))
        return world

    def give_pks(self, world: World, count: int) -> None:
        world.run_pks(range(self.store.next_pk, self.store.next_pk + count))
        self.store.next_pk += count

    def trigger(self, dag_id: str = "d", **fields: Any) -> int:
        """Make a queued run as a user would; return its key."""
        pk = self.store.next_pk
        self.store.next_pk += 1
        at = fields.pop("at", self.now)
        row = RunRow(
            pk=pk,
            dag_id=dag_id,
            run_id=fields.pop("run_id", f"manual__{pk}"),
            version_id=self.store.dags[dag_id].version_id,
            run_type=fields.pop("run_type", RunType.MANUAL),
            state=RunState.QUEUED,
            logical_date=at,
            run_after=fields.pop("run_after", at),
            interval_start=at,
            interval_end=at,
            **fields,
        )
        self.store.runs[pk] = row
        self.world.sync_run(self.store.snapshot(pk))
        return pk

    # ---- the loop ------------------------------------------------------------------------------------

    def decide(self) -> Decision:
        decision = self.decision = decide(self.world, self.now)
        self.store.apply(decision.batch)
        self.queue.extend(decision.dispatches)
        self.cancels.extend(decision.cancels)
        if decision.need_run_pks:
            self.give_pks(self.world, decision.need_run_pks)
        for pk in decision.need_previous:
            self.world.set_previous(pk, self.store.previous(pk))
        return decision

    def settle(self) -> None:
        """Decide until nothing more follows at this moment."""
        for _ in range(1000):
            decision = self.decide()
            if not (decision.need_previous or decision.need_run_pks) and decision.wake_at != self.now:
                return
        raise AssertionError("the world does not come to rest")

    def claim(self, launch: Dispatch) -> bool:
        granted = self.world.claim(
            launch.instance_id, launch.token, "w1", f"c{launch.token}", self.now
        ).granted
        if granted:
            index = format_map_index(launch.map_index)
            self.started.append(launch.task_id + (f"[{index}]" if index else ""))
        return granted

    def report(self, launch: Dispatch, kind: OutcomeKind = OutcomeKind.SUCCESS, **fields: Any) -> str:
        outcome = Outcome(instance_id=launch.instance_id, token=launch.token, kind=kind, **fields)
        return self.world.report(outcome, self.now)

    def work(self, behaviour: Behaviour | None = None, limit: int | None = None) -> int:
        """Claim and end everything in the queue (or its first ``limit``); return how many ran."""
        taken = self.queue[:limit]
        del self.queue[: len(taken)]
        running = [launch for launch in taken if self.claim(launch)]
        self.settle()
        for launch in running:
            does = behaviour(launch.task_id, launch.map_index, launch.try_number) if behaviour else {}
            if isinstance(does, OutcomeKind):
                does = {"kind": does}
            self.report(launch, **does)
        self.settle()
        return len(running)

    def drain(
        self, behaviour: Behaviour | None = None, *, jumps: int = 100, limit: int | None = None
    ) -> None:
        """Work until the queue stays empty, jumping to the next wake-up up to ``jumps`` times."""
        self.settle()
        while True:
            while self.queue:
                self.work(behaviour, limit)
            wake_at = self.decision.wake_at
            if wake_at is None or jumps == 0 or not self.world.runs:
                return
            jumps -= 1
            self.now = max(wake_at, self.now)
            self.settle()

    # ---- what came of it -----------------------------------------------------------------------------

    def states(self, pk: int) -> dict[str, str]:
        """Return task[index] -> state."""
        rows = sorted(
            (r for r in self.store.instances.values() if r.run_pk == pk),
            key=lambda r: (r.task_id, r.map_index),
        )
        return {
            r.task_id + (f"[{format_map_index(r.map_index)}]" if r.map_index else ""): str(r.state)
            for r in rows
        }

    def run_state(self, pk: int) -> str:
        return str(self.store.runs[pk].state)

    def row(self, pk: int, task_id: str, *index: int) -> InstanceRow:
        (row,) = (
            r
            for r in self.store.instances.values()
            if (r.run_pk, r.task_id, r.map_index) == (pk, task_id, index)
        )
        return row

    def change(self, row: InstanceRow | RunRow, **fields: Any) -> None:
        """Change a row as a user would, and tell the world."""
        new = msgspec.structs.replace(row, **fields)
        if isinstance(new, InstanceRow):
            self.store.instances[new.id] = new
            self.world.sync_run(self.store.snapshot(new.run_pk))
        else:
            self.store.runs[new.pk] = new
            self.world.sync_run(self.store.snapshot(new.pk))


def by_task(table: Mapping[str, Any]) -> Behaviour:
    """A behaviour given as task id -> what it does; others succeed."""
    return lambda task_id, _index, _try: table.get(task_id, {})


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def names(rows: Iterable[Dispatch]) -> list[str]:
    return [row.task_id for row in rows]
