"""Simulation: the real scheduler code against seeded faults on a virtual clock, held to its promises.

Theory of operation
-------------------
One seed draws everything: a few DAGs of any shape, how many schedulers and workers there are, what user code does,
what people do, and which faults come when. The loop, leadership, engine, feed, decisions, runtime API and acts are
the production code; so is the metastore (in memory, or SQLite whose database time is virtual). Time is a heap of
actions. A process that is in the middle of a metastore call can be overtaken there by all others, can be refused,
can lose the answer, and can die: so every order of commits that a real installation may see can come up.

An auditor reads the rows after each commit and keeps a ledger of what attempts really did. It shares no code with
the world it audits. After the faults everything has to end within bounded time. The same seed repeats a scenario
exactly; ``python -m tradewind.testing.simulation --seed N --verbose`` tells its story.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from tradewind.testing.simulation.house import House
from tradewind.testing.simulation.stores import StoreKind
from tradewind.testing.simulation.timeline import Violation

__all__ = ["Result", "StoreKind", "Violation", "simulate"]


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
