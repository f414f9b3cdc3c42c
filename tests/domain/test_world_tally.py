"""Tallies and their masks say what the rules say of the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.domain.rules import setup_verdict, teardown_verdict, verdict
from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import TaskState
from tradewind.domain.world.tally import KIND, RULE_TABLES, SETUP_TABLE, Tally, judge_teardown

KINDS = st.integers(0, 5)
MOVES = st.lists(st.tuples(KINDS, KINDS), max_size=30)


def tally_of(kinds: list[int]) -> Tally:
    tally = Tally()
    for kind in kinds:
        tally.add(kind)
    return tally


@given(st.lists(KINDS, max_size=30))
@pytest.mark.parametrize("rule", list(TriggerRule))
def test_the_table_answers_as_the_rule(rule: TriggerRule, kinds: list[int]) -> None:
    tally = tally_of(kinds)
    assert RULE_TABLES[rule][tally.mask] is verdict(rule, tally.as_counts())


@given(st.lists(KINDS, max_size=20), st.lists(KINDS, max_size=5))
def test_setups_and_teardowns_too(kinds: list[int], setups: list[int]) -> None:
    tally, needed = tally_of(kinds), tally_of(setups)
    assert SETUP_TABLE[needed.mask] is setup_verdict(needed.as_counts())
    assert judge_teardown(tally.mask, needed.mask) is teardown_verdict(tally.as_counts(), needed.as_counts())


@given(st.lists(KINDS, min_size=1, max_size=20), MOVES)
def test_shifting_keeps_counts_and_mask_together(kinds: list[int], moves: list[tuple[int, int]]) -> None:
    tally = tally_of(kinds)
    for before, after in moves:
        if tally.counts[before] == 0 or before == after:
            continue
        mask = tally.mask
        assert tally.shift(before, after) == (tally.mask != mask)
    assert sum(tally.counts) == len(kinds)
    assert tally.mask == sum(1 << kind for kind, count in enumerate(tally.counts) if count)


def test_every_state_has_a_kind() -> None:
    assert set(KIND) == set(TaskState)
