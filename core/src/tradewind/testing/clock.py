"""Clocks that stand still until they are moved, for tests and simulation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """The one time of a simulated world: ``seconds`` since ``start``, moved by hand and never backwards."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self.seconds = 0.0

    def now(self) -> datetime:
        """Return the virtual wall time, aware UTC."""
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Return the virtual seconds since the start."""
        return self.seconds

    def move_to(self, seconds: float) -> None:
        """Let time pass until ``seconds`` after the start; an instant that has passed changes nothing."""
        self.seconds = max(self.seconds, seconds)


class HostClock:
    """The clock of one host in that world: its wall time can be stepped, its monotonic time has its own zero."""

    def __init__(self, clock: VirtualClock, *, zero: float = 0.0) -> None:
        self._clock = clock
        self._zero = zero
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return what this host takes for the wall time."""
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        """Return seconds since this host's zero; no step changes them."""
        return self._clock.seconds - self._zero

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back by that much."""
        self._ahead += timedelta(seconds=seconds)
