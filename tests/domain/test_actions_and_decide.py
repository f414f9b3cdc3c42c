"""Acts of people meet the scheduler: plans are committed, the world is told, and what follows is right."""

from __future__ import annotations

import pytest

from tests.domain.house import CHAIN, House, failing, length, over, spec_of, task
from tradewind.domain.actions import (
    WHOLE_RUN,
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
from tradewind.domain.graph import Graph
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.spec import DagSpec, GroupSpec
from tradewind.domain.states import (
    RunState,
    TaskState,
)


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
