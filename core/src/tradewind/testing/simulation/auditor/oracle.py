"""When a task may start, judged from rows alone: the auditor's own reading of the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tradewind.domain.records import InstanceRow
from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import TERMINAL_TASK_STATES, TaskState
from tradewind.testing.simulation.auditor.shape import Shape

RowsByTask = Mapping[str, list[InstanceRow]]

FAILED_STATES = frozenset({TaskState.FAILED, TaskState.CANCELLED, TaskState.UNKNOWN})


class Seen(NamedTuple):
    """How many upstream instances stand where."""

    total: int
    success: int
    failed: int
    upstream_failed: int
    skipped: int
    removed: int

    @property
    def live(self) -> int:
        """How many have not ended."""
        ended = self.success + self.failed + self.upstream_failed + self.skipped + self.removed
        return self.total - ended

    @property
    def bad(self) -> int:
        """How many failed or could not run because of a failure."""
        return self.failed + self.upstream_failed


def count(rows: list[InstanceRow]) -> Seen:
    """Count instances by how they ended."""
    states = [row.state for row in rows]
    return Seen(
        len(states),
        states.count(TaskState.SUCCESS),
        sum(state in FAILED_STATES for state in states),
        states.count(TaskState.UPSTREAM_FAILED),
        states.count(TaskState.SKIPPED),
        states.count(TaskState.REMOVED),
    )


MAY_RUN: Mapping[TriggerRule, Callable[[Seen], bool]] = MappingProxyType(
    {
        TriggerRule.ALL_SUCCESS: lambda s: s.success + s.removed == s.total,
        TriggerRule.ALL_FAILED: lambda s: not (s.live or s.success or s.skipped),
        TriggerRule.ALL_DONE: lambda s: not s.live,
        TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: lambda s: not (s.live or s.skipped) and s.success > 0,
        TriggerRule.ALL_DONE_SETUP_SUCCESS: lambda s: not s.live,
        TriggerRule.ONE_SUCCESS: lambda s: s.success > 0,
        TriggerRule.ONE_FAILED: lambda s: s.bad > 0,
        TriggerRule.ONE_DONE: lambda s: s.success + s.failed > 0,
        TriggerRule.NONE_FAILED: lambda s: not (s.live or s.bad),
        TriggerRule.NONE_SKIPPED: lambda s: not (s.live or s.skipped),
        TriggerRule.ALWAYS: lambda _s: True,
        TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: lambda s: not (s.live or s.bad) and s.success > 0,
        TriggerRule.ALL_SKIPPED: lambda s: not (s.live or s.success or s.bad),
    }
)


def why_not_run(shape: Shape, row: InstanceRow, rows: RowsByTask) -> str | None:
    """Return why an instance may not start with everything else as it is, None when it may."""
    task = shape.tasks[row.task_id]
    counted = _seen(shape, row, shape.counted[row.task_id], rows)
    if task.is_teardown and task.trigger_rule in {
        TriggerRule.ALL_DONE_SETUP_SUCCESS,
        TriggerRule.ALL_SUCCESS,
    }:
        setups = count(_seen(shape, row, shape.setups[row.task_id], rows))
        live = count(counted).live
        return None if not live and setups.success else f"teardown with {live} unfinished before it, {setups}"
    found = count(counted)
    if found.total and not MAY_RUN[task.trigger_rule](found):
        return f"rule {task.trigger_rule} over {found}"
    setups = count(_seen(shape, row, shape.setups[row.task_id], rows))
    if setups.success + setups.removed != setups.total:
        return f"its setups are {setups}"
    return None


def _seen(shape: Shape, row: InstanceRow, others: set[str], rows: RowsByTask) -> list[InstanceRow]:
    found: list[InstanceRow] = []
    for other in others:
        found += shape.seen(row.task_id, row.map_index, other, rows.get(other, []))
    return found


def skipped_by(shape: Shape, row: InstanceRow, rows: RowsByTask) -> InstanceRow | None:
    """Return the branch or short circuit that took a task out of the run, if one has.

    Of a mapped one every instance that succeeded must have said so, and none may be still to come.
    """
    for other in shape.tasks[row.task_id].upstream:
        seen = shape.seen(row.task_id, row.map_index, other, rows.get(other, []))
        found = _all_say(seen, lambda decider: row.task_id in (decider.branch or ()))
        if found is not None:
            return found
    if shape.tasks[row.task_id].is_teardown:
        return None
    for other in shape.ancestors[row.task_id]:
        seen = shape.seen(row.task_id, row.map_index, other, rows.get(other, []))
        found = _all_say(seen, lambda decider: decider.skip_all_downstream)
        if found is not None:
            return found
    return None


def _all_say(seen: list[InstanceRow], says: Callable[[InstanceRow], bool]) -> InstanceRow | None:
    succeeded = [row for row in seen if row.state is TaskState.SUCCESS]
    if any(row.state not in TERMINAL_TASK_STATES for row in seen) or not all(map(says, succeeded)):
        return None
    return succeeded[0] if succeeded else None


def plainly_may_run(shape: Shape, row: InstanceRow, rows: RowsByTask) -> bool:
    """Whether nothing but its rule decides on a task, and its rule says that it runs."""
    task = shape.tasks[row.task_id]
    if shape.setups[row.task_id] or shape.depth(row.task_id) or task.is_teardown:
        return False
    if any(shape.depth(other) for other in shape.counted[row.task_id]):
        return False
    return why_not_run(shape, row, rows) is None and skipped_by(shape, row, rows) is None


def end_of(shape: Shape, rows: list[InstanceRow]) -> bool:
    """Whether a run whose instances have all ended so has failed."""
    bad = {*FAILED_STATES, TaskState.UPSTREAM_FAILED}
    if shape.spec.run_fails_if == "any_task_failed":
        return any(
            row.state in bad
            for row in rows
            if row.task_id in shape.tasks
            and (not shape.tasks[row.task_id].is_teardown or shape.tasks[row.task_id].on_failure_fail_dagrun)
        )
    return any(row.state in bad for row in rows if row.task_id in shape.leaves)
