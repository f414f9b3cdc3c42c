"""Planted bugs are found: a simulation that finds nothing proves nothing."""

import pytest

from tradewind.testing.simulation.__main__ import main
from tradewind.testing.simulation.gate import find
from tradewind.testing.simulation.planted import BUGS, Bug

QUICK = {"retry consumed by a loss", "wrong successor", "missing fence", "pool counted from a stale snapshot"}
SEEDS_MAX = 2000


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 20


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in QUICK], ids=lambda bug: bug.name)
def test_it_is_found_at_once(bug: Bug) -> None:
    found = find(bug, 40)
    assert found.seed is not None


@pytest.mark.slow
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name not in QUICK], ids=lambda bug: bug.name)
def test_it_is_found(bug: Bug) -> None:
    found = find(bug, SEEDS_MAX)
    assert found.seed is not None


def test_what_was_planted_is_gone_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--gate", "--only", "retry consumed by a loss"]) == 0
    assert main(["--seeds", "0-5", "--store", "memory"]) == 0
    assert "1 of 1 planted bugs were found" in capsys.readouterr().out


def test_a_failing_seed_is_told_with_the_command_that_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    (bug,) = (bug for bug in BUGS if bug.name == "retry consumed by a loss")
    with bug.plant():
        assert main(["--seeds", "0-3", "--store", "memory"]) == 1
    told = capsys.readouterr().out
    assert "reproduce: python -m tradewind.testing.simulation --seed 0 --store memory --verbose" in told
