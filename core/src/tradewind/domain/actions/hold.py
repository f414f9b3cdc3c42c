"""Hold and release single task instances of a run."""

from __future__ import annotations

from datetime import datetime

from tradewind.domain.actions.plan import Act, ActionPlan, Draft
from tradewind.domain.actions.selection import Selection, select
from tradewind.domain.graph import Graph
from tradewind.domain.records import RunSnapshot
from tradewind.domain.states import SLOT_STATES, TERMINAL_TASK_STATES


def hold_task(
    snapshot: RunSnapshot, graph: Graph, selection: Selection, *, now: datetime, actor: str, why: str = ""
) -> ActionPlan:
    """Return the plan that keeps the selected instances from starting until they are released.

    An attempt that is on its way or runs goes on; its next try is held.
    """
    draft = Draft(Act("hold", actor, now, why), snapshot.run)
    _set(draft, snapshot, graph, selection, held=True)
    busy = sum(one.state in SLOT_STATES for one in draft.affected)
    if busy:
        draft.notes.append(f"{busy} of them are queued or running and go on; only a next try is held")
    return draft.plan() if draft.affected else draft.nothing("nothing to hold: all ended or held already")


def release_task(
    snapshot: RunSnapshot, graph: Graph, selection: Selection, *, now: datetime, actor: str, why: str = ""
) -> ActionPlan:
    """Return the plan that lets held instances start again."""
    draft = Draft(Act("release", actor, now, why), snapshot.run)
    _set(draft, snapshot, graph, selection, held=False)
    return draft.plan() if draft.affected else draft.nothing("nothing to release: none of them is held")


def _set(draft: Draft, snapshot: RunSnapshot, graph: Graph, selection: Selection, *, held: bool) -> None:
    draft.data["selection"] = selection.told()
    for row in select(graph, snapshot.instances, selection):
        # Holding what has ended would surprise whoever clears it; releasing it does no harm.
        if row.held is not held and not (held and row.state in TERMINAL_TASK_STATES):
            draft.change(row, held=held)
