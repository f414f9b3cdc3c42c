"""Holds runs to their schedule: each tick once, on the grid, and with catch-up none missing."""

from __future__ import annotations

from datetime import datetime, timedelta

from tradewind.domain.records import DagRow, RunRow
from tradewind.domain.spec import DagSpec, Overlap
from tradewind.domain.timetable.spec import DeltaSpec, OnceSpec
from tradewind.testing.simulation.timeline import Violation


class ScheduleAudit:
    """The ticks that were made."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, datetime], int] = {}
        self._skipped: set[tuple[str, str]] = set()

    def inserted(self, run: RunRow, spec: DagSpec) -> None:
        """Check a new run."""
        if run.tick is None:
            return
        known = self._made.setdefault((run.dag_id, run.tick), run.pk)
        if known != run.pk:
            raise Violation(f"S7: {run.dag_id} has two runs of tick {run.tick}: {known} and {run.pk}")
        grid = ticks(spec)
        if grid is not None and run.tick not in grid:
            raise Violation(f"S7: {run.dag_id} has a run of {run.tick}, which is no tick of it")

    def skipped(self, dag_id: str, tick: str) -> None:
        """Note a tick that was skipped because too many runs were active."""
        self._skipped.add((dag_id, tick))

    def missing(self, dag: DagRow, spec: DagSpec) -> list[datetime]:
        """Return the ticks that should have a run by now; only where every tick has to have one."""
        grid = ticks(spec)
        if grid is None or spec.catchup is not True or dag.paused:
            return []
        return [
            tick
            for tick in sorted(grid)
            if (dag.dag_id, tick) not in self._made
            and not (spec.overlap is Overlap.SKIP and (dag.dag_id, tick.isoformat()) in self._skipped)
        ]

    def check_once(self, dag: DagRow, spec: DagSpec) -> None:
        """Check that a DAG that runs once did."""
        made = sum(dag_id == dag.dag_id for dag_id, _tick in self._made)
        made += any(dag_id == dag.dag_id for dag_id, _tick in self._skipped)
        if isinstance(spec.schedule, OnceSpec) and spec.catchup is True and made != 1 and not dag.paused:
            raise Violation(f"S7: {dag.dag_id} should have run once and has {made} runs")


def ticks(spec: DagSpec) -> set[datetime] | None:
    """Return all ticks between the schedule's start and end, None when it has no grid."""
    schedule = spec.schedule
    if not isinstance(schedule, DeltaSpec) or spec.start_at is None or spec.end_at is None:
        return None
    assert schedule.anchor is not None
    step = timedelta(seconds=schedule.seconds)
    first = -((schedule.anchor - spec.start_at) // step)  # the first whole step not before the start
    found = set()
    at = schedule.anchor + first * step
    while at < spec.start_at:
        at += step
    while at <= spec.end_at:
        found.add(at)
        at += step
    return found
