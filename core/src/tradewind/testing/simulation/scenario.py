"""One scenario, from its seed to how it ended."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from tradewind.testing.simulation.house import House
from tradewind.testing.simulation.stores import StoreKind
from tradewind.testing.simulation.timeline import Violation


@dataclass(frozen=True, slots=True)
class Result:
    """How one scenario ended."""

    seed: int
    violation: str | None  # None: every promise was kept
    virtual_seconds: float
    commits: int
    attempts: int  # whose user code ran
    trace: tuple[str, ...] = ()


def simulate(seed: int, store: StoreKind = "memory", *, trace_lines: int = 0) -> Result:
    """Let the scenario of a seed happen. The trace has its last ``trace_lines`` events (0: none)."""
    with ExitStack() as stack:
        house = House(seed, store, stack)
        violation = None
        try:
            house.live()
        except Violation as found:
            violation = str(found)
        return Result(
            seed=seed,
            violation=violation,
            virtual_seconds=house.timeline.now,
            commits=house.auditor.commits,
            attempts=house.auditor.ledger.started_count,
            trace=tuple(house.timeline.trace(trace_lines)) if trace_lines else (),
        )
