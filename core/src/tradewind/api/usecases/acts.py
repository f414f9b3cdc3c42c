"""What people do to runs, tasks and DAGs: read, plan, commit, and plan again when somebody was quicker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tradewind.api.trigger import find_dag, trigger_run
from tradewind.api.usecases.authorize import authorize
from tradewind.api.usecases.find import find_instances, find_run, find_snapshot
from tradewind.domain import actions
from tradewind.domain.actions import ActionPlan, Selection
from tradewind.domain.graph import Graph
from tradewind.domain.records import Batch, LostRace, MapIndex, RunRow, RunSnapshot
from tradewind.domain.states import TaskState
from tradewind.errors import ConflictError
from tradewind.ports.metastore import Metastore

TRIES_MAX = 20  # of an act while the scheduler moves the same run
NEIGHBOURS_MAX = 10_000  # runs that "past" or "future" may reach


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, when, and why."""

    actor: str
    now: datetime
    why: str = ""

    def told(self) -> dict[str, Any]:
        """Return it as the arguments that domain acts take."""
        return {"now": self.now, "actor": self.actor, "why": self.why}


def trigger(
    store: Metastore,
    dag_id: str,
    by: By,
    *,
    run_id: str | None = None,
    logical_date: datetime | None = None,
    run_after: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    note: str = "",
    priority: int = 0,
) -> tuple[RunRow, bool]:
    """Return the queued run and True, or the run that has ``run_id`` already and False. Errors: ``trigger_run``."""
    authorize(by.actor, "dag.trigger", dag_id)
    return trigger_run(
        store,
        dag_id,
        now=by.now,
        actor=by.actor,
        run_id=run_id,
        logical_date=logical_date,
        run_after=run_after,
        conf=conf,
        note=note,
        priority=priority,
    )


def pause_dag(store: Metastore, dag_id: str, by: By, *, hold: bool = False) -> bool:
    """Stop a DAG's schedule, with ``hold`` its active runs too; return whether that changed anything."""
    authorize(by.actor, "dag.pause", dag_id)
    return _on_dag(store, dag_id, lambda dag: actions.pause_dag(dag, actor=by.actor, why=by.why, hold=hold))


def unpause_dag(store: Metastore, dag_id: str, by: By) -> bool:
    """Let a DAG go on; return whether that changed anything."""
    authorize(by.actor, "dag.unpause", dag_id)
    return _on_dag(store, dag_id, lambda dag: actions.unpause_dag(dag, actor=by.actor, why=by.why))


def delete_dag(store: Metastore, dag_id: str, by: By) -> None:
    """Delete a DAG and its history; ``ConflictError`` while it has active runs."""
    authorize(by.actor, "dag.delete", dag_id)
    find_dag(store, dag_id)
    store.delete_dag(dag_id, actor=by.actor)


def cancel_run(store: Metastore, dag_id: str, run_id: str, by: By, *, dry: bool = False) -> ActionPlan:
    """End a run and everything in it as cancelled."""
    authorize(by.actor, "run.cancel", f"{dag_id}/{run_id}")
    return _on_run(store, dag_id, run_id, lambda one: actions.cancel_run(one, **by.told()), dry=dry)


def pause_run(store: Metastore, dag_id: str, run_id: str, by: By) -> ActionPlan:
    """Let no new task of a run start."""
    authorize(by.actor, "run.pause", f"{dag_id}/{run_id}")
    return _on_run(store, dag_id, run_id, lambda one: actions.pause_run(one, **by.told()))


def resume_run(store: Metastore, dag_id: str, run_id: str, by: By) -> ActionPlan:
    """Let a paused run go on."""
    authorize(by.actor, "run.resume", f"{dag_id}/{run_id}")
    return _on_run(store, dag_id, run_id, lambda one: actions.resume_run(one, **by.told()))


def mark_run(
    store: Metastore, dag_id: str, run_id: str, target: TaskState, by: By, *, dry: bool = False
) -> ActionPlan:
    """End a run as success or failed, whatever it did."""
    authorize(by.actor, "run.mark", f"{dag_id}/{run_id}")
    return _on_run(store, dag_id, run_id, lambda one: actions.mark_run(one, target, **by.told()), dry=dry)


def mark_tasks(
    store: Metastore,
    dag_id: str,
    run_id: str,
    selection: Selection,
    target: TaskState,
    by: By,
    *,
    dry: bool = False,
) -> ActionPlan:
    """End task instances as success or failed, whatever they did."""
    authorize(by.actor, "task.mark", f"{dag_id}/{run_id}")

    def plan(one: RunSnapshot) -> ActionPlan:
        _refuse_unknown(one, selection)
        return actions.mark(one, graph_of(store, one.run), selection, target, **by.told())

    return _on_run(store, dag_id, run_id, plan, dry=dry)


def hold_tasks(
    store: Metastore, dag_id: str, run_id: str, selection: Selection, by: By, *, held: bool
) -> ActionPlan:
    """Keep task instances from starting, or let them."""
    authorize(by.actor, "task.hold", f"{dag_id}/{run_id}")
    act = actions.hold_task if held else actions.release_task

    def plan(one: RunSnapshot) -> ActionPlan:
        _refuse_unknown(one, selection)
        return act(one, graph_of(store, one.run), selection, **by.told())

    return _on_run(store, dag_id, run_id, plan)


def clear(
    store: Metastore,
    dag_id: str,
    run_id: str,
    selection: Selection,
    by: By,
    *,
    newest: bool = False,
    dry: bool = False,
) -> ActionPlan:
    """Let task instances of a run start afresh; ``newest`` moves the run to the DAG's newest version first."""
    authorize(by.actor, "task.clear", f"{dag_id}/{run_id}")

    def plan(one: RunSnapshot) -> ActionPlan:
        target = None
        if newest:
            version_id = find_dag(store, dag_id).version_id
            if version_id != one.run.version_id:
                target = (version_id, Graph(store.spec(version_id)))
        if target is None:
            _refuse_unknown(one, selection)
        return actions.clear(one, graph_of(store, one.run), selection, newest=target, **by.told())

    return _on_run(store, dag_id, run_id, plan, dry=dry)


def runs_around(store: Metastore, run: RunRow, *, past: bool, future: bool) -> list[RunRow]:
    """Return the run and, of the same DAG, those with earlier (``past``) or later logical dates, oldest first."""
    if not (past or future):
        return [run]
    found = [
        other
        for other in store.list_runs(dag_id=run.dag_id, limit=NEIGHBOURS_MAX)
        if other.pk == run.pk
        or (past and other.logical_date < run.logical_date)
        or (future and other.logical_date > run.logical_date)
    ]
    return sorted(found, key=lambda one: (one.logical_date, one.pk))


def graph_of(store: Metastore, run: RunRow) -> Graph:
    """Return the graph of the version a run has."""
    return Graph(store.spec(run.version_id))


def _refuse_unknown(snapshot: RunSnapshot, selection: Selection) -> None:
    """Raise ``NotFoundError`` with near names for a task or map index that the run does not have."""
    for task_id in selection.tasks or ():
        find_instances(snapshot, task_id, _index(selection.map_index))


def _index(index: MapIndex) -> MapIndex | None:
    return index or None


def _on_run(
    store: Metastore,
    dag_id: str,
    run_id: str,
    plan: Callable[[RunSnapshot], ActionPlan],
    *,
    dry: bool = False,
) -> ActionPlan:
    name = find_run(store, dag_id, run_id).run_id  # "latest" must mean the same run at each try
    for _try in range(TRIES_MAX):
        made = plan(find_snapshot(store, dag_id, name))
        if dry or not made.batch or not isinstance(store.commit(made.batch), LostRace):
            return made
    raise ConflictError(f'run "{name}" of DAG "{dag_id}" changes too quickly at this moment; try again')


def _on_dag(store: Metastore, dag_id: str, make: Callable[[Any], Batch]) -> bool:
    for _try in range(TRIES_MAX):
        batch = make(find_dag(store, dag_id))
        if not batch:
            return False
        if not isinstance(store.commit(batch), LostRace):
            return True
    raise ConflictError(f'DAG "{dag_id}" changes too quickly at this moment; try again')
