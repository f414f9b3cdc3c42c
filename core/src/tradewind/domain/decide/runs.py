"""The life of runs: their start under max_active_runs, their end, their time limit."""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from tradewind.domain.decide.ready import judge_cell
from tradewind.domain.decide.retries import retry_run
from tradewind.domain.rules import Verdict
from tradewind.domain.states import (
    SLOT_STATES,
    TERMINAL_TASK_STATES,
    RunEvent,
    RunState,
    TaskEvent,
    TaskState,
)
from tradewind.domain.world.build import complete_nodes, start_nodes
from tradewind.domain.world.live import queue_entry

if TYPE_CHECKING:
    from tradewind.domain.world import World
    from tradewind.domain.world.live import Dag, Instance, Run

TOO_LONG = "the run took longer than"  # how the reason of a run begins that has only its teardowns left


# ---- start -------------------------------------------------------------------------------------------


def start_runs(world: World, dag: Dag, now: datetime) -> None:
    """Start queued runs of a DAG while ``max_active_runs`` has room: highest priority first, then as due."""
    if dag.row.held:
        return
    for run in list(dag.runs.values()) if dag.has_urgent else ():
        if run.urgent and run.row.state is RunState.QUEUED:
            if run.row.run_after <= now:
                start_run(world, run, now)
            else:
                _wait_until_due(world, run)
    later: list[tuple[int, datetime, int]] = []
    limit = dag.graph.spec.max_active_runs
    while dag.queued and dag.running < limit:
        entry = heappop(dag.queued)
        waiting = dag.runs.get(entry[2])
        if waiting is None or waiting.row.state is not RunState.QUEUED or entry != queue_entry(waiting):
            continue
        if waiting.row.run_after <= now:
            start_run(world, waiting, now)
        else:
            _wait_until_due(world, waiting)
            later.append(entry)
    for entry in later:
        heappush(dag.queued, entry)


def _wait_until_due(world: World, run: Run) -> None:
    if run.woken_at != run.row.run_after:
        run.woken_at = run.row.run_after
        world.wakes.add(run.row.run_after, "run", run)


def start_run(world: World, run: Run, now: datetime) -> None:
    """Let a queued run go; its instances are made now, unless it had been started before."""
    world.move_run(run, RunEvent.START, started_at=run.row.started_at or now, ended_at=None, reason="")
    if run.nodes:
        complete_nodes(world, run)
    else:
        start_nodes(world, run)
    world.arm_timeout(run)
    world.check_run(run)


# ---- end ---------------------------------------------------------------------------------------------


def finish_run(world: World, run: Run, now: datetime) -> None:
    """End a run of which nothing can move any more; fail what would wait for ever."""
    run.checking = False
    state = run.row.state
    if run.ended:
        return
    if state is not RunState.RUNNING and state is not RunState.PAUSED:
        return
    if run.unfinished == 0:
        event, reason = _outcome(run)
        if event is RunEvent.FAIL and not reason and retry_run(world, run):
            return
        world.move_run(run, event, ended_at=now, reason=reason)
    elif run.may_start and run.moving == 0:
        _unlock(world, run, now)


def _outcome(run: Run) -> tuple[RunEvent, str]:
    if run.row.reason.startswith(TOO_LONG):  # it was doomed while it was running
        return RunEvent.FAIL, run.row.reason
    strict = run.graph.spec.run_fails_if == "any_task_failed"
    if run.bad if strict else run.bad_leaves:
        return RunEvent.FAIL, ""
    return RunEvent.SUCCEED, ""


def _unlock(world: World, run: Run, now: datetime) -> None:
    """Fail instances that nothing will ever move, unless they wait for the previous run."""
    stuck: list[Instance] = []
    for node in run.nodes:
        for instance in node.instances():
            if instance.state is not TaskState.NONE:
                continue
            if judge_cell(instance.cell) is not Verdict.WAIT:
                if node.task.needs_past or instance.cell.checking:
                    return
                stuck.append(instance)
    if not stuck:
        stuck = [i for i in run.by_id.values() if i.state is TaskState.NONE][:1]
    for instance in stuck:
        world.move(instance, TaskEvent.FAIL, "it can never start: nothing that it waits for can still happen")
        instance.ended_at = now


# ---- cut short ---------------------------------------------------------------------------------------


def stop_instance(world: World, instance: Instance, event: TaskEvent, reason: str, now: datetime) -> None:
    """End an instance that has not ended; a live attempt is archived, fenced and cancelled."""
    live = instance.state in SLOT_STATES
    executor = world.executor_of(instance)
    world.move(instance, event, reason)
    instance.ended_at = now
    instance.wake_at = None
    if live:
        world.archive(instance, "cancelled", now)
        world.cancels.append((instance.id, instance.token, executor))
        instance.token += 1


def cancel_run(world: World, run: Run, reason: str, now: datetime) -> None:
    """Cancel a run with everything in it."""
    for instance in list(run.by_id.values()):
        if instance.state not in TERMINAL_TASK_STATES:
            stop_instance(world, instance, TaskEvent.CANCEL, reason, now)
    world.move_run(run, RunEvent.CANCEL, ended_at=now, reason=reason)


def stop_work(world: World, run: Run, reason: str, now: datetime) -> None:
    """End everything in a run but its teardowns: what is live fails, the rest is skipped."""
    for node in run.nodes:
        if node.task.spec.is_teardown:
            continue
        for instance in list(node.instances()):
            if instance.state in SLOT_STATES:
                stop_instance(world, instance, TaskEvent.FAIL, reason, now)
            elif instance.state not in TERMINAL_TASK_STATES:
                stop_instance(world, instance, TaskEvent.SKIP, reason, now)


def fail_fast(world: World, run: Run, failed: Instance, now: datetime) -> None:
    """Stop a run's work because something in it failed."""
    if not run.ended and failed.state is TaskState.FAILED:
        stop_work(world, run, f"{failed.task_id} failed, and the DAG is to fail fast", now)


def time_out(world: World, run: Run, at: datetime, now: datetime) -> None:
    """Fail a run that has taken too long; its teardowns still run."""
    if run.ended or run.row.state is not RunState.RUNNING or run.times_out_at() != at or run.row.reason:
        return
    reason = f"{TOO_LONG} its limit of {run.graph.spec.run_timeout_seconds:g} s"
    world.change_run(run, reason=reason)
    stop_work(world, run, reason, now)
    world.check_run(run)
