"""Forks children, watches over them, restarts what dies, and ends them all with itself.

One thread. Signals arrive as bytes in a pipe, so nothing is missed and nothing is done inside a handler. A child
that dies is started again after a pause that doubles while it keeps dying. The kernel tells the children when this
process is gone (PR_SET_PDEATHSIG), and gives it the orphans of dead children (PR_SET_CHILD_SUBREAPER) to end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tradewind.cli.border import WRONG_USE, guarded
from tradewind.runtime import processes

PAUSE_SECONDS_MIN = 0.25  # before a dead child is started again
PAUSE_SECONDS_MAX = 30.0
STEADY_SECONDS = 30.0  # a child that lived longer did not die of its start
ORPHAN_SECONDS = 6.0  # what the orphans of dead children get to end
ROUND_SECONDS = 1.0  # the longest wait, in case a hint is lost

_PR_SET_PDEATHSIG = 1
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

Ready = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Child:
    """A part that runs in a forked process. ``body`` takes a function to call when it does its work."""

    name: str
    body: Callable[[Ready], object]
    again: bool = True  # started again when it ends
    decides: bool = False  # when it ends, everything ends, with its status


@dataclass(slots=True)
class _Place:
    """A child and the process that is it at present."""

    child: Child
    pid: int = 0
    ready_fd: int = -1
    ready: bool = False
    was_ready: bool = False  # ever
    ended: bool = False  # and is not to be started again
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = PAUSE_SECONDS_MIN


@dataclass(slots=True)
class Watch:
    """Runs children until one of them decides, or until told to stop."""

    children: Sequence[Child]
    monotonic: Callable[[], float]
    log: Callable[[str], None]
    on_ready: Callable[[], None] = lambda: None
    grace_seconds: float = 40.0
    close_in_children: Sequence[int] = ()
    _places: list[_Place] = field(default_factory=list)
    _stops: int = 0
    _kill_at: float = float("inf")
    _result: int = 0
    _told_ready: bool = False
    _signals: tuple[int, int] = (-1, -1)

    def run(self) -> int:
        """Watch until everything has ended; return the exit status."""
        processes.become_subreaper()
        self._places = [_Place(child) for child in self.children]
        with self._signal_pipe():
            while not self._all_ended():
                self._start_due()
                self._wait()
                self._reap()
                self._kill_late()
            self._end_orphans()
        return self._result

    def stop(self) -> None:
        """End all children: the first call asks them, a further one kills them."""
        self._stops += 1
        if self._stops == 1:
            self._kill_at = self.monotonic() + self.grace_seconds
            self._send(signal.SIGTERM)
        else:
            self._kill_at = float("-inf")

    # ---- starting -----------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        if self._stops:
            return
        now = self.monotonic()
        for place in self._places:
            if not place.pid and not place.ended and place.start_at <= now:
                self._start(place)

    def _start(self, place: _Place) -> None:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        place.started_at = self.monotonic()
        place.pid = os.fork()
        if not place.pid:
            os.close(reading)
            self._be(place.child, parent, writing)
        os.close(writing)
        place.ready_fd, place.ready = reading, False

    def _be(self, child: Child, parent: int, ready_fd: int) -> None:
        """Be the child; never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _WATCHED:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for fd in (*self._signals, *self.close_in_children, *(one.ready_fd for one in self._places)):
                with contextlib.suppress(OSError):
                    os.close(fd)
            end_with_parent(parent)

            def ready() -> None:
                os.write(ready_fd, b"r")

            code = guarded(lambda: child.body(ready))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    # ---- waiting ------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._signals[0], selectors.EVENT_READ)
            for place in self._places:
                if place.ready_fd >= 0:
                    selector.register(place.ready_fd, selectors.EVENT_READ, place)
            for key, _mask in selector.select(self._pause()):
                if key.data is None:
                    self._take_signals()
                else:
                    self._take_ready(key.data)

    def _pause(self) -> float:
        now = self.monotonic()
        dues = [place.start_at - now for place in self._places if not place.pid and not place.ended]
        return max(0.0, min([ROUND_SECONDS, self._kill_at - now, *([] if self._stops else dues)]))

    def _take_signals(self) -> None:
        for number in os.read(self._signals[0], 512):
            if number != signal.SIGCHLD:
                if not self._stops:
                    self.log("stopping")
                self.stop()

    def _take_ready(self, place: _Place) -> None:
        if os.read(place.ready_fd, 1):
            place.ready = place.was_ready = True
        os.close(place.ready_fd)
        place.ready_fd = -1
        if not self._told_ready and all(one.was_ready or not one.child.again for one in self._places):
            self._told_ready = True
            self.on_ready()

    # ---- ends ---------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        by_pid = {place.pid: place for place in self._places if place.pid}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in by_pid:  # else an orphan that came to us
                self._ended(by_pid[pid], os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, code: int) -> None:
        place.pid = 0
        if place.ready_fd >= 0:
            self._take_ready(place)
        if place.child.decides:
            self._result = code
            place.ended = True
            if not self._stops:
                self.stop()
        elif self._stops or not place.child.again:
            place.ended = True
        elif code == WRONG_USE and not place.was_ready:  # its message says what to mend; it would fail again
            place.ended = True
            self._result = code
            self.stop()
        else:
            self._plan_restart(place, code)

    def _plan_restart(self, place: _Place, code: int) -> None:
        now = self.monotonic()
        if now - place.started_at >= STEADY_SECONDS:
            place.pause = PAUSE_SECONDS_MIN
        place.start_at = now + place.pause
        self.log(f"{place.child.name} {ending(code)}; started again in {place.pause:g} s")
        place.pause = min(place.pause * 2, PAUSE_SECONDS_MAX)

    def _all_ended(self) -> bool:
        return all(not place.pid and (place.ended or self._stops) for place in self._places)

    def _send(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.pid, number)

    def _kill_late(self) -> None:
        if self.monotonic() >= self._kill_at:
            self._send(signal.SIGKILL)

    def _end_orphans(self) -> None:
        """End what dead children left behind: ask, wait, kill."""
        until = self.monotonic() + ORPHAN_SECONDS
        number = signal.SIGTERM if self._stops < 2 else signal.SIGKILL  # noqa: PLR2004 - the second stop is in a hurry
        while orphans := processes.children_of(os.getpid()):
            if self.monotonic() >= until:
                number = signal.SIGKILL
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            with selectors.DefaultSelector() as selector:
                selector.register(self._signals[0], selectors.EVENT_READ)
                if selector.select(0.2):
                    self._take_signals()
            self._reap()

    @contextlib.contextmanager
    def _signal_pipe(self) -> Iterator[None]:
        reading, writing = os.pipe()
        os.set_blocking(reading, True)
        os.set_blocking(writing, False)
        self._signals = (reading, writing)
        before = {number: signal.signal(number, _noted) for number in _WATCHED}
        old_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reading)
            os.close(writing)


def end_with_parent(parent: int) -> None:
    """Let the kernel send SIGTERM to this process when ``parent`` ends; ends at once when it has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def ending(code: int) -> str:
    """Return how a process ended, for people."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _noted(_number: int, _frame: object) -> None:
    """Let the wake-up descriptor carry the signal."""
