"""Acts on a run as a whole: cancel, pause, resume."""

from __future__ import annotations

from datetime import datetime

from tradewind.domain.actions.mark import ending
from tradewind.domain.actions.plan import Act, ActionPlan, Draft, reason_text
from tradewind.domain.records import RunSnapshot
from tradewind.domain.states import SLOT_STATES, TERMINAL_TASK_STATES, RunEvent, TaskEvent


def cancel_run(snapshot: RunSnapshot, *, now: datetime, actor: str, why: str = "") -> ActionPlan:
    """Return the plan that cancels a run and everything in it that has not ended.

    Running attempts are archived and lose their right at once; the scheduler tells their workers to end them
    (SIGTERM, grace, SIGKILL). ``ConflictError`` when the run has ended.
    """
    draft = Draft(Act("cancel", actor, now, why), snapshot.run)
    draft.move_run(RunEvent.CANCEL, ended_at=now, reason=reason_text(draft.act))
    for row in snapshot.instances:
        if row.state not in TERMINAL_TASK_STATES:
            draft.move(row, TaskEvent.CANCEL, **ending(draft, row))
    return draft.plan()


def pause_run(snapshot: RunSnapshot, *, now: datetime, actor: str, why: str = "") -> ActionPlan:
    """Return the plan that holds a run: running tasks finish, no new ones start. ``ConflictError`` if it cannot be."""
    draft = Draft(Act("pause", actor, now, why), snapshot.run)
    draft.move_run(RunEvent.PAUSE)  # no reason: a run that has one is doomed, and would end as failed
    busy = sum(row.state in SLOT_STATES for row in snapshot.instances)
    if busy:
        draft.notes.append(f"{busy} task instances are queued or running; what runs will finish")
    return draft.plan()


def resume_run(snapshot: RunSnapshot, *, now: datetime, actor: str, why: str = "") -> ActionPlan:
    """Return the plan that lets a paused run go on: it asks for its place among max_active_runs again."""
    draft = Draft(Act("resume", actor, now, why), snapshot.run)
    draft.move_run(RunEvent.RESUME, queued_at=now)
    return draft.plan()
