"""What an attempt reported, and what that means for its task instance."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, assert_never

import msgspec

from tradewind.domain.retry import may_retry, retry_at
from tradewind.domain.spec import RetrySpec
from tradewind.domain.states import TaskEvent


class OutcomeKind(StrEnum):
    """How an attempt ended or parked."""

    SUCCESS = "success"
    SKIPPED = "skipped"
    FAILED = "failed"  # for good: raise Fail
    ERROR = "error"  # any other exception, timeout, death by signal: may be retried
    RESCHEDULE = "reschedule"
    DEFER = "defer"
    AWAIT_INPUT = "await_input"
    INTERRUPTED = "interrupted"  # drain or loss of the worker: uses up no retry
    CANCELLED = "cancelled"


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one report of an attempt; spooled to disk before it is first sent."""

    instance_id: int
    token: int
    kind: OutcomeKind
    reason: str = ""  # one line for people: "exit code 2", "killed: SIGKILL (out of memory)", "timed out"
    error: dict[str, Any] | None = None  # type, message, frames [{file, line, function, code}], text
    retry: bool | None = None  # retry_on / no_retry_on decided; None = by tries left
    wake_at: datetime | None = None
    xcoms: dict[str, str] = {}  # key -> canonical JSON text
    lengths: dict[str, int] = {}
    branch: tuple[str, ...] | None = None  # task ids to skip
    skip_all_downstream: bool = False
    label: str | None = None
    defer: dict[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    memory_max_bytes: int | None = None


class Ending(NamedTuple):
    """What an outcome does to the instance: the event, why, and when it may go on."""

    event: TaskEvent
    reason: str = ""
    wake_at: datetime | None = None


def judge(
    outcome: Outcome,
    *,
    retry: RetrySpec,
    try_number: int,
    tries_max: int,
    lengths_needed: tuple[str, ...],
    now: datetime,
) -> Ending | None:
    """Return what ``outcome`` leads to; None when the attempt was lost and uses up no try.

    ``lengths_needed`` are the XCom keys other tasks map over: a success that does not say how long they are
    would leave those waiting for ever, so it is a failure.
    """
    match outcome.kind:
        case OutcomeKind.SUCCESS:
            missing = [key for key in lengths_needed if key not in outcome.lengths]
            return (
                Ending(TaskEvent.FAIL, _unmappable(missing))
                if missing
                else Ending(TaskEvent.SUCCEED, outcome.reason)
            )
        case OutcomeKind.SKIPPED:
            return Ending(TaskEvent.SKIP, outcome.reason)
        case OutcomeKind.FAILED:
            return Ending(TaskEvent.FAIL, outcome.reason)
        case OutcomeKind.ERROR:
            if not may_retry(try_number, tries_max, wanted=outcome.retry):
                return Ending(TaskEvent.FAIL, outcome.reason)
            wake_at = retry_at(retry, try_number, now, f"{outcome.instance_id}:{outcome.token}")
            return Ending(TaskEvent.RETRY, outcome.reason, wake_at)
        case OutcomeKind.RESCHEDULE:
            return Ending(TaskEvent.RESCHEDULE, outcome.reason, outcome.wake_at or now)
        case OutcomeKind.DEFER:
            return Ending(TaskEvent.DEFER, outcome.reason, outcome.wake_at)
        case OutcomeKind.AWAIT_INPUT:
            return Ending(TaskEvent.AWAIT_INPUT, outcome.reason, outcome.wake_at)
        case OutcomeKind.INTERRUPTED:
            return None
        case OutcomeKind.CANCELLED:
            return Ending(TaskEvent.CANCEL, outcome.reason)
        case _:
            assert_never(outcome.kind)


def _unmappable(keys: list[str]) -> str:
    names = ", ".join(f'"{key}"' for key in keys)
    return (
        f"it pushed no list or dict under {names}, but other tasks are mapped over that. "
        "Return a list or a dict, an empty one if there is nothing to do"
    )
