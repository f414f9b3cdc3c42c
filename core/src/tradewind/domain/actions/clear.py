"""Clear: let chosen task instances of a run start afresh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from tradewind.domain.actions.plan import Act, ActionPlan, Draft
from tradewind.domain.actions.selection import Selection, failed_because_of, select, with_setups
from tradewind.domain.actions.version import change_version, first_instance, task_columns
from tradewind.domain.graph import Graph, GraphTask
from tradewind.domain.records import InstanceRow, MapIndex, RunRow, RunSnapshot
from tradewind.domain.states import TaskEvent, TaskState

_UNTOUCHED = frozenset({TaskState.NONE, TaskState.REMOVED})


def clear(
    snapshot: RunSnapshot,
    graph: Graph,
    selection: Selection,
    *,
    now: datetime,
    actor: str,
    why: str = "",
    newest: tuple[int, Graph] | None = None,
) -> ActionPlan:
    """Return the plan that lets the selected instances start afresh.

    Each gets a fresh set of retries on top of the tries it had. A running attempt is archived and loses its
    right at once: its token becomes stale, so whatever it still reports is refused. Cleared too are the setups
    around cleared work with their teardowns, and what never ran because of a cleared instance. If what a
    cleared mapped task is mapped over is cleared with it, its length is taken anew: a placeholder joins the
    instances, from which the scheduler makes the missing ones and removes the vanished ones. An ended run is
    queued again.

    ``graph`` is of the version the run has now; ``newest`` (version id, graph) moves the run to another one:
    instances of tasks that are gone become removed, tasks that are new join the run.
    ``NotFoundError`` for a task or map index that is not there.
    """
    draft = Draft(Act("clear", actor, now, why), snapshot.run)
    draft.data["selection"] = selection.told()
    rows: Sequence[InstanceRow] = snapshot.instances
    remapped: list[InstanceRow] = []
    target = graph
    if newest is not None:
        version_id, target = newest
        rows, remapped = change_version(draft, rows, graph, target, version_id)
    wanted = {row.id: row for row in (*select(target, rows, selection), *remapped)}
    picked = with_setups(target, rows, list(wanted.values()))
    picked += failed_because_of(target, rows, picked)
    for row in picked:
        if row.state not in _UNTOUCHED:
            _clear(draft, row, target.task(row.task_id), refresh=newest is not None)
    for task, prefix in _lost_placeholders(target, rows, picked):
        draft.insert(first_instance(draft, task, prefix))
    if not draft.affected:
        return draft.nothing("nothing to clear: none of the selected task instances has begun")
    groups = {group for row in picked for group in _groups_around(target, target.task(row.task_id))}
    draft.set_run(retries_used=_kept(draft.run, groups))
    draft.reopen_if_ended()
    return draft.plan()


def _clear(draft: Draft, row: InstanceRow, task: GraphTask, *, refresh: bool) -> None:
    changes: dict[str, Any] = {
        "tries_max": row.try_number + task.spec.retry.retries + 1,
        "losses": 0,
        "wake_at": None,
        "lengths": {},
        "branch": None,
        "skip_all_downstream": False,
        "reason": "",
        "queued_at": None,
        "started_at": None,
        "ended_at": None,
        "first_started_at": None,
        "worker": None,
        "executor": None,
        "label": None,
        "resume": None,
    }
    draft.move(row, TaskEvent.CLEAR, **(changes | task_columns(task) if refresh else changes))


def _lost_placeholders(
    graph: Graph, rows: Sequence[InstanceRow], picked: Sequence[InstanceRow]
) -> Iterator[tuple[GraphTask, MapIndex]]:
    """Yield where a cleared mapped task has to be expanded anew and has no placeholder for it any more."""
    cleared: dict[int, set[MapIndex]] = {}
    for row in picked:
        cleared.setdefault(graph.task(row.task_id).ordinal, set()).add(row.map_index)
    taken = {(row.task_id, row.map_index) for row in rows}
    for ordinal, indexes in cleared.items():
        task = graph.tasks[ordinal]
        for prefix in _prefixes_to_expand(task, indexes, cleared):
            if (task.task_id, prefix) not in taken:
                yield task, prefix


def _prefixes_to_expand(
    task: GraphTask, indexes: Iterable[MapIndex], cleared: dict[int, set[MapIndex]]
) -> list[MapIndex]:
    """Return where in a cleared task the length must be taken anew: its source at that index is cleared too."""
    found: set[MapIndex] = set()
    for scope in task.scopes:
        for source in scope.sources:
            begins = {index[: source.shared] for index in cleared.get(source.task, ())}
            found.update(
                index[: scope.position]
                for index in indexes
                if len(index) > scope.position and index[: source.shared] in begins
            )
    return sorted(found)


def _groups_around(graph: Graph, task: GraphTask) -> Iterator[str]:
    group = task.spec.group
    while group is not None:
        yield group
        group = graph.groups[group].parent


def _kept(run: RunRow, groups: set[str]) -> dict[str, int]:
    """Return the retries taken that still count: those of the run and of groups with cleared tasks start again."""
    return {
        name: used for name, used in run.retries_used.items() if name and name.partition("[")[0] not in groups
    }
