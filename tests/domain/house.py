"""A scheduler's world over rows that are written as a metastore would, for tests of what acts lead to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from tradewind.domain.actions import (
    create_run,
)
from tradewind.domain.decide import decide
from tradewind.domain.graph import Graph
from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.records import (
    Batch,
    DagRow,
    InstanceRow,
    PoolRow,
    RunRow,
    RunSnapshot,
    format_map_index,
)
from tradewind.domain.spec import DagSpec, ExpandSpec, GroupSpec, RefInput, TaskSpec, TriggerRule
from tradewind.domain.states import (
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    TaskState,
)
from tradewind.domain.world import World

START = datetime(2026, 1, 1, 6, tzinfo=UTC)


class House:
    """A scheduler's world over rows that are written as a metastore would: with every guard checked."""

    def __init__(self, spec: DagSpec, slots: int = 100) -> None:
        self.graph = Graph(spec)
        self.graphs = {1: self.graph}
        self.dag = DagRow(
            dag_id=spec.dag_id, file=spec.file, version_id=1, version_number=1, first_seen_at=START
        )
        self.spec = spec
        self.now = START
        self.runs: dict[int, RunRow] = {}
        self.rows: dict[int, InstanceRow] = {}
        self.slots = slots
        self.cancels: list[tuple[int, int]] = []
        self.world = World()
        self.world.put_dag(self.dag, self.graph)
        self.world.set_pools([PoolRow(name="default", slots=slots)])
        self.world.set_capacity("local", 1000, 1)

    def write(self, batch: Batch) -> None:
        for write in batch.runs:
            before = self.runs.get(write.row.pk)
            assert (before.state if before else None) == write.guard
            self.runs[write.row.pk] = write.row
        for key, guard in batch.removed:
            assert (self.rows[key].state, self.rows[key].token) == guard
            del self.rows[key]
        for one in batch.instances:
            there = self.rows.get(one.row.id)
            assert (None if there is None else (there.state, there.token)) == one.guard
            self.rows[one.row.id] = one.row
        names = [(row.run_pk, row.task_id, row.map_index) for row in self.rows.values()]
        assert len(names) == len(set(names)), "two instances of one name"
        for run in self.runs.values():
            if run.state in TERMINAL_RUN_STATES:
                assert all(row.state in TERMINAL_TASK_STATES for row in self.of(run.pk)), (
                    "live in an ended run"
                )

    def of(self, run_pk: int = 1) -> tuple[InstanceRow, ...]:
        return tuple(row for row in self.rows.values() if row.run_pk == run_pk)

    def snapshot(self, run_pk: int = 1) -> RunSnapshot:
        return RunSnapshot(run=self.runs[run_pk], instances=self.of(run_pk))

    def act(self, batch: Batch, run_pk: int = 1) -> None:
        """Commit what a person does and tell the scheduler, as its loop would."""
        self.write(batch)
        self.world.sync_run(self.snapshot(run_pk))
        self.decide()

    def decide(self) -> None:
        decision = decide(self.world, self.now)
        self.cancels += [(instance, token) for instance, token, _ in decision.cancels]
        self.write(decision.batch)

    def trigger(self, pk: int = 1) -> None:
        self.act(create_run(self.dag, self.spec, pk=pk, now=self.now, actor="anna", run_id=f"r{pk}"), pk)

    def named(self, wanted: str, run_pk: int = 1) -> InstanceRow:
        return next(row for row in self.of(run_pk) if name(row) == wanted)

    def start(self, row: InstanceRow) -> None:
        assert self.world.claim(row.id, row.token, "w1", "c", self.now).granted

    def end(self, row: InstanceRow, kind: OutcomeKind = OutcomeKind.SUCCESS, **more: Any) -> str:
        outcome = Outcome(instance_id=row.id, token=row.token, kind=kind, **more)
        return self.world.report(outcome, self.now).value

    def work(self, outcome: Callable[[InstanceRow], dict[str, Any]] | None = None, turns: int = 30) -> None:
        """Let everything that is queued run and end, until nothing is queued."""
        for _ in range(turns):
            queued = [row for row in self.rows.values() if row.state is TaskState.QUEUED]
            if not queued:
                return
            for row in queued:
                self.start(row)
            self.decide()
            for row in queued:
                self.end(row, **(outcome(row) if outcome else {}))
            self.decide()
        raise AssertionError("it goes on for ever")

    def states(self, run_pk: int = 1) -> dict[str, str]:
        return {name(row): row.state.value for row in sorted(self.of(run_pk), key=name)}


def name(row: InstanceRow) -> str:
    return f"{row.task_id}[{format_map_index(row.map_index)}]" if row.map_index else row.task_id


def task(task_id: str, *upstream: str, **more: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, operator="Op", upstream=tuple(sorted(upstream)), **more)


def spec_of(*tasks: TaskSpec, **more: Any) -> DagSpec:
    return DagSpec(dag_id="sales", file="sales.py", tasks=tasks, **more)


def over(task_id: str) -> ExpandSpec:
    return ExpandSpec(inputs=(("x", RefInput(task_id=task_id)),))


def length(count: int, of: str = "rows") -> Callable[[InstanceRow], dict[str, Any]]:
    return lambda row: {"lengths": {"return_value": count}} if row.task_id == of else {}


CHAIN = spec_of(task("a"), task("b", "a"), task("c", "b"))


def failing(*names: str) -> Callable[[InstanceRow], dict[str, Any]]:
    return lambda row: {"kind": OutcomeKind.ERROR} if name(row) in names else {}


@st.composite
def random_specs(draw: st.DrawFn) -> DagSpec:
    """Small DAGs of any shape: tasks and a group mapped, setups and teardowns, any trigger rule."""
    rules = [rule for rule in TriggerRule if rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS]
    tasks: list[TaskSpec] = [task("t0", is_setup=draw(st.booleans()))]
    for place in range(1, draw(st.integers(2, 6))):
        in_group = draw(st.booleans())
        above = {one.task_id for one in tasks if draw(st.booleans())} | ({"t0"} if in_group else set())
        plain = sorted(one.task_id for one in tasks if one.task_id in above and one.expand is None)
        source = draw(st.sampled_from([None, *plain])) if plain else None
        setups = tuple(sorted(one.task_id for one in tasks if one.is_setup and one.task_id in above))
        teardown = bool(setups) and source is None and not in_group and draw(st.booleans())
        tasks.append(
            task(
                f"g.t{place}" if in_group else f"t{place}",
                *above,
                group="g" if in_group else None,
                trigger_rule=draw(st.sampled_from(rules)) if draw(st.booleans()) else TriggerRule.ALL_SUCCESS,
                expand=over(source) if source else None,
                is_setup=not above and draw(st.booleans()),
                is_teardown=teardown,
                setups=setups if teardown else (),
                pool_slots=draw(st.integers(1, 2)),
            )
        )
    groups = (GroupSpec(group_id="g", expand=over("t0")),) if any(one.group for one in tasks) else ()
    return spec_of(*tasks, groups=groups, max_active_tasks=draw(st.sampled_from([None, 1, 3])))
