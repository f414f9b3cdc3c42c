"""What the parts of a scenario see of the house they live in."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from tradewind.domain.graph import Graph
from tradewind.domain.records import RunRow
from tradewind.ports.metastore import Metastore
from tradewind.testing.clock import VirtualClock
from tradewind.testing.simulation.auditor import Auditor
from tradewind.testing.simulation.chance import Chance
from tradewind.testing.simulation.conditions import Conditions
from tradewind.testing.simulation.executor import Switchboard
from tradewind.testing.simulation.post import Post
from tradewind.testing.simulation.timeline import Timeline


class Place(Protocol):
    """The house, seen from inside: what is drawn, what is shared, and where the metastore is."""

    chance: Chance
    clock: VirtualClock
    timeline: Timeline
    conditions: Conditions
    down: bool
    auditor: Auditor
    post: Post
    switchboard: Switchboard
    executor_names: tuple[str, str]

    def store_for(self, who: str) -> Metastore:
        """Return the metastore as one party uses it: a connection of its own."""
        ...

    def graph(self, run: RunRow) -> Graph:
        """Return the graph of a run's version."""
        ...

    def no_trigger(
        self,
        dag_id: str,
        *,
        run_id: str | None,
        logical_date: datetime | None,
        conf: dict[str, Any],
        note: str,
        actor: str,
    ) -> tuple[RunRow, bool]:
        """Refuse what no simulated task asks for."""
        ...
