"""Runs from schedules: which ticks are due, and what a due run does while others are active."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from tradewind.domain.decide.runs import cancel_run
from tradewind.domain.records import EventRow, RunRow, RunType
from tradewind.domain.spec import Overlap
from tradewind.domain.states import RunState
from tradewind.domain.timetable import Timetable, due_ticks, is_continuous
from tradewind.domain.world.live import Run

if TYPE_CHECKING:
    from tradewind.domain.world import World
    from tradewind.domain.world.live import Dag

RUNS_PER_TICK_MAX = 10  # new runs of one DAG in one decision, so that a long catch-up stops nobody else
RUN_PKS_RESERVE = 100  # how many run keys the loop should have reserved
_TINY = timedelta(microseconds=1)


def make_due_runs(world: World, dag: Dag, now: datetime) -> None:
    """Make the runs of a DAG that are due, and note when to look again."""
    if dag.timetable is None or dag.row.paused or dag.row.retired or dag.row.missing_since_at is not None:
        return
    if is_continuous(dag.timetable):
        _continue(world, dag, now)
        return
    spec = dag.graph.spec
    limit = min(RUNS_PER_TICK_MAX, world.run_pks_left)
    ticks, coming = due_ticks(
        dag.timetable,
        after=dag.row.cursor_at,
        now=now,
        start=spec.start_at,
        end=spec.end_at,
        catchup=spec.catchup if isinstance(spec.catchup, bool) else timedelta(seconds=spec.catchup),
        limit=max(limit, 1),
        first_seen=dag.row.first_seen_at,
    )
    if limit == 0 and ticks:
        world.lacking[dag.dag_id] = dag  # looked at again as soon as there are run keys
        return
    for tick in ticks:
        _make_or_skip(world, dag, tick, now)
    cursor = ticks[-1] if ticks else dag.row.cursor_at
    _note(world, dag, cursor, coming)
    if coming is not None:
        if coming <= now:
            world.due_dags[dag.dag_id] = dag
        elif dag.wake_at != coming:
            dag.wake_at = coming
            world.wakes.add(coming, "dag", dag)


def _continue(world: World, dag: Dag, now: datetime) -> None:
    """Make the next run of an ``@continuous`` DAG when none is active."""
    spec = dag.graph.spec
    if spec.start_at is not None and now < spec.start_at:
        if dag.wake_at != spec.start_at:
            dag.wake_at = spec.start_at
            world.wakes.add(spec.start_at, "dag", dag)
        return
    if (spec.end_at is not None and now > spec.end_at) or dag.runs:
        return
    if dag.row.cursor_at is not None and now <= dag.row.cursor_at:
        now = dag.row.cursor_at + _TINY  # ticks only grow, even when a run took no time
    if _make(world, dag, now, dag.row.cursor_at or now, now):
        _note(world, dag, now, None)


def _note(world: World, dag: Dag, cursor: datetime | None, coming: datetime | None) -> None:
    """Write the DAG's cursor and next tick when they have changed."""
    row = dag.row
    if row.cursor_at == cursor and row.next_run_at == coming:
        return
    guard = world.dag_writes[row.dag_id][1] if row.dag_id in world.dag_writes else row.cursor_at
    dag.row = msgspec.structs.replace(row, cursor_at=cursor, next_run_at=coming)
    world.dag_writes[row.dag_id] = (dag.row, guard)


def _make_or_skip(world: World, dag: Dag, tick: datetime, now: datetime) -> None:
    spec = dag.graph.spec
    full = len(dag.runs) >= spec.max_active_runs
    if full and spec.overlap is Overlap.SKIP:
        data = {
            "tick": tick.isoformat(),
            "active_runs": len(dag.runs),
            "max_active_runs": spec.max_active_runs,
        }
        world.events.append(EventRow(kind="dag.run_skipped", dag_id=dag.dag_id, data=data))
        return
    if full and spec.overlap is Overlap.CANCEL_RUNNING:
        _make_room(world, dag, tick, now)
    assert dag.timetable is not None
    _make(world, dag, tick, _interval_start(dag.timetable, tick), now)


def _make_room(world: World, dag: Dag, tick: datetime, now: datetime) -> None:
    """Cancel active runs, the oldest scheduled ones first, until one more fits."""
    active = sorted(
        (run for run in dag.runs.values() if run.row.state in {RunState.RUNNING, RunState.QUEUED}),
        key=lambda run: (run.row.run_type is not RunType.SCHEDULED, run.row.run_after, run.pk),
    )
    excess = len(active) - dag.graph.spec.max_active_runs + 1
    for run in active[: max(0, excess)]:
        cancel_run(world, run, f"the run of {tick.isoformat()} is due (overlap: cancel_running)", now)


def _interval_start(timetable: Timetable, tick: datetime) -> datetime:
    before = timetable.previous_at_or_before(tick - _TINY)
    return tick if before is None else before


def _make(world: World, dag: Dag, tick: datetime, interval_start: datetime, now: datetime) -> bool:
    """Make the run of a tick; False when there is no run key left."""
    pk = world.take_run_pk()
    if pk is None:
        world.lacking[dag.dag_id] = dag
        return False
    tick = tick.astimezone(UTC)
    defaults = {param.name: param.default for param in dag.graph.spec.params if param.has_default}
    row = RunRow(
        pk=pk,
        dag_id=dag.dag_id,
        run_id=f"{RunType.SCHEDULED}__{tick.isoformat()}",
        version_id=dag.row.version_id,
        run_type=RunType.SCHEDULED,
        state=RunState.QUEUED,
        logical_date=tick,
        run_after=tick,
        interval_start=interval_start,
        interval_end=tick,
        tick=tick,
        params=defaults,
        queued_at=now,
        triggered_by="schedule",
    )
    run = Run(row, dag, dag.graph)
    run.fresh = True
    world.attach(run)
    world.change_run(run)
    world.starting[dag.dag_id] = dag
    return True
