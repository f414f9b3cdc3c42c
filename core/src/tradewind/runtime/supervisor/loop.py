"""The event loop: descriptors, timers, one hook at the end of each turn."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import select
from collections.abc import Callable

from tradewind.ports.clock import Clock

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
EVENTS_MAX = 256

logger = logging.getLogger(__name__)


class Timer:
    """Something to do at an instant, unless cancelled."""

    __slots__ = ("action", "at")

    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self.at = at
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Do nothing at that instant."""
        self.action = None


class Loop:
    """Calls back what is registered with it, from one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self.turn_ends: list[Callable[[], None]] = []

    def watch(self, fd: int, handler: Callable[[int], None], events: int = READABLE) -> None:
        """Call ``handler(events)`` when ``fd`` is ready."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Wait for other events of ``fd``."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching ``fd``; call it before closing. Unknown ones are ignored."""
        if self._handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def call_in(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call ``action`` once after that time."""
        timer = Timer(self._clock.monotonic() + seconds, action)
        heapq.heappush(self._timers, (timer.at, next(self._numbers), timer))
        return timer

    def turn(self, timeout: float | None = None) -> None:
        """Wait for something (at most ``timeout`` seconds) and handle all there is."""
        for fd, events in self._epoll.poll(self._wait_seconds(timeout), EVENTS_MAX):
            handler = self._handlers.get(fd)
            if handler is not None:  # an earlier one of this turn may have closed it
                self._guarded(handler, events)
        now = self._clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            action = heapq.heappop(self._timers)[2].action
            if action is not None:
                self._guarded(action)
        for finish in self.turn_ends:
            self._guarded(finish)

    def close(self) -> None:
        """Close the loop's own descriptor."""
        self._epoll.close()

    def _wait_seconds(self, timeout: float | None) -> float | None:
        while self._timers and self._timers[0][2].action is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return timeout
        due = max(0.0, self._timers[0][0] - self._clock.monotonic())
        return due if timeout is None else min(due, timeout)

    def _guarded(self, action: Callable[..., None], *arguments: int) -> None:
        """One bad thing stays one bad thing: the other attempts need this loop."""
        try:
            action(*arguments)
        except Exception:  # the daemon loop: one bad turn must not end the worker
            logger.exception("The supervisor goes on after an error in %r", action)
