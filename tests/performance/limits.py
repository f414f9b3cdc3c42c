"""What this machine allows at best, measured in the same run as everything that is held against it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.performance.figures import Figure

FORKING_MB = 12.0  # the size of a fork server
ROUNDS = 3  # of each limit; the best counts
COMMITS = 1_000
INTERPRETERS = 15


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits; see :func:`measure`."""

    fork_ms: float
    forked_tasks_per_second: float
    commits_per_second: float
    interpreter_ms: float

    @property
    def commit_ms(self) -> float:
        """What one durable commit of one row takes."""
        return 1000 / self.commits_per_second

    @property
    def step_ms(self) -> float:
        """What a durable step costs at least: a fork that reports, and two commits."""
        return self.fork_ms + 2 * self.commit_ms

    def figures(self) -> list[Figure]:
        """Return them as lines of the report."""
        return [
            Figure(f"limit: fork, report, wait ({FORKING_MB:.0f} MB)", self.fork_ms, "ms"),
            Figure(
                "limit: minimal fork-per-task executor",
                self.forked_tasks_per_second,
                "tasks/s",
                more_is_better=True,
            ),
            Figure("limit: durable commits of one row", self.commits_per_second, "/s", more_is_better=True),
            Figure("limit: a new interpreter", self.interpreter_ms, "ms"),
        ]


def measure(folder: Path, *, quick: bool) -> Limits:
    """Measure all limits; ``folder`` is where the databases lie."""
    count = 300 if quick else 1_500
    forks = [_forks(count) for _ in range(ROUNDS)]
    return Limits(
        fork_ms=min(one for one, _rate in forks),
        forked_tasks_per_second=max(rate for _one, rate in forks),
        commits_per_second=max(_commits(folder) for _ in range(ROUNDS)),
        interpreter_ms=median(_interpreter() for _ in range(INTERPRETERS)) * 1000,
    )


def _forks(count: int) -> tuple[float, float]:
    program = str(Path(__file__).with_name("bare_forks.py"))
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, str(FORKING_MB), str(count)],
        check=True,
        capture_output=True,
        text=True,
    )
    one, rate = done.stdout.split()
    return float(one), float(rate)


def _commits(folder: Path) -> float:
    path = folder / "commits.db"
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, text TEXT)")
        start = perf_counter()
        for number in range(COMMITS):
            connection.execute("INSERT INTO one VALUES (?, 'a row')", (number,))
        return COMMITS / (perf_counter() - start)
    finally:
        connection.close()
        for left in folder.glob("commits.db*"):
            left.unlink()


def _interpreter() -> float:
    start = perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return perf_counter() - start
