"""The gate: every planted bug must be found, and the same seeds must pass without it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tradewind.testing.simulation import simulate
from tradewind.testing.simulation.planted import BUGS, Bug


@dataclass(frozen=True, slots=True)
class Found:
    """How a planted bug was found."""

    bug: Bug
    seed: int | None  # None: it was not
    violation: str
    seconds: float


def find(bug: Bug, seeds: int) -> Found:
    """Simulate with the bug planted until a promise is broken that the right code keeps."""
    began = time.monotonic()
    for seed in range(seeds):
        with bug.plant():
            result = simulate(seed, bug.store)
        if result.violation is not None:
            if simulate(seed, bug.store).violation is not None:
                continue  # that seed breaks without the bug too, and proves nothing
            return Found(bug, seed, result.violation, time.monotonic() - began)
    return Found(bug, None, "", time.monotonic() - began)


def run_gate(seeds: int, only: str | None = None) -> int:
    """Find all planted bugs; return 1 when one was not found."""
    began = time.monotonic()
    missed = 0
    bugs = [bug for bug in BUGS if only is None or bug.name == only]
    for bug in bugs:
        found = find(bug, seeds)
        missed += found.seed is None
        where = f"not found in {seeds} seeds" if found.seed is None else f"seed {found.seed}"
        print(f"{bug.name:40} {where:12} {found.seconds:6.1f} s  {found.violation[:110]}", flush=True)  # noqa: T201
    seconds = time.monotonic() - began
    print(f"{len(bugs) - missed} of {len(bugs)} planted bugs were found in {seconds:.0f} s")  # noqa: T201
    return 1 if missed else 0
