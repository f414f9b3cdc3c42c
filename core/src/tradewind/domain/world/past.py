"""depends_on_past: what a run knows of the run before it, and whether that lets a task start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tradewind.domain.graph import GraphTask
from tradewind.domain.records import RunSnapshot
from tradewind.domain.states import TaskState
from tradewind.domain.world.live import Past, Run
from tradewind.domain.world.moves import Ledger

_PASSED = frozenset({TaskState.SUCCESS, TaskState.SKIPPED, TaskState.REMOVED})

Previous = RunSnapshot | Mapping[str, Sequence[TaskState]] | None


def link(ledger: Ledger, run: Run, previous: Previous) -> None:
    """Tell a run what the run before it is."""
    unlink(run)
    if previous is None:
        run.past = Past(None, None, {})
    elif isinstance(previous, RunSnapshot):
        pk = previous.run.pk
        live = ledger.runs.get(pk)
        states: dict[str, list[TaskState]] = {}
        if live is None:
            for row in previous.instances:
                states.setdefault(row.task_id, []).append(row.state)
        else:
            live.watchers.add(run.pk)
        run.past = Past(pk, live, states)
        run.dag.next_runs.setdefault(pk, set()).add(run.pk)
    else:
        run.past = Past(None, None, previous)


def unlink(run: Run) -> None:
    """Forget the run before: it has to be asked for again."""
    past, run.past = run.past, None
    if past is None or past.pk is None:
        return
    if past.run is not None:
        past.run.watchers.discard(run.pk)
    followers = run.dag.next_runs.get(past.pk)
    if followers is not None:
        followers.discard(run.pk)
        if not followers:
            del run.dag.next_runs[past.pk]


def settle(ledger: Ledger, run: Run) -> None:
    """Leave the final states of a run that goes away to those that look at them."""
    states: dict[str, list[TaskState]] = {}
    for pk in run.watchers:
        follower = ledger.runs.get(pk)
        if follower is None or follower.past is None:
            continue
        if not states:
            for instance in run.instances():
                states.setdefault(instance.task_id, []).append(instance.state)
        follower.past.run = None
        follower.past.states = states
        ledger.check_run(follower)
    run.watchers.clear()


def past_problem(run: Run, task: GraphTask) -> str | None:
    """Return what in the previous run a task waits for, None when it may start.

    The previous run must be known (``run.past``).
    """
    assert run.past is not None
    problem = _not_passed(run.past, task.task_id)
    if problem is None and task.spec.wait_for_downstream:
        for ordinal in task.below:
            problem = _not_passed(run.past, run.graph.tasks[ordinal].task_id)
            if problem is not None:
                break
    return problem


def _not_passed(past: Past, task_id: str) -> str | None:
    for state in _states(past, task_id):
        if state not in _PASSED:
            return f"{task_id} is {state} in the previous run"
    return None


def _states(past: Past, task_id: str) -> Sequence[TaskState]:
    if past.run is None:
        return past.states.get(task_id, ())
    if not past.run.nodes:
        return (TaskState.NONE,)  # it waits for its own start
    node = past.run.node(task_id)
    return () if node is None else [instance.state for instance in node.instances()]
