"""Run attempts in this very process, one after the other: for ``dag.test()``, never for production."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import OutcomeReport, TaskContext
from tradewind.runtime.task.data import DataClient
from tradewind.runtime.task.execute import run_attempt
from tradewind.runtime.task.failure import TimedOut


class InlineExecutor:
    """Runs each attempt at once and returns its report.

    What tasks print goes to standard error, so that standard output stays the caller's. A task's time limit is
    kept by a timer signal, where there is one: in the main thread. Ctrl-C ends the caller, not the task.
    """

    def __init__(self, clock: Clock, wait: Callable[[float], None] | None = None) -> None:
        self._clock = clock
        self._wait = wait

    def run(self, dag: Any, context: TaskContext, data: DataClient) -> OutcomeReport:
        """Run one attempt of a task of ``dag``; ``KeyboardInterrupt`` comes out."""
        with contextlib.redirect_stdout(sys.stderr), _limited(context.timeout_seconds):
            return run_attempt(
                dag, context, data, clock=self._clock, wait=self._wait, passes=(KeyboardInterrupt,)
            )


@contextlib.contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Raise :class:`TimedOut` inside the block when ``seconds`` are over."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise TimedOut(f"timed out after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
