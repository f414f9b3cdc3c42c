"""The states of task instances and runs, and the only tables that say which may follow which.

Two laws. First: no other file names a target state; code says what *happened* (an event) and
:func:`advance` looks up what the state becomes. Second: an event that is not listed for a state is
a bug, and is refused with :class:`IllegalTransition`, never guessed.

The diagrams of the documentation are drawn from these tables.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class TaskState(StrEnum):
    """Where a task instance stands."""

    NONE = "none"  # known, nothing decided yet
    SCHEDULED = "scheduled"  # its rule says run; waits for slots
    QUEUED = "queued"  # has its slots and a token; handed to an executor
    RUNNING = "running"  # claimed by a worker that holds the token
    DEFERRED = "deferred"  # parked until a trigger fires
    AWAITING_INPUT = "awaiting_input"  # parked until a person answers
    UP_FOR_RETRY = "up_for_retry"  # failed, tries are left, waits for its time
    UP_FOR_RESCHEDULE = "up_for_reschedule"  # a sensor between two pokes
    SUCCESS = "success"
    FAILED = "failed"
    UPSTREAM_FAILED = "upstream_failed"  # never ran: what it needs failed
    SKIPPED = "skipped"
    REMOVED = "removed"  # its map index or task no longer exists
    CANCELLED = "cancelled"  # a person ended it
    UNKNOWN = "unknown"  # at_most_once and its lease was lost: a person decides


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"  # due, waits for max_active_runs
    RUNNING = "running"
    PAUSED = "paused"  # a person holds it; running tasks finish, no new ones start
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TaskEvent(StrEnum):
    """What can happen to a task instance."""

    READY = "ready"  # rule satisfied, or its waiting time is over
    ADMIT = "admit"  # slots and token given
    CLAIM = "claim"  # a worker took it
    SUCCEED = "succeed"
    FAIL = "fail"  # for good
    RETRY = "retry"  # failed, will be tried again
    SKIP = "skip"
    UPSTREAM_FAIL = "upstream_fail"
    RESCHEDULE = "reschedule"
    DEFER = "defer"
    AWAIT_INPUT = "await_input"
    RESUME = "resume"  # a trigger fired or a person answered
    LOSE = "lose"  # worker or message gone; does not use up a retry
    LOSE_AT_MOST_ONCE = "lose_at_most_once"
    CANCEL = "cancel"
    REMOVE = "remove"
    RESTORE = "restore"
    CLEAR = "clear"
    MARK_SUCCESS = "mark_success"
    MARK_FAILED = "mark_failed"


class RunEvent(StrEnum):
    """What can happen to a run."""

    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    REOPEN = "reopen"  # cleared
    MARK_SUCCESS = "mark_success"
    MARK_FAILED = "mark_failed"


TERMINAL_TASK_STATES = frozenset(
    {
        TaskState.SUCCESS,
        TaskState.FAILED,
        TaskState.UPSTREAM_FAILED,
        TaskState.SKIPPED,
        TaskState.REMOVED,
        TaskState.CANCELLED,
        TaskState.UNKNOWN,
    }
)
TERMINAL_RUN_STATES = frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED})
ACTIVE_RUN_STATES = frozenset(RunState) - TERMINAL_RUN_STATES

# States that hold pool slots and count towards every limit.
SLOT_STATES = frozenset({TaskState.QUEUED, TaskState.RUNNING})

_LIVE = frozenset(TaskState) - TERMINAL_TASK_STATES
_ANY = frozenset(TaskState)

_TASK_TABLE: dict[TaskEvent, tuple[frozenset[TaskState], TaskState]] = {
    TaskEvent.READY: (
        frozenset({TaskState.NONE, TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE}),
        TaskState.SCHEDULED,
    ),
    TaskEvent.ADMIT: (frozenset({TaskState.SCHEDULED}), TaskState.QUEUED),
    TaskEvent.CLAIM: (frozenset({TaskState.QUEUED}), TaskState.RUNNING),
    # An empty task succeeds without a worker; a wait can end its task without one too.
    TaskEvent.SUCCEED: (
        frozenset({TaskState.RUNNING, TaskState.NONE, TaskState.SCHEDULED, TaskState.DEFERRED}),
        TaskState.SUCCESS,
    ),
    TaskEvent.FAIL: (_LIVE, TaskState.FAILED),
    TaskEvent.RETRY: (
        frozenset({TaskState.RUNNING, TaskState.QUEUED, TaskState.DEFERRED, TaskState.AWAITING_INPUT}),
        TaskState.UP_FOR_RETRY,
    ),
    TaskEvent.SKIP: (_LIVE, TaskState.SKIPPED),
    TaskEvent.UPSTREAM_FAIL: (frozenset({TaskState.NONE, TaskState.SCHEDULED}), TaskState.UPSTREAM_FAILED),
    TaskEvent.RESCHEDULE: (frozenset({TaskState.RUNNING}), TaskState.UP_FOR_RESCHEDULE),
    TaskEvent.DEFER: (frozenset({TaskState.RUNNING, TaskState.SCHEDULED}), TaskState.DEFERRED),
    TaskEvent.AWAIT_INPUT: (frozenset({TaskState.RUNNING}), TaskState.AWAITING_INPUT),
    TaskEvent.RESUME: (frozenset({TaskState.DEFERRED, TaskState.AWAITING_INPUT}), TaskState.SCHEDULED),
    TaskEvent.LOSE: (frozenset({TaskState.QUEUED, TaskState.RUNNING}), TaskState.SCHEDULED),
    TaskEvent.LOSE_AT_MOST_ONCE: (frozenset({TaskState.RUNNING}), TaskState.UNKNOWN),
    TaskEvent.CANCEL: (_LIVE, TaskState.CANCELLED),
    TaskEvent.REMOVE: (_ANY - {TaskState.REMOVED}, TaskState.REMOVED),
    TaskEvent.RESTORE: (frozenset({TaskState.REMOVED}), TaskState.NONE),
    TaskEvent.CLEAR: (_ANY - {TaskState.NONE}, TaskState.NONE),
    TaskEvent.MARK_SUCCESS: (_ANY - {TaskState.SUCCESS, TaskState.REMOVED}, TaskState.SUCCESS),
    TaskEvent.MARK_FAILED: (_ANY - {TaskState.FAILED, TaskState.REMOVED}, TaskState.FAILED),
}

_RUN_TABLE: dict[RunEvent, tuple[frozenset[RunState], RunState]] = {
    RunEvent.START: (frozenset({RunState.QUEUED}), RunState.RUNNING),
    RunEvent.SUCCEED: (frozenset({RunState.RUNNING, RunState.PAUSED}), RunState.SUCCESS),
    RunEvent.FAIL: (ACTIVE_RUN_STATES, RunState.FAILED),
    RunEvent.CANCEL: (ACTIVE_RUN_STATES, RunState.CANCELLED),
    RunEvent.PAUSE: (frozenset({RunState.QUEUED, RunState.RUNNING}), RunState.PAUSED),
    # A resumed run asks for its place among max_active_runs again.
    RunEvent.RESUME: (frozenset({RunState.PAUSED}), RunState.QUEUED),
    RunEvent.REOPEN: (TERMINAL_RUN_STATES, RunState.QUEUED),
    RunEvent.MARK_SUCCESS: (frozenset(RunState) - {RunState.SUCCESS}, RunState.SUCCESS),
    RunEvent.MARK_FAILED: (frozenset(RunState) - {RunState.FAILED}, RunState.FAILED),
}

TASK_TABLE: Mapping[TaskEvent, tuple[frozenset[TaskState], TaskState]] = MappingProxyType(_TASK_TABLE)
RUN_TABLE: Mapping[RunEvent, tuple[frozenset[RunState], RunState]] = MappingProxyType(_RUN_TABLE)

# (source, event) -> target, the form the hot path looks up.
_TASK_NEXT = {
    (source, event): target for event, (sources, target) in _TASK_TABLE.items() for source in sources
}
_RUN_NEXT = {(source, event): target for event, (sources, target) in _RUN_TABLE.items() for source in sources}


class IllegalTransition(AssertionError):
    """An event came that the table does not list for the state."""


def advance(state: TaskState, event: TaskEvent) -> TaskState:
    """Return the state that follows; raise :class:`IllegalTransition` when the table has no such edge."""
    try:
        return _TASK_NEXT[state, event]
    except KeyError:
        raise IllegalTransition(f"a task instance in state {state} cannot {event}") from None


def advance_run(state: RunState, event: RunEvent) -> RunState:
    """Return the run state that follows; raise :class:`IllegalTransition` when there is no such edge."""
    try:
        return _RUN_NEXT[state, event]
    except KeyError:
        raise IllegalTransition(f"a run in state {state} cannot {event}") from None


def can(state: TaskState, event: TaskEvent) -> bool:
    """Whether the table lists ``event`` for ``state``."""
    return (state, event) in _TASK_NEXT


def can_run(state: RunState, event: RunEvent) -> bool:
    """Whether the table lists ``event`` for the run's ``state``."""
    return (state, event) in _RUN_NEXT


# Every pair of states that one committed write may connect: the closure over the steps one decision can take
# at once (none -> scheduled -> queued is written as one change).
TASK_EDGES: frozenset[tuple[TaskState, TaskState]] = frozenset(
    (source, target) for (source, _event), target in _TASK_NEXT.items()
)
RUN_EDGES: frozenset[tuple[RunState, RunState]] = frozenset(
    (source, target) for (source, _event), target in _RUN_NEXT.items()
)
