"""How long short commands take: fresh processes, medians."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.performance import dag_texts
from tests.performance.figures import Figure
from tests.performance.installation import installed
from tests.performance.limits import Limits

ROUNDS = 15
DAG_FILES = 10


def imports(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """``import tradewind``, ``tradewind --help``, ``tradewind dags list``."""
    program = Path(sys.executable).with_name("tradewind")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "tradewind"]
    rounds = 5 if quick else ROUNDS
    files = {f"listed_{n}": dag_texts.small(f"listed_{n}") for n in range(DAG_FILES)}
    with installed(folder, files) as house:
        with house.running():
            house.know(*files)
        environment = house.environment()
        bare = _median_ms([sys.executable, "-c", "pass"], environment, rounds)
        cases = (
            ("import tradewind", [sys.executable, "-c", "import tradewind"], 60),
            ("tradewind --help", [*command, "--help"], 150),
            ("tradewind dags list", [*command, "dags", "list"], 400),
        )
        for name, arguments, budget in cases:
            yield Figure(
                f"{name}, whole process",
                _median_ms(arguments, environment, rounds),
                "ms",
                budget=budget,
                goal=budget,
                limit=limits.interpreter_ms,
                note=f"an interpreter of this environment alone takes {bare:.0f} ms" if budget == 60 else "",
            )


def _median_ms(arguments: Sequence[str], environment: Mapping[str, str], rounds: int) -> float:
    def once() -> float:
        start = perf_counter()
        subprocess.run(arguments, check=True, env=environment, stdout=subprocess.DEVNULL)
        return perf_counter() - start

    once()  # the first one writes the byte code
    return median(once() for _ in range(rounds)) * 1000
