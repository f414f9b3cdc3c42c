"""The report of an attempt: what its end means, and whom to call about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tradewind.authoring.context import use_context
from tradewind.errors import AwaitInput, Defer, Reschedule, TradewindError
from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport, TaskContext
from tradewind.runtime.task.attempt import Attempt, log
from tradewind.runtime.task.failure import Ending, describe, ending_of


def succeeded(attempt: Attempt) -> OutcomeReport:
    """Return the report of an attempt whose steps all went well."""
    assert attempt.context is not None
    ti = attempt.context.ti
    _call_back(attempt, "on_success")
    return OutcomeReport(
        instance_id=attempt.facts.instance_id,
        token=attempt.facts.token,
        kind=OutcomeKind.SUCCESS,
        xcoms=attempt.xcoms,
        lengths=attempt.lengths,
        branch=ti.branch,
        skip_all_downstream=ti.skips_all_downstream,
        label=attempt.label,
    )


def failed(attempt: Attempt, error: BaseException) -> OutcomeReport:
    """Return the report of an attempt that ``error`` ended or parked."""
    ending = ending_of(error, attempt.task)
    facts = attempt.facts
    details: dict[str, Any] = {}
    if ending.with_error:
        details["error"] = describe(error, attempt.masker.mask_text)
        log.error("%s", details["error"]["text"].rstrip())
    if isinstance(error, SystemExit):
        details["exit_code"] = error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, Reschedule | Defer | AwaitInput):
        try:
            details |= _parking(error, attempt.clock.now())
        except TradewindError as wrong:
            return failed(attempt, wrong)
    if attempt.context is not None:
        attempt.context.exception = error
        _call_back(attempt, _callback_of(ending, facts))
    return OutcomeReport(
        instance_id=facts.instance_id,
        token=facts.token,
        kind=ending.kind,
        reason=attempt.masker.mask_text(ending.reason),
        retry=ending.retry,
        label=attempt.label,
        **details,
    )


def _parking(error: Reschedule | Defer | AwaitInput, now: datetime) -> dict[str, Any]:
    """Return the fields of a report that say how long and for what a parked task waits."""
    if isinstance(error, Reschedule):
        at = now + error.delay if error.delay is not None else error.at
        if at is None or at.tzinfo is None:
            raise TradewindError(f"Reschedule(at={at}) needs a time zone: datetime(…, tzinfo=UTC)")
        return {"wake_at": at}
    ends = {} if error.timeout is None else {"wake_at": now + error.timeout}
    if isinstance(error, Defer):
        wait = {"trigger": error.trigger, "arguments": error.arguments, "method": error.method}
    else:
        wait = {"subject": error.message, "schema": error.schema}
    return {"defer": wait, **ends}


def _callback_of(ending: Ending, facts: TaskContext) -> str | None:
    """Return the name of the callbacks an ending calls; a retry is likely when tries are left."""
    if ending.kind is OutcomeKind.SKIPPED:
        return "on_skipped"
    if ending.kind is OutcomeKind.ERROR:
        return (
            "on_retry" if ending.retry is not False and facts.try_number < facts.tries_max else "on_failure"
        )
    return "on_failure" if ending.kind is OutcomeKind.FAILED else None


def _call_back(attempt: Attempt, name: str | None) -> None:
    """Call the task's callbacks; what they raise is told in the log and changes nothing."""
    if name is None or attempt.context is None:
        return
    for callback in getattr(attempt.task, name, ()):
        try:
            with use_context(attempt.context):
                callback(attempt.context)
        except Exception:  # noqa: BLE001 - a border: the author's callback, after the attempt's end is decided
            log.exception("%s raised an exception; the attempt's outcome stays", name)
