"""Bugs planted on purpose, to prove that the simulation would find them: each in one place of production code."""

from __future__ import annotations

from typing import Final

from tradewind.testing.simulation.planted import attempts, decisions, doing
from tradewind.testing.simulation.planted.patches import Bug

__all__ = ["BUGS", "Bug"]

BUGS: Final[tuple[Bug, ...]] = (*attempts.BUGS, *decisions.BUGS, *doing.BUGS)
