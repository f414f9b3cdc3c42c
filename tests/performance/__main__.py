"""The benchmarks: ``python -m tests.performance [NAME …] [--quick] [--json FILE] [--docs FILE] [--folder FOLDER]``.

Everything runs as in an installation: isolated processes, a durable SQLite, the real scheduler and worker. The
limits of the machine are measured in the same run. A figure is the best of several runs where its note says so;
what else the machine does meanwhile makes all of them worse.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.performance import commands, flow, history, limits, machine, memory, parsing, rest
from tests.performance.figures import Figure, markdown, table
from tests.performance.limits import Limits

ROOT = Path(__file__).parents[2]
BENCHMARKS: dict[str, Callable[..., Iterator[Figure]]] = {
    "chain": flow.chain,
    "fan": flow.fan,
    "fleet": flow.fleet,
    "trigger": flow.trigger,
    "idle": rest.idle,
    "imports": commands.imports,
    "parse": parsing.parse,
    "history": history.history,
    "memory": memory.memory,
}
INTRODUCTION = """# Benchmarks

What `./dev nox -s bench -- --docs docs/benchmarks.md` measured, on {machine}.
Isolated processes, one per task; every state change durable (SQLite, `synchronous = FULL`); the real scheduler and
worker. *budget* is what the present state of the project promises, *goal* what it aims at, *limit here* what this
machine allows at best, measured in the same run, in the same unit. Compare ratios, not absolute figures.

"""


def main() -> int:
    """Measure what is asked for; return 1 when a benchmark could not be measured."""
    options = _options()
    figures: list[Figure] = []
    failed = []
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        about = machine.description(folder)
        print(about, flush=True)
        bounds = limits.measure(folder, quick=options.quick)
        figures += bounds.figures()
        for benchmark in options.names or BENCHMARKS:
            try:
                figures += _measured(benchmark, folder, bounds, quick=options.quick)
            except Exception:  # noqa: BLE001 - the other benchmarks are still worth measuring
                traceback.print_exc()
                failed.append(benchmark)
    print(table(figures))
    if options.json:
        document = {"machine": about, "figures": [figure.plain() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if options.docs:
        options.docs.write_text(
            INTRODUCTION.format(machine=about) + markdown(figures) + "\n", encoding="utf-8"
        )
    if failed:
        print(f"Could not be measured: {', '.join(failed)}. The errors stand above.", file=sys.stderr)
    return bool(failed)


def _measured(benchmark: str, folder: Path, bounds: Limits, *, quick: bool) -> Iterator[Figure]:
    for figure in BENCHMARKS[benchmark](folder, bounds, quick=quick):
        print(" ".join(part for part in (*figure.row()[:2], figure.verdict) if part), flush=True)
        if figure.note:
            print(f"    {figure.note}", flush=True)
        yield figure


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description="Measure the budgets.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="smaller and rougher")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--docs", type=Path, help="write the page of the documentation to this file")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="where the databases lie")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
