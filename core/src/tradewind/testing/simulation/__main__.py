"""``python -m tradewind.testing.simulation``: scenario after scenario until the time is over."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import count

from tradewind.testing.simulation import Result, StoreKind, simulate
from tradewind.testing.simulation.gate import run_gate

SECONDS_DEFAULT = 120.0
TRACE_LINES = 25
FAILURES_MAX = 10  # after so many the rest is no news


def main(arguments: list[str] | None = None) -> int:
    """Run scenarios; return 1 when a promise was broken (or, with --gate, when a planted bug was not found)."""
    options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    stores: list[StoreKind] = ["memory", "sqlite"] if options.store == "both" else [options.store]
    if options.gate:
        return run_gate(options.gate_seeds, options.only)
    if options.seed is not None:
        return max(_one(options.seed, store, verbose=options.verbose) for store in stores)
    return _campaign(options, stores)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tradewind.testing.simulation", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=SECONDS_DEFAULT, help="how long to go on (default: 120)"
    )
    parser.add_argument("--seed", type=int, help="one scenario")
    parser.add_argument("--seeds", type=_seeds, metavar="A-B", help="these scenarios, whatever the time")
    parser.add_argument("--store", choices=["memory", "sqlite", "both"], default="both")
    parser.add_argument("--verbose", action="store_true", help="with --seed: tell the whole story")
    parser.add_argument("--gate", action="store_true", help="find the planted bugs instead")
    parser.add_argument(
        "--gate-seeds", type=int, default=2000, help="seeds for each planted bug (default: 2000)"
    )
    parser.add_argument("--only", help="with --gate: this planted bug alone")
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _one(seed: int, store: StoreKind, *, verbose: bool) -> int:
    result = simulate(seed, store, trace_lines=10**6 if verbose else TRACE_LINES)
    _tell(result, store)
    return 1 if result.violation else 0


def _tell(result: Result, store: StoreKind) -> None:
    print(*result.trace, sep="\n")  # noqa: T201 - this is a command
    verdict = result.violation or "every promise was kept"
    print(f"seed {result.seed} on {store}: {verdict}")  # noqa: T201
    if result.violation:
        command = f"python -m tradewind.testing.simulation --seed {result.seed} --store {store} --verbose"
        print(f"reproduce: {command}\n")  # noqa: T201


def _campaign(options: argparse.Namespace, stores: list[StoreKind]) -> int:
    """Run seeds in turn, every fourth on SQLite when both stores are asked for."""
    began = time.monotonic()
    seeds: Iterator[int] = iter(options.seeds) if options.seeds is not None else count()
    done = attempts = commits = 0
    failed: list[tuple[int, StoreKind]] = []
    for seed in seeds:
        if options.seeds is None and time.monotonic() - began >= options.seconds:
            break
        store = stores[-1] if seed % 4 == 3 else stores[0]  # noqa: PLR2004 - SQLite is the slower one
        result = simulate(seed, store, trace_lines=TRACE_LINES)
        done += 1
        attempts += result.attempts
        commits += result.commits
        if result.violation:
            failed.append((seed, store))
            _tell(result, store)
            if len(failed) >= FAILURES_MAX:
                break
    seconds = time.monotonic() - began
    print(  # noqa: T201
        f"{done} scenarios in {seconds:.1f} s ({done / seconds:.1f}/s on {' and '.join(stores)}): "
        f"{commits} commits and {attempts} attempts audited, {len(failed)} scenarios broke a promise"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
