"""What becomes due later is never forgotten, not even when the wall clock is set back in between."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from tests.domain.kernel import T0, Kernel, dag, task
from tradewind.domain.timetable import parse_schedule

HOUR = timedelta(hours=1)


def test_a_tick_that_came_while_the_dag_was_paused_and_is_ahead_again() -> None:
    kernel = Kernel(dag(task("a"), schedule=parse_schedule("@hourly")))
    kernel.settle()
    row = kernel.store.dags["d"]
    kernel.world.put_dag(msgspec.structs.replace(row, paused=True))
    kernel.now = T0 + HOUR
    kernel.decide()  # the tick is due, and makes no run
    kernel.now = T0 + HOUR / 2  # the clock is set back, then the DAG goes on
    kernel.world.put_dag(row)
    assert kernel.decide().wake_at == T0 + HOUR


def test_a_run_that_was_due_while_its_dag_was_held_and_is_ahead_again() -> None:
    kernel = Kernel(dag(task("a"), max_active_runs=1))
    pk = kernel.trigger(run_after=T0 + HOUR)
    kernel.settle()
    assert kernel.decision.wake_at == T0 + HOUR
    row = kernel.store.dags["d"]
    kernel.world.put_dag(msgspec.structs.replace(row, held=True))
    kernel.now = T0 + HOUR
    kernel.decide()
    assert kernel.store.runs[pk].state == "queued"
    kernel.now = T0 + HOUR / 2
    kernel.world.put_dag(row)
    assert kernel.decide().wake_at == T0 + HOUR


def test_a_run_that_an_active_one_waits_for_starts_when_it_is_due() -> None:
    kernel = Kernel(dag(task("a", depends_on_past=True), max_active_runs=1))
    kernel.now = T0 + HOUR
    later = kernel.trigger()
    before = kernel.trigger(at=T0, run_after=T0 + 2 * HOUR)
    kernel.settle()
    states = [kernel.store.runs[pk].state for pk in (before, later)]
    assert (states, kernel.decision.wake_at) == (["queued", "running"], T0 + 2 * HOUR)
    kernel.now = T0 + 2 * HOUR
    kernel.decide()
    assert kernel.store.runs[before].state == "running"
