"""Virtual time: what happens when, in an order that only the seed decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

from tradewind.testing.clock import VirtualClock

TRACE_LINES_MAX: Final = 400  # kept for the report of a violation
DEPTH_MAX: Final = 2  # how many parties may stand in the middle of something while others act

Action = Callable[[], None]


class Violation(AssertionError):
    """The house broke one of its promises."""


class Timeline:
    """Actions by the instant they are due. It is re-entrant: inside an action, time may pass for all others."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.depth = 0
        self.steps = 0
        self._heap: list[tuple[float, int, Action]] = []
        self._count = 0
        self._lines: deque[tuple[float, str, tuple[Any, ...]]] = deque(maxlen=TRACE_LINES_MAX)

    @property
    def now(self) -> float:
        """Return the seconds since the start."""
        return self.clock.seconds

    def after(self, seconds: float, action: Action) -> None:
        """Let something happen ``seconds`` from now."""
        self._count += 1
        heappush(self._heap, (self.clock.seconds + seconds, self._count, action))

    def run_until(self, seconds: float) -> None:
        """Let everything happen that is due until then."""
        self.depth += 1
        heap, clock = self._heap, self.clock
        try:
            while heap and heap[0][0] <= seconds:
                at, _, action = heappop(heap)
                clock.move_to(at)
                self.steps += 1
                action()
            clock.move_to(seconds)
        finally:
            self.depth -= 1

    def pass_time(self, seconds: float) -> bool:
        """Let time pass in the middle of an action; False when too many stand in the middle of one already."""
        if self.depth > DEPTH_MAX:
            return False
        self.run_until(self.clock.seconds + seconds)
        return True

    def note(self, text: str, *values: Any) -> None:
        """Remember what happened, for the report of a violation; formatted only there."""
        self._lines.append((self.clock.seconds, text, values))

    def trace(self, lines: int) -> list[str]:
        """Return the last things that happened."""
        last = list(self._lines)[-lines:] if lines else list(self._lines)
        return [f"{at:9.3f}  {text.format(*values)}" for at, text, values in last]
