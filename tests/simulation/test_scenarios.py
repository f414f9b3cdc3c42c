"""Scenarios keep every promise, and a seed is a scenario: the same one each time, on both stores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind.testing.simulation import StoreKind, simulate
from tradewind.testing.simulation.__main__ import main

SEEDS = [
    int(line.split()[0])
    for line in Path(__file__).with_name("seeds.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_what_once_failed_holds(seed: int, store: StoreKind) -> None:
    result = simulate(seed, store, trace_lines=40)
    assert result.violation is None, "\n".join((*result.trace, str(result.violation)))


def test_new_scenarios_hold() -> None:
    broken = [result for result in map(simulate, range(100_000, 100_060)) if result.violation]
    assert broken == []


def test_a_seed_is_one_story_whatever_the_hash_seed() -> None:
    program = (
        "from tradewind.testing.simulation import simulate\n"
        "for seed in range(12): print(simulate(seed, trace_lines=400))\n"
    )
    stories = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(stories) == 1


def test_both_stores_tell_the_same_story() -> None:
    seeds = range(20)
    assert [simulate(seed, "memory", trace_lines=400) for seed in seeds] == [
        simulate(seed, "sqlite", trace_lines=400) for seed in seeds
    ]


def test_the_command_runs_seeds_and_says_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1-5", "--store", "memory"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("5 scenarios in ")
    assert told.endswith(" 0 scenarios broke a promise\n")
