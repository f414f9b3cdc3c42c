"""Runs from schedules: ticks, catch-up, overlap, pauses, cursors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.domain.kernel import T0, Kernel, dag, seconds, task
from tradewind.domain.decide import RUNS_PER_TICK_MAX, decide
from tradewind.domain.records import RunType
from tradewind.domain.spec import DagSpec, Overlap, ParamSpec
from tradewind.domain.timetable import CustomSpec, parse_schedule
from tradewind.domain.world import World

HOUR = timedelta(hours=1)


def scheduled(schedule: str = "@hourly", **fields: Any) -> DagSpec:
    return dag(task("a"), schedule=parse_schedule(schedule), **fields)


def run_ids(kernel: Kernel) -> list[str]:
    return [run.run_id for run in sorted(kernel.store.runs.values(), key=lambda r: r.logical_date)]


def test_a_tick_makes_one_run_with_its_dates() -> None:
    kernel = Kernel(scheduled(params=(ParamSpec(name="region", default="eu"),)))
    kernel.settle()
    (run,) = kernel.store.runs.values()
    assert (run.run_id, run.run_type, run.logical_date, run.run_after, run.tick) == (
        "scheduled__2026-01-01T06:00:00+00:00",
        RunType.SCHEDULED,
        T0,
        T0,
        T0,
    )
    assert (run.interval_start, run.interval_end, run.params) == (T0 - HOUR, T0, {"region": "eu"})
    row = kernel.store.dags["d"]
    assert (row.cursor_at, row.next_run_at, kernel.decision.wake_at) == (T0, T0 + HOUR, T0 + HOUR)


def test_ticks_follow_each_other_and_a_new_world_makes_none_twice() -> None:
    kernel = Kernel(scheduled())
    for hours in range(3):
        kernel.now = T0 + hours * HOUR
        kernel.drain(jumps=0)
        kernel.world = kernel.rebuilt()
        kernel.settle()
    assert run_ids(kernel) == [f"scheduled__2026-01-01T0{hour}:00:00+00:00" for hour in (6, 7, 8)]


def test_a_missed_time_without_catchup_gives_the_newest_run() -> None:
    kernel = Kernel(scheduled(start_at=T0 - 10 * HOUR))
    kernel.settle()
    assert run_ids(kernel) == ["scheduled__2026-01-01T06:00:00+00:00"]


def test_catchup_makes_all_runs_in_portions() -> None:
    kernel = Kernel(scheduled(start_at=T0 - 24 * HOUR, catchup=True, max_active_runs=100))
    decision = kernel.decide()
    assert len(decision.batch.runs) == RUNS_PER_TICK_MAX
    assert decision.wake_at == kernel.now
    kernel.settle()
    assert len(kernel.store.runs) == 25
    assert kernel.store.dags["d"].cursor_at == T0


def test_a_catchup_window_and_an_end() -> None:
    kernel = Kernel(scheduled(start_at=T0 - 24 * HOUR, catchup=3 * 3600.0, end_at=T0 - HOUR))
    kernel.settle()
    assert run_ids(kernel) == [f"scheduled__2026-01-01T0{hour}:00:00+00:00" for hour in (3, 4, 5)]
    assert kernel.store.dags["d"].next_run_at is None


def test_without_run_keys_no_run_is_made_and_they_are_asked_for() -> None:
    kernel = Kernel(scheduled(start_at=T0 - 24 * HOUR, catchup=True))
    while kernel.world.take_run_pk() is not None:
        pass
    decision = decide(kernel.world, kernel.now)
    assert (decision.batch.runs, decision.need_run_pks) == ((), 100)
    kernel.give_pks(kernel.world, 2)
    assert len(kernel.decide().batch.runs) == 2


@pytest.mark.parametrize("fields", [{"paused": True}, {"retired": True}, {"missing_since_at": T0}])
def test_such_a_dag_makes_no_runs(fields: dict[str, Any]) -> None:
    kernel = Kernel(scheduled(), **fields)
    kernel.settle()
    assert kernel.store.runs == {}


def test_manual_runs_of_a_paused_dag_go() -> None:
    kernel = Kernel(scheduled(), paused=True)
    pk = kernel.trigger()
    kernel.drain()
    assert kernel.run_state(pk) == "success"


def test_a_held_dag_starts_nothing_until_it_is_released() -> None:
    kernel = Kernel(scheduled(), paused=True, held=True)
    pk = kernel.trigger()
    kernel.drain()
    assert kernel.run_state(pk) == "queued"
    row = kernel.store.dags["d"]
    kernel.store.dags["d"] = type(row)(
        **{f: getattr(row, f) for f in row.__struct_fields__} | {"held": False}
    )
    kernel.world.put_dag(kernel.store.dags["d"])
    kernel.drain()
    assert kernel.run_state(pk) == "success"


def test_max_active_runs_by_priority_then_time() -> None:
    kernel = Kernel(dag(task("a"), max_active_runs=1))
    pks = [
        kernel.trigger(at=T0 - seconds(30)),
        kernel.trigger(at=T0 - seconds(20)),
        kernel.trigger(at=T0 - seconds(10), priority=5),
    ]
    kernel.settle()
    order = []
    while kernel.queue:
        order.append(kernel.queue[0].run_id)
        kernel.work()
    assert order == [f"manual__{pks[2]}", f"manual__{pks[0]}", f"manual__{pks[1]}"]


def test_a_run_in_the_future_waits_for_its_time() -> None:
    kernel = Kernel(dag(task("a")))
    pk = kernel.trigger(run_after=T0 + HOUR)
    kernel.settle()
    assert (kernel.run_state(pk), kernel.decision.wake_at) == ("queued", T0 + HOUR)
    kernel.now = T0 + HOUR
    kernel.settle()
    assert kernel.run_state(pk) == "running"


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        (Overlap.QUEUE, ["running", "queued"]),
        (Overlap.SKIP, ["running"]),
        (Overlap.CANCEL_RUNNING, ["cancelled", "running"]),
    ],
)
def test_overlap(overlap: Overlap, states: list[str]) -> None:
    kernel = Kernel(scheduled(max_active_runs=1, overlap=overlap))
    kernel.settle()
    launch = kernel.queue.pop()
    kernel.claim(launch)
    kernel.settle()
    kernel.now = T0 + HOUR
    kernel.settle()
    runs = sorted(kernel.store.runs.values(), key=lambda r: r.logical_date)
    assert [str(run.state) for run in runs] == states
    assert kernel.store.dags["d"].cursor_at == T0 + HOUR
    assert kernel.cancels == ([(launch.instance_id, 1, "local")] if overlap is Overlap.CANCEL_RUNNING else [])
    skipped = [event.data["tick"] for event in kernel.store.events if event.kind == "dag.run_skipped"]
    assert skipped == (["2026-01-01T07:00:00+00:00"] if overlap is Overlap.SKIP else [])


def test_continuous_runs_follow_each_other() -> None:
    kernel = Kernel(scheduled("@continuous", max_active_runs=1))
    for number in range(3):
        kernel.settle()
        assert len(kernel.queue) == 1
        kernel.now += seconds(10)
        kernel.work()
        assert len(kernel.store.runs) == number + 2
    dates = sorted(run.logical_date for run in kernel.store.runs.values())
    assert dates == [T0, T0 + seconds(10), T0 + seconds(20), T0 + seconds(30)]


def test_once() -> None:
    kernel = Kernel(scheduled("@once"))
    for _ in range(2):
        kernel.drain(jumps=0)
        kernel.now += HOUR
        kernel.world = kernel.rebuilt()
    assert run_ids(kernel) == ["scheduled__2026-01-01T06:00:00+00:00"]


def test_a_changed_schedule_goes_on_from_the_last_tick() -> None:
    kernel = Kernel(scheduled())
    kernel.drain(jumps=0)
    old = kernel.store.dags["d"]
    kernel.add_dag(scheduled("30 * * * *"), cursor_at=old.cursor_at, next_run_at=old.next_run_at)
    kernel.world.put_dag(kernel.store.dags["d"], kernel.store.graphs[2])
    kernel.drain(jumps=0)
    assert kernel.store.dags["d"].next_run_at == T0 + seconds(1800)
    kernel.now = T0 + seconds(1800)
    kernel.settle()
    assert run_ids(kernel)[-1] == "scheduled__2026-01-01T06:30:00+00:00"


def test_a_commit_that_fails_leaves_nothing_behind() -> None:
    """The loop drops the touched runs and DAGs and decides again: the same runs, once."""
    kernel = Kernel(scheduled())
    lost = decide(kernel.world, kernel.now)
    assert (len(lost.touched_runs), lost.touched_dags) == (1, ("d",))
    kernel.world.drop_runs(lost.touched_runs)
    for dag_id in lost.touched_dags:
        kernel.world.put_dag(kernel.store.dags[dag_id])
    kernel.drain(jumps=0)
    assert run_ids(kernel) == ["scheduled__2026-01-01T06:00:00+00:00"]
    assert [str(run.state) for run in kernel.store.runs.values()] == ["success"]


def test_a_schedule_that_no_plugin_knows_is_a_problem_of_its_dag_only() -> None:
    kernel = Kernel(dag(task("a"), schedule=CustomSpec("moon", {})), dag(task("x"), dag_id="e"))
    pk = kernel.trigger("e")
    kernel.drain()
    assert kernel.run_state(pk) == "success"
    assert "moon" in kernel.world.dags["d"].problem


def test_a_run_whose_dag_is_retired_ends() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    pk = kernel.trigger()
    kernel.settle()
    snapshot = kernel.store.snapshot(pk)
    world = World()
    world.put_version(1, kernel.store.graphs[1])
    world.set_pools(kernel.store.pools.values())
    world.set_capacity("local", 4, 1)
    world.load_run(snapshot)
    kernel.world = world
    kernel.queue.clear()
    kernel.drain()
    assert kernel.run_state(pk) == "success"
