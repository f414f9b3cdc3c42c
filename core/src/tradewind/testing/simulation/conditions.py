"""What a scenario is like: how many of whom there are, and which faults come how often."""

from __future__ import annotations

from dataclasses import dataclass

from tradewind.testing.simulation.chance import Chance


@dataclass(slots=True)
class Conditions:
    """Drawn once per scenario. Probabilities are per occasion; :meth:`calm_down` ends all faults."""

    fault_seconds: float  # faults and people's acts stop after that long
    schedulers: int
    workers: int
    remote_workers: int
    slots: int  # of each worker
    task_seconds: float  # typical duration of user code
    messages_lost: float
    messages_doubled: float
    messages_late: float
    hints_lost: float
    verb_slow: float  # other parties act in the middle of a verb
    verb_fails: float  # before anything was done
    reply_lost: float  # after it was done
    verb_kills: float  # the process dies in the middle of it
    scheduler_crashes: int
    scheduler_pauses: int
    worker_crashes: int
    worker_pauses: int
    outages: int  # of the whole database
    clock_steps: int
    acts: int
    triggers: int

    def calm_down(self) -> None:
        """End all faults."""
        self.messages_lost = self.messages_doubled = self.messages_late = self.hints_lost = 0.0
        self.verb_slow = self.verb_fails = self.reply_lost = self.verb_kills = 0.0


def draw_conditions(chance: Chance) -> Conditions:
    """Return the conditions of one scenario: each kind of fault is absent in many and frequent in some."""
    reliable = chance.happens(0.2)  # only hosts fail: promptness can be asked for

    def rate(usual: float, strong: float) -> float:
        return 0.0 if reliable else chance.weighted([(0.5, 0.0), (0.3, usual), (0.2, strong)])

    def count(most: int) -> int:
        return 0 if chance.happens(0.5) else chance.whole(1, most)

    return Conditions(
        fault_seconds=chance.pick([60.0, 120.0, 180.0]),
        schedulers=chance.weighted([(0.5, 1), (0.5, 2)]),
        workers=chance.whole(1, 2),
        remote_workers=1,
        slots=chance.whole(1, 4),
        task_seconds=chance.pick([0.5, 3.0, 3.0, 10.0, 25.0]),
        messages_lost=rate(0.02, 0.15),
        messages_doubled=rate(0.05, 0.3),
        messages_late=rate(0.05, 0.2),
        hints_lost=rate(0.1, 0.8),
        verb_slow=rate(0.02, 0.2),
        verb_fails=rate(0.01, 0.05),
        reply_lost=rate(0.01, 0.05),
        verb_kills=rate(0.001, 0.005),
        scheduler_crashes=count(3),
        scheduler_pauses=count(3),
        worker_crashes=count(3),
        worker_pauses=count(3),
        outages=count(2),
        clock_steps=count(2),
        acts=chance.weighted([(0.4, 0), (0.4, chance.whole(1, 4)), (0.2, chance.whole(4, 12))]),
        triggers=chance.whole(1, 4),
    )
