"""Who may run an attempt, for how long unheard, and what its loss leads to."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from tradewind.domain.states import TaskEvent, TaskState

LEASE_SECONDS = 30.0  # how long an attempt may go unheard before it counts as lost
LOSSES_MAX = 5  # infrastructure losses since the last clear; one more and the task fails: it may be the cause
LOSS_DELAY_SECONDS = 1.0  # after the second loss, doubled each time: a broken host cannot use them up at once


class ReportVerdict(StrEnum):
    """The answer to a report."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # recorded before; the worker may forget it
    FENCED = "fenced"  # the token is stale; the report changes nothing
    ABSENT = "absent"  # the run is not active here: ask the metastore, :func:`judge_ended`


class Loss(StrEnum):
    """What became of an instance whose attempt was lost."""

    AGAIN = "again"  # scheduled once more
    FAILED = "failed"  # lost too often
    UNKNOWN = "unknown"  # at most once, and it may have run
    STALE = "stale"  # that attempt had lost its right before: nothing to do


def loss_event(state: TaskState, losses: int, *, at_most_once: bool) -> TaskEvent:
    """Return what the ``losses``-th loss of an instance in ``state`` (queued or running) does to it."""
    if at_most_once and state is TaskState.RUNNING:
        return TaskEvent.LOSE_AT_MOST_ONCE
    return TaskEvent.LOSE if losses <= LOSSES_MAX else TaskEvent.FAIL


def loss_delay(losses: int) -> timedelta:
    """Return how long an instance waits after its ``losses``-th loss: not at all after the first."""
    return timedelta(0) if losses <= 1 else timedelta(seconds=LOSS_DELAY_SECONDS * 2 ** (losses - 2))


_ENDED_BY_REPORT = frozenset(
    {
        TaskState.SUCCESS,
        TaskState.FAILED,
        TaskState.SKIPPED,
        TaskState.UP_FOR_RETRY,
        TaskState.UP_FOR_RESCHEDULE,
        TaskState.DEFERRED,
        TaskState.AWAITING_INPUT,
        TaskState.CANCELLED,
    }
)


def judge_ended(state: TaskState, token: int, reported_token: int) -> ReportVerdict:
    """Return the answer to a report for an instance that is not running: recorded before, or stale."""
    if token == reported_token and state in _ENDED_BY_REPORT:
        return ReportVerdict.DUPLICATE
    return ReportVerdict.FENCED
