"""What people do to runs, as pure functions from the rows they read to a guarded batch.

Each act returns an :class:`ActionPlan` (or, where nothing else changes, a plain batch): what will be written,
which task instances it changes from which state to which, and notes for the person. A dry run shows the plan
and drops it. Every act is audited: who, when and why stand in its events.
"""

from __future__ import annotations

from tradewind.domain.actions.clear import clear
from tradewind.domain.actions.create import create_run
from tradewind.domain.actions.dag_acts import pause_dag, unpause_dag
from tradewind.domain.actions.hold import hold_task, release_task
from tradewind.domain.actions.mark import mark, mark_run
from tradewind.domain.actions.plan import ActionPlan, Affected
from tradewind.domain.actions.run_acts import cancel_run, pause_run, resume_run
from tradewind.domain.actions.selection import WHOLE_RUN, Selection

__all__ = [
    "WHOLE_RUN",
    "ActionPlan",
    "Affected",
    "Selection",
    "cancel_run",
    "clear",
    "create_run",
    "hold_task",
    "mark",
    "mark_run",
    "pause_dag",
    "pause_run",
    "release_task",
    "resume_run",
    "unpause_dag",
]
