"""Any acts at any time, and explanations that agree with what was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.house import House, name, random_specs
from tradewind.domain.actions import (
    WHOLE_RUN,
    ActionPlan,
    Selection,
    cancel_run,
    clear,
    hold_task,
    mark,
    mark_run,
    pause_run,
    release_task,
    resume_run,
)
from tradewind.domain.explain import ExecutorFacts, Facts, explain_instance
from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.reasons import ReasonKind
from tradewind.domain.records import (
    PoolRow,
    Term,
)
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import (
    SLOT_STATES,
    TERMINAL_RUN_STATES,
    TaskState,
)
from tradewind.errors import ConflictError

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


@given(random_specs(), st.data())
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
            assert _real(reasons), f"{name(row)} is {row.state} for no reason: {house.states()}"


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


@given(random_specs(), st.data())
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
