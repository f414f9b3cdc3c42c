"""Carries messages between processes: late, lost, doubled and out of order, as the conditions say."""

from __future__ import annotations

from typing import Final

from tradewind.testing.simulation.chance import Chance
from tradewind.testing.simulation.conditions import Conditions
from tradewind.testing.simulation.timeline import Action, Timeline

LATE_SECONDS_MAX: Final = 40.0  # longer than a lease: what comes then is stale


class Post:
    """One network. A message is an action that happens where it arrives.

    An ``orderly`` one is like a socket: nothing is lost while both ends are there, and what comes, comes in order.
    """

    def __init__(self, timeline: Timeline, chance: Chance, conditions: Conditions) -> None:
        self._timeline = timeline
        self._chance = chance
        self._conditions = conditions
        self.orderly = not (
            conditions.messages_lost or conditions.messages_doubled or conditions.messages_late
        )
        self._last: dict[object, float] = {}

    def send(self, way: object, deliver: Action) -> None:
        """Send a message; those of one ``way`` arrive in order while the network is orderly."""
        chance, conditions = self._chance, self._conditions
        delay = 0.0005 + 0.004 * chance.number()
        if self.orderly:
            at = max(self._timeline.now + delay, self._last.get(way, 0.0))
            self._last[way] = at
            self._timeline.after(at - self._timeline.now, deliver)
            return
        fate = chance.number()
        if fate < conditions.messages_lost:
            return
        fate -= conditions.messages_lost
        if fate < conditions.messages_late:
            delay = chance.between(0.05, LATE_SECONDS_MAX if chance.happens(0.2) else 3.0)
        fate -= conditions.messages_late
        self._timeline.after(delay, deliver)
        if 0 <= fate < conditions.messages_doubled:
            self._timeline.after(delay + chance.between(0.0, 10.0), deliver)
