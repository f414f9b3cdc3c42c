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

from tradewind.testing.simulation.scenario import Result, simulate
from tradewind.testing.simulation.stores import StoreKind
from tradewind.testing.simulation.timeline import Violation

__all__ = ["Result", "StoreKind", "Violation", "simulate"]
