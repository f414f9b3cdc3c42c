"""Bugs planted on purpose, to prove that the simulation would find them: each in one place of production code."""

from __future__ import annotations

from typing import Final

from tradewind.testing.simulation.planted.attempts import BUGS as _ATTEMPTS
from tradewind.testing.simulation.planted.decisions import BUGS as _DECISIONS
from tradewind.testing.simulation.planted.doing import BUGS as _DOING
from tradewind.testing.simulation.planted.patches import Bug

__all__ = ["BUGS", "Bug"]

BUGS: Final[tuple[Bug, ...]] = (*_ATTEMPTS, *_DECISIONS, *_DOING)
