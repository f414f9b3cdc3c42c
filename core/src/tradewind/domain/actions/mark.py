"""Mark: say of task instances or of a run how they ended, whatever they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tradewind.domain.actions.plan import Act, ActionPlan, Draft, reason_text
from tradewind.domain.actions.selection import Selection, failed_because_of, select
from tradewind.domain.graph import Graph
from tradewind.domain.records import InstanceRow, RunSnapshot
from tradewind.domain.states import (
    TERMINAL_TASK_STATES,
    RunEvent,
    TaskEvent,
    TaskState,
    can,
)

_NOT_BEGUN = frozenset({TaskState.NONE, TaskState.SCHEDULED})


def mark(
    snapshot: RunSnapshot,
    graph: Graph,
    selection: Selection,
    target: TaskState,
    *,
    now: datetime,
    actor: str,
    why: str = "",
) -> ActionPlan:
    """Return the plan that ends the selected instances as ``target``: success or failed.

    A running attempt is archived and loses its right at once. The run goes on from there: after a mark as
    success, what was upstream_failed because of it is judged anew. An ended run is queued again so that its
    own end is judged anew too; if nothing is left to do it ends at once.
    ``ValueError`` for another target, ``NotFoundError`` for a task or map index that is not there.
    """
    event = _mark_event(target)
    draft = Draft(Act(f"mark_{target.value}", actor, now, why), snapshot.run)
    draft.data["selection"] = selection.told()
    marked = [row for row in select(graph, snapshot.instances, selection) if can(row.state, event)]
    for row in marked:
        _end(draft, row, event)
    if not marked:
        return draft.nothing(
            f"nothing to mark: the selected task instances are {target.value} or removed already"
        )
    if target is TaskState.SUCCESS:
        for row in failed_because_of(graph, snapshot.instances, marked):
            draft.move(row, TaskEvent.CLEAR, reason="", ended_at=None)
    draft.reopen_if_ended()
    return draft.plan()


def mark_run(
    snapshot: RunSnapshot, target: TaskState, *, now: datetime, actor: str, why: str = ""
) -> ActionPlan:
    """Return the plan that ends a run as ``target`` (success or failed) with all its unfinished instances.

    Instances that ended keep their states. As success, unfinished ones are marked success; as failed, those
    that have begun are marked failed and the others skipped. ``ConflictError`` if it has that state already.
    """
    event = _mark_event(target)
    draft = Draft(Act(f"mark_{target.value}", actor, now, why), snapshot.run)
    draft.move_run(
        RunEvent.MARK_SUCCESS if target is TaskState.SUCCESS else RunEvent.MARK_FAILED,
        ended_at=now,
        reason=reason_text(draft.act),
    )
    for row in snapshot.instances:
        if row.state in TERMINAL_TASK_STATES:
            continue
        skip = target is TaskState.FAILED and row.state in _NOT_BEGUN
        _end(draft, row, TaskEvent.SKIP if skip else event)
    return draft.plan()


def _mark_event(target: TaskState) -> TaskEvent:
    if target is TaskState.SUCCESS:
        return TaskEvent.MARK_SUCCESS
    if target is TaskState.FAILED:
        return TaskEvent.MARK_FAILED
    raise ValueError(f"cannot mark as {target.value}; marks are success and failed")


def _end(draft: Draft, row: InstanceRow, event: TaskEvent) -> None:
    draft.move(row, event, **ending(draft, row))


def ending(draft: Draft, row: InstanceRow) -> dict[str, Any]:
    """Return the columns that change when an act ends an instance."""
    return {
        "ended_at": draft.act.now if row.state not in TERMINAL_TASK_STATES else row.ended_at or draft.act.now,
        "wake_at": None,
        "resume": None,
        "reason": reason_text(draft.act),
    }
