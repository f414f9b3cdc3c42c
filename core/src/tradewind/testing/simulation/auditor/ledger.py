"""The ledger of side effects: which attempts' user code ran where, from when to when, and what was told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.testing.simulation.timeline import Timeline, Violation

Key = tuple[int, int]

# What the archive says of an attempt that somebody ended on purpose: its process may be told a little later.
ENDED_ON_PURPOSE = frozenset({"cancelled", "cleared", "marked success", "marked failed"})


@dataclass(slots=True)
class Process:
    """User code that runs."""

    worker: str
    incarnation: str
    trusts: Callable[[Key], bool]  # whether its own host lets it run on
    orphan: bool = False  # its supervisor died; nobody has ended it yet
    signalled: bool = False


@dataclass(slots=True)
class Ledger:
    """Everything that has really happened."""

    timeline: Timeline
    archived_as: Callable[[Key], str | None]  # the outcome in the archive of an attempt
    live: dict[int, dict[Key, Process]] = field(default_factory=dict)  # by instance
    ran: set[Key] = field(default_factory=set)
    spooled: dict[Key, Outcome] = field(default_factory=dict)
    gone: set[Key] = field(default_factory=set)
    started_count: int = 0

    def start(self, key: Key, process: Process) -> None:
        """User code starts."""
        self.timeline.note("{} runs attempt {} token {}", process.incarnation, key[0], key[1])
        if key in self.ran:
            raise Violation(f"S1: attempt {key} ran twice, the second time on {process.incarnation}")
        self.ran.add(key)
        self.started_count += 1
        others = self.live.setdefault(key[0], {})
        # Granted, then ended by a person while the answer was on its way: a beat will tell its worker.
        revoked = self.archived_as(key) in ENDED_ON_PURPOSE
        for other, older in others.items():
            if not (older.orphan or older.trusts(other)):
                continue  # it stands still, or its host has begun to end it
            why = self.archived_as(other)
            if why not in ENDED_ON_PURPOSE and not revoked:
                raise Violation(
                    f"S3: attempt {key} starts on {process.incarnation} while attempt {other} runs on "
                    f"{older.incarnation}; its row says {why}"
                )
        others[key] = process

    def end(self, key: Key) -> None:
        """User code has ended."""
        self.live.get(key[0], {}).pop(key, None)

    def end_all(self, worker: str, incarnation: str) -> None:
        """All processes of a worker (or of one incarnation of it) have ended."""
        for processes in self.live.values():
            for key, process in list(processes.items()):
                if process.worker == worker and incarnation in {"", process.incarnation}:
                    del processes[key]

    def process(self, key: Key) -> Process | None:
        """Return the live process of an attempt."""
        return self.live.get(key[0], {}).get(key)

    def was_interrupted(self, key: Key) -> bool:
        """Whether a worker itself said that it lost the attempt, or all its processes are known to be dead."""
        told = self.spooled.get(key)
        return key in self.gone or (told is not None and told.kind is OutcomeKind.INTERRUPTED)
