"""Counts slots and starts from committed rows, and holds every commit to the limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field

from tradewind.domain.limit_keys import limit_key
from tradewind.domain.records import InstanceRow, RunRow
from tradewind.domain.states import SLOT_STATES, RunState
from tradewind.ports.metastore import Metastore
from tradewind.testing.simulation.auditor.shape import Shape
from tradewind.testing.simulation.timeline import Violation

Limits = list[tuple[Hashable, int, int | None]]  # what, how much one takes of it, how much there is


@dataclass(slots=True)
class LimitAudit:
    """What is held now, of everything that is limited."""

    store: Metastore
    used: dict[Hashable, int] = field(default_factory=lambda: defaultdict(int))
    running: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def moved(self, old: InstanceRow | None, new: InstanceRow | None, run: RunRow, shape: Shape) -> Limits:
        """Count a changed row; return what is held more than before, with its limits."""
        before = old is not None and old.state in SLOT_STATES
        after = new is not None and new.state in SLOT_STATES
        if before is after:
            return []
        row = new if new is not None else old
        assert row is not None
        limits = self._limits(row, run, shape)
        for what, takes, _limit in limits:
            self.used[what] += takes if after else -takes
        return limits if after else []

    def check(self, limits: Limits) -> None:
        """Check after all of a commit was counted."""
        for what, _takes, limit in limits:
            if limit is not None and self.used[what] > limit:
                raise Violation(f"S8: {what} holds {self.used[what]} of {limit}")

    def run_moved(self, run: RunRow) -> None:
        """Count a run towards max_active_runs."""
        if run.state is RunState.RUNNING:
            self.running[run.dag_id].add(run.pk)
        else:
            self.running[run.dag_id].discard(run.pk)

    def check_runs(self, run: RunRow, shape: Shape) -> None:
        """Check max_active_runs after all of a commit was counted."""
        running = self.running[run.dag_id]
        if shape.needs_past:
            return  # a run that an active one waits for starts above the limit, else both would wait for ever
        if len(running) > shape.spec.max_active_runs:
            most = shape.spec.max_active_runs
            raise Violation(f"S8: {run.dag_id} has running runs {sorted(running)}, at most {most} allowed")

    def _limits(self, row: InstanceRow, run: RunRow, shape: Shape) -> Limits:
        spec = shape.spec
        pools = {pool.name: pool.slots for pool in self.store.pools()}
        limits: Limits = [
            (("pool", row.pool), row.pool_slots, pools.get(row.pool, 0)),
            (("dag", run.dag_id), 1, spec.max_active_tasks),
            (("run", run.pk), 1, spec.max_active_tasks_per_run),
        ]
        task = shape.tasks.get(row.task_id)
        if task is not None:
            limits.append((("task", run.dag_id, row.task_id), 1, task.max_active_tis_per_dag))
            for keyed in task.limits:
                if keyed.max is not None:
                    limits.append((("key", limit_key(keyed.key, run, row.task_id)), 1, keyed.max))
        return limits
