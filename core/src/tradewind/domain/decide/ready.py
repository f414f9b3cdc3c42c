"""What a trigger rule's verdict does: run, skip, fail, expand, or go on waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from tradewind.domain.decide.expand import expand_task
from tradewind.domain.rules import Verdict
from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import TERMINAL_TASK_STATES, RunState, TaskEvent, TaskState
from tradewind.domain.world.past import past_problem
from tradewind.domain.world.tally import RULE_TABLES, SETUP_TABLE, judge_teardown

if TYPE_CHECKING:
    from tradewind.domain.graph import GraphTask
    from tradewind.domain.records import MapIndex
    from tradewind.domain.world import World
    from tradewind.domain.world.live import Cell, Instance, Node, Run

_NONE = TaskState.NONE
_WHY = {
    Verdict.SKIP: (TaskEvent.SKIP, "its trigger rule {} cannot be met"),
    Verdict.UPSTREAM_FAIL: (
        TaskEvent.UPSTREAM_FAIL,
        "its trigger rule {} cannot be met: something it needs failed",
    ),
}


def look(world: World, cell: Cell, now: datetime) -> None:
    """Ask the rule of a cell, and let it decide on everything that waits there."""
    run = cell.node.run
    if not run.may_start:
        return
    waiting = [instance for instance in cell.instances if instance.state is _NONE]
    if not waiting or (cell.parent is not None and _is_covered(cell)):
        return
    task = cell.node.task
    skipper = _skipper(run, task, cell)
    if skipper is not None:
        end_all(world, waiting, TaskEvent.SKIP, skipper, now)
        return
    verdict = judge_cell(cell)
    if verdict is Verdict.WAIT:
        return
    if verdict is not Verdict.RUN:
        event, why = _WHY[verdict]
        end_all(world, waiting, event, why.format(task.rule), now)
        return
    if task.needs_past and not _past_allows(world, run, task):
        return
    if task.spec.expand is not None:
        if not expand_task(world, cell, now):
            return
        waiting = [instance for instance in cell.instances if instance.state is _NONE]
    for instance in waiting:
        make_ready(world, instance)
        line_up(world, instance, now)


def judge_cell(cell: Cell) -> Verdict:
    """Return what the rule says of the instances in a cell."""
    task = cell.node.task
    if cell.parent is None and cell.setups is None:
        return RULE_TABLES[task.rule][cell.mask]
    mask, setup_mask = cell.masks()
    if task.spec.is_teardown and task.rule in {TriggerRule.ALL_DONE_SETUP_SUCCESS, TriggerRule.ALL_SUCCESS}:
        return judge_teardown(mask, setup_mask)
    verdict = RULE_TABLES[task.rule][mask]
    if task.setups:
        needed = SETUP_TABLE[setup_mask]
        if needed is not Verdict.RUN and (needed is not Verdict.WAIT or verdict is Verdict.RUN):
            return needed
    return verdict


def _is_covered(cell: Cell) -> bool:
    """Whether a mapping around the cell has to be expanded (again) first."""
    return any(around.placeholder() is not None for around in cell.path() if around is not cell)


def _skipper(run: Run, task: GraphTask, cell: Cell) -> str | None:
    """Return why a branch or a short circuit has skipped what waits in a cell, None if none has.

    Where several instances of a mapped branch or short circuit are seen, all that succeeded must have said so.
    """
    for edge in task.branches_above:
        source = run.nodes[edge.other]
        if _all_say(source, cell.prefix[: edge.shared], lambda i: task.task_id in (i.branch or ())):
            return f"{source.task.task_id} chose another branch"
    if run.short_circuits and not task.spec.is_teardown:
        for ordinal in run.short_circuits:
            if task.ordinal in run.graph.descendants(ordinal):
                source = run.nodes[ordinal]
                shared = run.graph.shared(source.task, task)
                if _all_say(source, cell.prefix[:shared], lambda i: i.skip_all_downstream):
                    return f"{source.task.task_id} ended the work on this way"
    return None


def _all_say(node: Node, prefix: MapIndex, says: Callable[[Instance], bool]) -> bool:
    """Whether something succeeded at or below a prefix, all that did say so, and nothing is still to come."""
    cell = node.cells.get(prefix)
    said = False
    for below in cell.below() if cell is not None else ():
        for instance in below.instances:
            if instance.state is TaskState.SUCCESS:
                if not says(instance):
                    return False
                said = True
            elif instance.state not in TERMINAL_TASK_STATES:
                return False
    return said


def _past_allows(world: World, run: Run, task: GraphTask) -> bool:
    if run.past is None:
        world.need_previous[run.pk] = run
        return False
    if past_problem(run, task) is None:
        return True
    before = run.past.run
    if before is not None and before.row.state is RunState.QUEUED and not before.urgent:
        # It is waited for by a run that may hold the place among max_active_runs that it would need.
        before.urgent = before.dag.has_urgent = True
        world.starting[before.dag.dag_id] = before.dag
    return False


def make_ready(world: World, instance: Instance) -> None:
    """Let an instance start: a new try unless it comes back from a wait."""
    if instance.state is not TaskState.UP_FOR_RESCHEDULE:
        instance.try_number += 1
        instance.first_started_at = None
    world.move(instance, TaskEvent.READY)
    instance.wake_at = None


def line_up(world: World, instance: Instance, now: datetime) -> None:
    """Send a scheduled instance on its way: in line for slots, or straight to its end if it is empty."""
    spec = instance.cell.node.task.spec
    if spec.empty:
        if not instance.held:
            instance.started_at = instance.ended_at = now
            world.move(instance, TaskEvent.SUCCEED)
    elif spec.start_deferred is not None and instance.resume is None:
        world.move(instance, TaskEvent.DEFER)
        instance.started_at = now
        instance.resume = spec.start_deferred
    else:
        world.admission.enqueue(instance)


def end_all(world: World, instances: list[Instance], event: TaskEvent, reason: str, now: datetime) -> None:
    """Let the same event end several instances that never ran."""
    for instance in instances:
        world.move(instance, event, reason)
        instance.ended_at = now
