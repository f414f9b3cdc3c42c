"""Ends attempts before their time: limits, cancels, lost leases, drains."""

from __future__ import annotations

import signal
from collections.abc import Callable

import msgspec

from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport
from tradewind.runtime.supervisor.attempts import Attempt, Phase, Stop
from tradewind.runtime.supervisor.channels import AttemptChannels
from tradewind.runtime.supervisor.loop import Loop
from tradewind.runtime.supervisor.servers import ServerPool

# What a task reached by itself while its worker drained counts; after a cancel or a timeout it does not.
_STANDS_AFTER_DRAIN = frozenset(
    {OutcomeKind.SUCCESS, OutcomeKind.SKIPPED, OutcomeKind.RESCHEDULE, OutcomeKind.DEFER}
)


class Stops:
    """SIGTERM, grace, SIGKILL of everything an attempt started.

    ``never_ran`` settles an attempt that is claimed but whose process has not been given its context.
    """

    never_ran: Callable[[Attempt], None]

    def __init__(self, loop: Loop, pool: ServerPool, channels: AttemptChannels, grace_seconds: float) -> None:
        self._loop = loop
        self._pool = pool
        self._channels = channels
        self._grace_seconds = grace_seconds

    def limit_time(self, attempt: Attempt, seconds: float) -> None:
        """End the attempt as an error after that long."""
        reason = f"timed out after {seconds:g} s"

        def overdue() -> None:
            self.stop(attempt, OutcomeKind.ERROR, reason, self._grace_seconds)

        attempt.timeout = self._loop.call_in(seconds, overdue)

    def stop(self, attempt: Attempt, kind: OutcomeKind, reason: str, grace_seconds: float) -> None:
        """Ask the attempt to end, make it after the grace; the first reason is the one reported."""
        if attempt.phase is Phase.ENDED:
            return
        if attempt.stop is None:
            attempt.stop = Stop(kind, reason)
            if attempt.went:
                self._channels.note(attempt, f"The attempt is being ended: {reason}.", "WARNING")
        elif attempt.stop.timer is not None:
            attempt.stop.timer.cancel()
        if attempt.phase is Phase.RUNNING and not attempt.went:
            self.never_ran(attempt)
        elif attempt.went:
            self._pool.signal(attempt, signal.SIGTERM)
            attempt.stop.timer = self._loop.call_in(grace_seconds, lambda: self.kill(attempt))

    def fence(self, attempt: Attempt) -> None:
        """End an attempt that belongs to somebody else by now: at once, with no report."""
        if attempt.phase is Phase.ENDED:
            return
        attempt.stop = Stop(None, "the attempt is no longer valid")
        if attempt.went:
            self._channels.note(attempt, "The attempt is no longer valid; it is ended.", "WARNING")
            self.kill(attempt)
        elif attempt.phase is Phase.RUNNING:
            self.never_ran(attempt)

    def kill(self, attempt: Attempt) -> None:
        """SIGKILL the attempt and all it started."""
        self._pool.kill_tree(attempt)

    def overrule(self, attempt: Attempt, report: OutcomeReport) -> OutcomeReport | None:
        """Return what is to be reported of an attempt that ended so; None for nothing."""
        stop = attempt.stop
        if stop is None:
            return report
        if stop.kind is None:
            return None
        if stop.kind is OutcomeKind.INTERRUPTED and report.kind in _STANDS_AFTER_DRAIN:
            return report
        return msgspec.structs.replace(report, kind=stop.kind, reason=stop.reason, xcoms={}, lengths={})
