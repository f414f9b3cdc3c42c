"""What an installation takes when nothing happens: memory, processor time, queries."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.performance import dag_texts, processes
from tests.performance.figures import Figure
from tests.performance.installation import Installation, installed, settle
from tests.performance.limits import Limits

DAG_FILES = 10
LOOK_SECONDS = 20.0
CALM_SECONDS = 8.0  # after the last run, before the look
ENDS = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")
VALUES = re.compile(r"'[^']*'|\b\d+\b")


def idle(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """Ten scheduled DAGs, one of which has run; then twenty seconds of nothing."""
    seconds = 5.0 if quick else LOOK_SECONDS
    files = {f"calm_{n}": dag_texts.small(f"calm_{n}", schedule="0 3 1 1 *") for n in range(DAG_FILES)}
    with installed(folder, files) as house:
        with house.running() as root:
            _work_once(house)
            yield from _memory_and_cpu(root, seconds)
        trace = house.home / "statements.txt"
        with house.running(sys.executable, "-m", "tests.performance.traced", str(trace), "standalone"):
            _work_once(house)
            trace.write_text("", encoding="utf-8")
            settle(seconds)
            yield from _queries(trace.read_text(encoding="utf-8").splitlines(), seconds)


def _work_once(house: Installation) -> None:
    house.know("calm_0")
    house.ended(house.trigger("calm_0"))
    settle(CALM_SECONDS)


def _memory_and_cpu(root: int, seconds: float) -> Iterator[Figure]:
    pids = processes.tree(root)
    before = sum(map(processes.own_cpu_seconds, pids))
    settle(seconds)
    used = sum(map(processes.own_cpu_seconds, pids)) - before
    sizes = {processes.name(pid): processes.pss_mb(pid) for pid in pids}
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    yield Figure(
        "idle standalone, memory (PSS)",
        sum(sizes.values()),
        "MB",
        budget=150,
        goal=150,
        note=f"{len(pids)} processes: {parts} MB",
    )
    yield Figure(
        f"idle standalone, processor over {seconds:.0f} s",
        used / seconds * 100,
        "% of a core",
        budget=1,
        goal=1,
    )


def _queries(statements: list[str], seconds: float) -> Iterator[Figure]:
    kinds = Counter(VALUES.sub("?", statement) for statement in statements)
    queries = [(count, text) for text, count in kinds.items() if not text.startswith(ENDS)]
    count, often = max(queries, default=(0, "none"))
    yield Figure(
        f"idle standalone, statements over {seconds:.0f} s",
        len(statements) / seconds,
        "/s",
        note=f"{len(kinds)} different ones, begins and ends of transactions included",
    )
    yield Figure(
        "idle standalone, the most frequent query",
        count / seconds,
        "/s",
        goal=0.2 + 1 / seconds,
        note=f"one in five seconds, and one more for where the look begins; it is `{often[:60]} …`",
    )
