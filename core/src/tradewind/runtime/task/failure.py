"""Say how an attempt ended: an exception as an outcome kind, a reason, and an error people can read."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from tradewind.errors import (
    AwaitInput,
    Defer,
    Fail,
    Reschedule,
    Skip,
    TaskSignal,
    TradewindError,
)
from tradewind.ports.runtime_api import OutcomeKind

REASON_CHARS_MAX = 300  # one line of a table
MESSAGE_CHARS_MAX = 8 * 1024
TEXT_CHARS_MAX = 64 * 1024  # a traceback; what is left out stands in the log
FRAMES_MAX = 50  # of the author's own and of libraries; the innermost ones are kept
CODE_CHARS_MAX = 200

_TRADEWIND = str(Path(__file__).resolve().parents[2]) + "/"
_LIBRARY_PATHS = tuple(
    {sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class Terminated(BaseException):
    """SIGTERM came: the supervisor wants this attempt to end. Not an Exception, so that user code lets it pass."""


class TimedOut(BaseException):
    """The attempt's time limit is over, in a process that has no supervisor to see to it."""


class Ending(NamedTuple):
    """How an exception ends an attempt."""

    kind: OutcomeKind
    reason: str
    retry: bool | None = None
    with_error: bool = True


def ending_of(error: BaseException, operator: Any) -> Ending:  # noqa: PLR0911 - a table: one line per way to end
    """Return what ``error``, raised by ``operator``'s code, means for the attempt (semantics.md, States)."""
    match error:
        case Skip():
            return Ending(OutcomeKind.SKIPPED, one_line(error.message), with_error=False)
        case Fail():
            return Ending(OutcomeKind.FAILED, one_line(error.message or "the task raised Fail"))
        case Reschedule():
            return Ending(OutcomeKind.RESCHEDULE, one_line(error.message), with_error=False)
        case Defer():
            return Ending(OutcomeKind.DEFER, one_line(str(error)), with_error=False)
        case AwaitInput():
            return Ending(OutcomeKind.AWAIT_INPUT, one_line(error.message), with_error=False)
        case TaskSignal():
            return Ending(OutcomeKind.FAILED, one_line(str(error)))
        case Terminated():
            return Ending(OutcomeKind.CANCELLED, "ended by SIGTERM", with_error=False)
        case TimedOut():
            return Ending(OutcomeKind.ERROR, one_line(str(error)), retry=wanted_retry(error, operator))
        case SystemExit():
            return Ending(OutcomeKind.ERROR, _exit_reason(error.code), retry=wanted_retry(error, operator))
        case KeyboardInterrupt():
            return Ending(OutcomeKind.ERROR, "interrupted by SIGINT", retry=wanted_retry(error, operator))
        case TradewindError():
            return Ending(OutcomeKind.ERROR, one_line(str(error)), retry=wanted_retry(error, operator))
        case _:
            reason = one_line(f"{type(error).__name__}: {_text_of(error)}".removesuffix(": "))
            return Ending(OutcomeKind.ERROR, reason, retry=wanted_retry(error, operator))


def _exit_reason(code: object) -> str:
    if code is None or isinstance(code, int):
        return f"exit code {code or 0}: the task called sys.exit"
    return one_line(f"exit code 1: {code}")


def wanted_retry(error: BaseException, operator: Any) -> bool | None:
    """Return what ``retry_on`` and ``no_retry_on`` say of ``error``; None when they say nothing.

    Each has exception classes, or predicates of the exception. A predicate that raises decides nothing.
    """
    refuse: Sequence[Any] = getattr(operator, "no_retry_on", ())
    allow: Sequence[Any] = getattr(operator, "retry_on", ())
    if any(_matches(rule, error) for rule in refuse):
        return False
    if allow:
        return True if any(_matches(rule, error) for rule in allow) else False  # noqa: SIM210 - three answers
    return None


def _matches(rule: Any, error: BaseException) -> bool:
    if isinstance(rule, type):
        return isinstance(error, rule)
    try:
        return bool(rule(error))
    except Exception:  # noqa: BLE001 - a border: the author's predicate; one that fails has no opinion
        return False


def one_line(text: str) -> str:
    """Return the first line with something in it, cut to ``REASON_CHARS_MAX``."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= REASON_CHARS_MAX else line[: REASON_CHARS_MAX - 1] + "…"


def describe(error: BaseException, mask: Callable[[str], str]) -> dict[str, Any]:
    """Return ``error`` as ``type``, ``message``, ``frames`` and ``text``: masked, then cut to the limits.

    A frame has ``file``, ``line``, ``function``, ``code`` and ``own``: whether it is the author's code. What Tradewind
    did before it reached the author's code is left out; an error of Tradewind's own making has no frames at all.
    """
    trace = _from_author(error.__traceback__)
    if trace is None and not isinstance(error, TradewindError):
        trace = error.__traceback__
    frames = [_frame(summary, mask) for summary in traceback.extract_tb(trace)]
    text = "".join(traceback.format_exception(type(error), error, trace))
    return {
        "type": _type_name(error),
        "message": _cut(mask(_text_of(error)), MESSAGE_CHARS_MAX),
        "frames": frames[-FRAMES_MAX:],
        "text": _cut(mask(text), TEXT_CHARS_MAX),
    }


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as inner:  # noqa: BLE001 - a border: the author's __str__
        return f"(its text cannot be had: {type(inner).__name__})"


def _from_author(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that begins with the author's code; None when there is none."""
    return next((one for one in _walk(trace) if is_own(one.tb_frame.f_code.co_filename)), None)


def _walk(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _frame(summary: traceback.FrameSummary, mask: Callable[[str], str]) -> dict[str, Any]:
    return {
        "file": summary.filename,
        "line": summary.lineno,
        "function": summary.name,
        "code": _cut(mask(summary.line or ""), CODE_CHARS_MAX),
        "own": is_own(summary.filename),
    }


def is_own(file: str) -> bool:
    """Whether code of ``file`` is the author's: neither Tradewind's, nor a library's, nor generated."""
    return not (
        file.startswith(("<", _TRADEWIND, *_LIBRARY_PATHS))
        or "/site-packages/" in file
        or "/dist-packages/" in file
    )


def _cut(text: str, chars_max: int) -> str:
    """Keep the beginning and the end: the cause of an error stands at either."""
    if len(text) <= chars_max:
        return text
    half = chars_max // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
