"""Why a task instance stands where it stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tradewind.domain.explain.facts import Facts
from tradewind.domain.explain.limits import limit_reasons, no_worker
from tradewind.domain.explain.run import leadership, run_holds
from tradewind.domain.explain.upstream import rule_reason, upstream_reasons
from tradewind.domain.explain.words import at_and_in, clock, since, span
from tradewind.domain.graph import GraphTask
from tradewind.domain.leases import LOSSES_MAX
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import InstanceRow, RunRow
from tradewind.domain.states import TERMINAL_RUN_STATES, TERMINAL_TASK_STATES, RunState, TaskState

UNFINISHED_MAX = 1_000  # instances explained in one answer; a person reads no more


def explain_instance(facts: Facts, instance_id: int, now: datetime) -> list[Reason]:
    """Return every reason why an instance waits, the widest first (leadership, DAG, run, task); never empty.

    For one that runs or has ended it says that. ``now`` is database time. ``NotFoundError`` when the instance
    is not among the facts.
    """
    row = facts.instance(instance_id)
    return _explain(facts, facts.snapshot(row.run_pk).run, row, now)


def explain_unfinished(facts: Facts, run_pk: int, now: datetime) -> list[tuple[InstanceRow, list[Reason]]]:
    """Return the instances of a run that have not ended, in the order of their rows, each with its reasons.

    At most ``UNFINISHED_MAX``; instances beyond that wait for the same reasons as those before.
    """
    snapshot = facts.snapshot(run_pk)
    rows = [row for row in snapshot.instances if row.state not in TERMINAL_TASK_STATES]
    return [(row, _explain(facts, snapshot.run, row, now)) for row in rows[:UNFINISHED_MAX]]


def _explain(facts: Facts, run: RunRow, row: InstanceRow, now: datetime) -> list[Reason]:
    task = facts.graph_of(run).by_id.get(row.task_id)
    if row.state in TERMINAL_TASK_STATES:
        return _ended(facts, run, row, task, now)
    if run.state in TERMINAL_RUN_STATES:
        return [
            Reason(
                kind=ReasonKind.ENDED,
                message=f"its run ended as {run.state.value}: it does not start any more",
            )
        ]
    parked = _PARKED.get(row.state)
    if parked is not None:
        absent = [] if row.state is TaskState.RUNNING else leadership(facts, now)
        return [*absent, *parked(facts, row, task, now)]
    reasons = [*leadership(facts, now), *_held_by_run(facts, run, now)]
    if row.held:
        message = "a person holds this task: it starts when it is released"
        reasons.append(Reason(kind=ReasonKind.TASK_HELD, message=message))
    if row.wake_at is not None and row.wake_at > now:
        reasons.append(_waits_until(row, now))
    elif task is not None and row.state is TaskState.NONE:
        reasons += upstream_reasons(facts, run, row, task, now)
    elif task is not None and row.state is TaskState.SCHEDULED:
        reasons += limit_reasons(facts, run, row, task, now)
    return reasons or [_ready(row)]


def _held_by_run(facts: Facts, run: RunRow, now: datetime) -> list[Reason]:
    holds = run_holds(facts, run, now)
    if run.state is not RunState.QUEUED:
        return holds
    waits_for_place = any(reason.kind is ReasonKind.LIMIT_RUNS for reason in holds)
    why = "waits for its place among the active runs" if waits_for_place else "has not started"
    return [
        Reason(kind=ReasonKind.RUN_QUEUED, message=f"its run is queued and {why}", since=run.queued_at),
        *holds,
    ]


def _ready(row: InstanceRow) -> Reason:
    if row.state is TaskState.SCHEDULED:
        message = "it is ready and there is room: it is handed over when those before it in line have been"
    else:
        message = "nothing holds it back: the scheduler decides on it at its next turn"
    return Reason(kind=ReasonKind.QUEUED, message=message)


def _waits_until(row: InstanceRow, now: datetime) -> Reason:
    assert row.wake_at is not None
    when = at_and_in(row.wake_at, now)
    if row.state is TaskState.UP_FOR_RESCHEDULE:
        why = f": {row.reason}" if row.reason else ""
        return Reason(
            kind=ReasonKind.RESCHEDULE_AT,
            message=f"looks again at {when}{why}",
            since=row.ended_at,
            until=row.wake_at,
        )
    why = f": {row.reason}" if row.reason else ""
    if row.state is TaskState.SCHEDULED:
        message = f"starts again at {when}, after loss {row.losses} of {LOSSES_MAX} of its worker{why}"
    else:
        message = f"retry at {when}: try {row.try_number + 1} of {row.tries_max}; the last one failed{why}"
    return Reason(
        kind=ReasonKind.RETRY_AT,
        message=message,
        since=row.ended_at,
        until=row.wake_at,
        data={"try_number": row.try_number + 1, "tries_max": row.tries_max},
    )


def _queued(facts: Facts, row: InstanceRow, task: GraphTask | None, now: datetime) -> list[Reason]:
    executor = facts.executor_of(row, task)
    missing = no_worker(facts, row, task)
    reason = Reason(
        kind=ReasonKind.QUEUED,
        message=f'handed to executor "{executor}"{since(row.queued_at, now)}, not yet claimed by a worker',
        since=row.queued_at,
        data={"executor": executor},
    )
    return [reason] if missing is None else [reason, missing]


def _running(_facts: Facts, row: InstanceRow, _task: GraphTask | None, now: datetime) -> list[Reason]:
    where = f" on {row.worker}" if row.worker else ""
    return [
        Reason(
            kind=ReasonKind.RUNNING,
            message=f"running{where}{since(row.started_at, now)}, try {row.try_number} of {row.tries_max}",
            since=row.started_at,
            data={"worker": row.worker, "try_number": row.try_number, "tries_max": row.tries_max},
        )
    ]


def _deferred(_facts: Facts, row: InstanceRow, _task: GraphTask | None, now: datetime) -> list[Reason]:
    what = f" for {row.reason}" if row.reason else " for its trigger"
    limit = f", at most until {at_and_in(row.wake_at, now)}" if row.wake_at else ""
    return [
        Reason(
            kind=ReasonKind.DEFERRED,
            message=f"waits without a slot{what}{limit}",
            since=row.ended_at,
            until=row.wake_at,
        )
    ]


def _awaiting(_facts: Facts, row: InstanceRow, _task: GraphTask | None, now: datetime) -> list[Reason]:
    what = f": {row.reason}" if row.reason else ""
    limit = f", at most until {at_and_in(row.wake_at, now)}" if row.wake_at else ""
    return [
        Reason(
            kind=ReasonKind.AWAITING_INPUT,
            message=f"waits for a person to answer{what}{limit}",
            since=row.ended_at,
            until=row.wake_at,
        )
    ]


def _ended(
    facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask | None, now: datetime
) -> list[Reason]:
    when = "" if row.ended_at is None else f" at {clock(row.ended_at, now)}"
    took = (
        ""
        if row.ended_at is None or row.started_at is None
        else f" after {span(row.ended_at - row.started_at)}"
    )
    why = f": {row.reason}" if row.reason else ""
    reasons = [
        Reason(
            kind=ReasonKind.ENDED, message=f"ended as {row.state.value}{when}{took}{why}", since=row.ended_at
        )
    ]
    never_ran = row.state in {TaskState.UPSTREAM_FAILED, TaskState.SKIPPED} and row.started_at is None
    if never_ran and task is not None:
        judged = rule_reason(facts, run, row, task)
        reasons += [judged] if judged is not None else []
    return reasons


_PARKED: dict[TaskState, Callable[[Facts, InstanceRow, GraphTask | None, datetime], list[Reason]]] = {
    TaskState.QUEUED: _queued,
    TaskState.RUNNING: _running,
    TaskState.DEFERRED: _deferred,
    TaskState.AWAITING_INPUT: _awaiting,
}
