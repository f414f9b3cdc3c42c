"""What the supervisor knows of one attempt."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from tradewind.ports.runtime_api import Launch, OutcomeKind, OutcomeReport, TaskContext
from tradewind.runtime.forkserver.messages import DagSource
from tradewind.runtime.frames import FrameReader, Outbox
from tradewind.runtime.supervisor.loop import Timer
from tradewind.runtime.wire import AttemptKey

if TYPE_CHECKING:
    from tradewind.runtime.logs.stream import AttemptLog


NO_SERVER = -1


class Phase(Enum):
    """Where an attempt stands."""

    WAITING = "waiting"  # for a slot
    CLAIMING = "claiming"  # the claim is under way; a process may be forked, no user code runs
    RUNNING = "running"  # granted
    ENDED = "ended"  # the outcome is known; the process may still be there


class Stop:
    """Why an attempt is being ended, and what is reported then; ``kind`` None reports nothing."""

    __slots__ = ("kind", "reason", "timer")

    def __init__(self, kind: OutcomeKind | None, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        self.timer: Timer | None = None


class Seat:
    """A process for an attempt, from the order to fork it: its ticket and our ends of its channels."""

    __slots__ = ("control", "output", "theirs", "ticket")

    def __init__(self, ticket: int) -> None:
        self.ticket = ticket
        self.control, theirs = socket.socketpair()
        try:
            self.output, output = os.pipe()
        except OSError:
            self.control.close()
            theirs.close()
            raise
        self.control.setblocking(False)
        os.set_blocking(self.output, False)
        self.theirs = (theirs.detach(), output)  # to be passed on; whoever sends them closes them

    def close(self) -> None:
        """Hang up; a process that waits for its context ends."""
        self.control.close()
        os.close(self.output)


class Attempt:
    """One launch from its arrival until its last process is gone."""

    __slots__ = (
        "claim_sent",
        "claimant",
        "context",
        "control",
        "ended_at",
        "failure",
        "forks",
        "key",
        "launch",
        "log",
        "outbox",
        "outcome",
        "output",
        "phase",
        "pid",
        "reader",
        "server",
        "source",
        "started_at",
        "stop",
        "ticket",
        "timeout",
        "trusted_until",
        "went",
    )

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.key: AttemptKey = (launch.instance_id, launch.token)
        self.phase = Phase.WAITING
        self.claimant = ""
        self.claim_sent = 0.0
        self.trusted_until = 0.0
        self.context: TaskContext | None = None
        self.source: DagSource | None = None
        self.server = NO_SERVER  # number of the one that forked it, or was asked to
        self.control: socket.socket | None = None
        self.output = -1
        self.reader = FrameReader()
        self.outbox = Outbox()
        self.went = False  # the context was handed over: user code may run
        self.pid = 0  # 0: not known
        self.ticket = 0  # of its process; 0: none yet
        self.log: AttemptLog | None = None
        self.timeout: Timer | None = None
        self.stop: Stop | None = None
        self.outcome: OutcomeReport | None = None
        self.ended_at = 0.0
        self.started_at: datetime | None = None
        self.failure: tuple[OutcomeKind, str, dict[str, Any] | None] | None = None  # before it could start
        self.forks = 0  # processes that died before it could start

    @property
    def title(self) -> str:
        """How its process is called in process lists."""
        launch = self.launch
        index = f"[{','.join(map(str, launch.map_index))}]" if launch.map_index else ""
        return (
            f"tradewind task {launch.dag_id}/{launch.run_id}/{launch.task_id}{index} try {launch.try_number}"
        )

    def sit(self, seat: Seat) -> None:
        """Take a process."""
        self.ticket = seat.ticket
        self.control = seat.control
        self.output = seat.output
        self.reader = FrameReader()
        self.outbox = Outbox()

    def cancel_timers(self) -> None:
        """Forget what was to happen to it."""
        if self.timeout is not None:
            self.timeout.cancel()
            self.timeout = None
        if self.stop is not None and self.stop.timer is not None:
            self.stop.timer.cancel()
            self.stop.timer = None


def describe_death(
    status: int, for_memory: Callable[[], bool] = lambda: False
) -> tuple[str, int | None, int | None]:
    """Return (reason, exit code, signal) of a process that ended without an outcome.

    ``status`` is a wait status; ``for_memory`` tells whether the kernel has killed for lack of memory.
    """
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        hint = " (out of memory)" if number == signal.SIGKILL and for_memory() else ""
        return f"killed: {name}{hint}", None, number
    code = os.waitstatus_to_exitcode(status)
    return f"the process ended with exit code {code} before it reported", code, None
