"""Acts of people meet the scheduler: plans are committed, the world is told, and what follows is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.domain.actions import (
    WHOLE_RUN,
    ActionPlan,
    Selection,
    cancel_run,
    clear,
    create_run,
    hold_task,
    mark,
    mark_run,
    pause_run,
    release_task,
    resume_run,
)
from tradewind.domain.decide import decide
from tradewind.domain.explain import ExecutorFacts, Facts, explain_instance
from tradewind.domain.graph import Graph
from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.reasons import ReasonKind
from tradewind.domain.records import (
    Batch,
    DagRow,
    InstanceRow,
    PoolRow,
    RunRow,
    RunSnapshot,
    Term,
    format_map_index,
)
from tradewind.domain.spec import DagSpec, ExpandSpec, GroupSpec, RefInput, TaskSpec, TriggerRule
from tradewind.domain.states import (
    SLOT_STATES,
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    RunState,
    TaskState,
)
from tradewind.domain.world import World
from tradewind.errors import ConflictError

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

    def named(self, name: str, run_pk: int = 1) -> InstanceRow:
        return next(row for row in self.of(run_pk) if _name(row) == name)

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
        return {_name(row): row.state.value for row in sorted(self.of(run_pk), key=_name)}


def _name(row: InstanceRow) -> str:
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
    return lambda row: {"kind": OutcomeKind.ERROR} if _name(row) in names else {}


def test_clear_after_a_failure_runs_to_success() -> None:
    house = House(CHAIN)
    house.trigger()
    house.work(failing("b"))
    assert (house.runs[1].state, house.states()) == (
        RunState.FAILED,
        {"a": "success", "b": "failed", "c": "upstream_failed"},
    )
    plan = clear(house.snapshot(), house.graph, Selection(("b",)), now=house.now, actor="anna")
    house.act(plan.batch)
    assert house.states() == {"a": "success", "b": "queued", "c": "none"}
    house.work()
    assert (house.runs[1].state, house.runs[1].clear_number) == (RunState.SUCCESS, 1)
    assert (house.named("b").try_number, house.named("b").tries_max) == (2, 2)


def test_clearing_what_runs_fences_the_old_attempt() -> None:
    house = House(CHAIN)
    house.trigger()
    old = house.named("a")
    house.start(old)
    house.decide()
    plan = clear(house.snapshot(), house.graph, Selection(("a",)), now=house.now, actor="anna")
    house.act(plan.batch)
    assert house.cancels == [(old.id, old.token)]
    new = house.named("a")
    assert (new.state, new.token > old.token + 1) == (TaskState.QUEUED, True)
    assert house.end(old) == "fenced"
    house.work()
    assert house.runs[1].state is RunState.SUCCESS


MAPPED = spec_of(task("rows"), task("load", "rows", expand=over("rows")), task("sum", "load"))
GROUPED = spec_of(
    task("rows"),
    task("g.one", "rows", group="g"),
    task("g.two", "g.one", group="g"),
    task("sum", "g.two"),
    groups=(GroupSpec(group_id="g", expand=over("rows")),),
)


@pytest.mark.parametrize(("spec", "mapped"), [(MAPPED, ["load"]), (GROUPED, ["g.one", "g.two"])])
@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 1), (2, 2), (2, 0), (0, 2)])
def test_a_cleared_mapping_takes_its_new_length(
    spec: DagSpec, mapped: list[str], before: int, after: int
) -> None:
    house = House(spec)
    house.trigger()
    house.work(length(before))
    assert house.runs[1].state is RunState.SUCCESS
    house.act(clear(house.snapshot(), house.graph, WHOLE_RUN, now=house.now, actor="anna").batch)
    house.work(length(after))
    assert house.runs[1].state is RunState.SUCCESS
    expected = {"rows": "success", "sum": "success" if after else "skipped"}
    for name in mapped:
        expected |= {f"{name}[{n}]": "success" if n < after else "removed" for n in range(max(before, after))}
        if not after:
            expected[name] = "skipped"
    assert house.states() == expected


def test_cancel_ends_the_run_and_its_attempts() -> None:
    house = House(CHAIN)
    house.trigger()
    row = house.named("a")
    house.start(row)
    house.decide()
    house.act(cancel_run(house.snapshot(), now=house.now, actor="anna").batch)
    assert house.cancels == [(row.id, row.token)]
    assert (house.runs[1].state, house.states()) == (
        RunState.CANCELLED,
        {"a": "cancelled", "b": "cancelled", "c": "cancelled"},
    )
    house.act(clear(house.snapshot(), house.graph, WHOLE_RUN, now=house.now, actor="anna").batch)
    house.work()
    assert house.runs[1].state is RunState.SUCCESS


def test_a_mark_in_an_ended_run_lets_it_be_judged_anew() -> None:
    house = House(CHAIN)
    house.trigger()
    house.work(failing("c"))
    assert house.runs[1].state is RunState.FAILED
    plan = mark(
        house.snapshot(), house.graph, Selection(("c",)), TaskState.SUCCESS, now=house.now, actor="anna"
    )
    house.act(plan.batch)
    assert (house.runs[1].state, house.states()["c"]) == (RunState.SUCCESS, "success")
    plan = mark(
        house.snapshot(), house.graph, Selection(("c",)), TaskState.FAILED, now=house.now, actor="anna"
    )
    house.act(plan.batch)
    assert house.runs[1].state is RunState.FAILED


def test_mark_success_while_it_runs_lets_the_next_start() -> None:
    house = House(CHAIN)
    house.trigger()
    row = house.named("a")
    house.start(row)
    house.decide()
    plan = mark(
        house.snapshot(), house.graph, Selection(("a",)), TaskState.SUCCESS, now=house.now, actor="anna"
    )
    house.act(plan.batch)
    assert (house.cancels, house.end(row, OutcomeKind.ERROR)) == ([(row.id, row.token)], "fenced")
    assert house.states() == {"a": "success", "b": "queued", "c": "none"}


def test_mark_run_is_final() -> None:
    house = House(CHAIN)
    house.trigger()
    house.act(mark_run(house.snapshot(), TaskState.FAILED, now=house.now, actor="anna").batch)
    assert (house.runs[1].state, set(house.states().values())) == (RunState.FAILED, {"failed", "skipped"})


def test_a_paused_run_starts_nothing_and_ends_well() -> None:
    house = House(CHAIN)
    house.trigger()
    row = house.named("a")
    house.start(row)
    house.decide()
    house.act(pause_run(house.snapshot(), now=house.now, actor="anna").batch)
    house.end(row)
    house.decide()
    assert house.states() == {"a": "success", "b": "none", "c": "none"}
    house.act(resume_run(house.snapshot(), now=house.now, actor="anna").batch)
    house.work()
    assert house.runs[1].state is RunState.SUCCESS


def test_a_run_whose_last_task_ends_while_it_is_paused_succeeds() -> None:
    house = House(spec_of(task("a")))
    house.trigger()
    row = house.named("a")
    house.start(row)
    house.decide()
    house.act(pause_run(house.snapshot(), now=house.now, actor="anna").batch)
    house.end(row)
    house.decide()
    assert house.runs[1].state is RunState.SUCCESS


def test_a_held_task_waits_for_its_release() -> None:
    house = House(CHAIN)
    house.trigger()
    house.act(hold_task(house.snapshot(), house.graph, Selection(("b",)), now=house.now, actor="anna").batch)
    house.work()
    assert house.states() == {"a": "success", "b": "scheduled", "c": "none"}
    house.act(
        release_task(house.snapshot(), house.graph, Selection(("b",)), now=house.now, actor="anna").batch
    )
    house.work()
    assert house.runs[1].state is RunState.SUCCESS


def test_clearing_what_stands_in_line_puts_it_in_line_once() -> None:
    house = House(spec_of(task("a", pool_slots=2), task("b", pool_slots=2)), slots=2)
    house.trigger()
    assert house.states() == {"a": "queued", "b": "scheduled"}
    for _ in range(3):
        house.act(clear(house.snapshot(), house.graph, WHOLE_RUN, now=house.now, actor="anna").batch)
    assert house.states() == {"a": "queued", "b": "scheduled"}
    house.work()
    assert house.runs[1].state is RunState.SUCCESS


def test_a_run_moves_to_the_newest_version() -> None:
    house = House(CHAIN)
    house.trigger()
    house.work(failing("b"))
    new = Graph(spec_of(task("a"), task("b", "a"), task("d", "b")))
    house.graphs[2] = new
    house.world.put_version(2, new)
    plan = clear(
        house.snapshot(),
        house.graph,
        Selection(only_failed=True),
        now=house.now,
        actor="anna",
        newest=(2, new),
    )
    house.act(plan.batch)
    house.work()
    assert (house.runs[1].state, house.runs[1].version_id, house.states()) == (
        RunState.SUCCESS,
        2,
        {"a": "success", "b": "success", "c": "removed", "d": "success"},
    )


# ---- explanations agree with decisions -----------------------------------------------------------------


def facts_of(house: House) -> Facts:
    return Facts(
        runs={pk: house.snapshot(pk) for pk in house.runs},
        dags={"sales": house.dag},
        graph=house.graphs.__getitem__,
        pools={"default": PoolRow(name="default", slots=house.slots)},
        executors={"local": ExecutorFacts(1000, 1)},
        leader=(Term(shard="", holder="h", number=1, lease_seconds=15), house.now + timedelta(seconds=9)),
    )


@st.composite
def specs(draw: st.DrawFn) -> DagSpec:
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


@given(specs(), st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_decide_leaves_waiting_explain_has_a_reason_for(spec: DagSpec, data: st.DataObject) -> None:
    house = House(spec, slots=data.draw(st.integers(2, 4)))
    house.trigger()
    for _ in range(60):
        _check_reasons(house)
        live = [row for row in house.rows.values() if row.state in {TaskState.QUEUED, TaskState.RUNNING}]
        if not live:
            break
        row = data.draw(st.sampled_from(live))
        if row.state is TaskState.QUEUED:
            house.start(row)
        else:
            kind = data.draw(st.sampled_from([OutcomeKind.SUCCESS, OutcomeKind.FAILED, OutcomeKind.SKIPPED]))
            house.end(row, kind, lengths={"return_value": data.draw(st.integers(0, 3))})
        house.decide()
    assert house.runs[1].state in TERMINAL_RUN_STATES


def _check_reasons(house: House) -> None:
    facts = facts_of(house)
    for row in house.of():
        reasons = explain_instance(facts, row.id, house.now)
        assert reasons
        if row.state in {TaskState.NONE, TaskState.SCHEDULED}:
            assert _real(reasons), f"{_name(row)} is {row.state} for no reason: {house.states()}"


def _real(reasons: Iterable[Any]) -> bool:
    return any(reason.kind is not ReasonKind.QUEUED for reason in reasons)


# ---- any acts at any time --------------------------------------------------------------------------------


def _act(house: House, data: st.DataObject) -> None:
    """Let a person do something to the run, whatever it is about to do."""
    snapshot = house.snapshot()
    by: Any = {"now": house.now, "actor": "anna"}
    names = tuple(one.task_id for one in house.spec.tasks)
    selection = Selection(
        tasks=data.draw(st.none() | st.lists(st.sampled_from(names), min_size=1, max_size=2).map(tuple)),
        upstream=data.draw(st.booleans()),
        downstream=data.draw(st.booleans()),
        only_failed=data.draw(st.booleans()),
    )
    target = data.draw(st.sampled_from([TaskState.SUCCESS, TaskState.FAILED]))
    acts: dict[str, Callable[[], ActionPlan]] = {
        "clear": lambda: clear(snapshot, house.graph, selection, **by),
        "mark": lambda: mark(snapshot, house.graph, selection, target, **by),
        "hold": lambda: hold_task(snapshot, house.graph, selection, **by),
        "release": lambda: release_task(snapshot, house.graph, selection, **by),
        "mark_run": lambda: mark_run(snapshot, target, **by),
        "cancel": lambda: cancel_run(snapshot, **by),
        "pause": lambda: pause_run(snapshot, **by),
        "resume": lambda: resume_run(snapshot, **by),
    }
    try:
        plan = acts[data.draw(st.sampled_from(["clear", *acts]))]()
    except ConflictError:
        return  # the run is in no state for it
    if plan.batch:
        house.act(plan.batch)


@given(specs(), st.data())
@settings(max_examples=100, deadline=None)
def test_runs_end_whatever_people_do(spec: DagSpec, data: st.DataObject) -> None:
    house = House(spec, slots=data.draw(st.integers(2, 4)))
    house.trigger()
    valid: set[tuple[int, int]] = set()
    for _ in range(data.draw(st.integers(0, 25))):
        live = [row for row in house.rows.values() if row.state in SLOT_STATES]
        stale = valid - {(row.id, row.token) for row in live}
        for instance, token in stale:
            late = Outcome(instance_id=instance, token=token, kind=OutcomeKind.SUCCESS)
            assert house.world.report(late, house.now).value in {"fenced", "duplicate", "absent"}
        if not live or data.draw(st.integers(0, 3)) == 0:
            _act(house, data)
            continue
        row = data.draw(st.sampled_from(live))
        if row.state is TaskState.RUNNING:
            kind = data.draw(st.sampled_from([OutcomeKind.SUCCESS, OutcomeKind.FAILED, OutcomeKind.SKIPPED]))
            house.end(row, kind, lengths={"return_value": data.draw(st.integers(0, 3))})
        elif house.world.claim(row.id, row.token, "w1", "c", house.now).granted:
            valid.add((row.id, row.token))
        house.decide()
    with suppress(ConflictError):
        house.act(resume_run(house.snapshot(), now=house.now, actor="anna").batch)
    plan = release_task(house.snapshot(), house.graph, WHOLE_RUN, now=house.now, actor="anna")
    if plan.batch:
        house.act(plan.batch)
    for row in [row for row in house.rows.values() if row.state is TaskState.RUNNING]:
        house.end(row, lengths={"return_value": 1})
    house.decide()
    house.work(lambda _row: {"lengths": {"return_value": 1}}, turns=100)
    assert house.runs[1].state in TERMINAL_RUN_STATES, house.states()
