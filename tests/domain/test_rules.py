"""The trigger rules against the oracle table, cell by cell, and their laws for any number of upstreams."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.domain.rules import NEEDS, Counts, Verdict, setup_verdict, teardown_verdict, verdict
from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import TERMINAL_TASK_STATES, TaskState

_ORACLE = Path(__file__).parent / "oracles" / "trigger_rules.txt"
_STATES = {
    "S": TaskState.SUCCESS,
    "F": TaskState.FAILED,
    "K": TaskState.SKIPPED,
    "U": TaskState.UPSTREAM_FAILED,
    "R": TaskState.REMOVED,
    "-": TaskState.RUNNING,
}
_ENDS = (TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED, TaskState.REMOVED)
_CELLS = {"RN": Verdict.RUN, "..": Verdict.WAIT, "sk": Verdict.SKIP, "uf": Verdict.UPSTREAM_FAIL}


def _table() -> dict[tuple[str, str], Verdict]:
    lines = [line.split() for line in _ORACLE.read_text().splitlines() if line and not line.startswith("#")]
    columns = lines[0][1:]
    return {
        (row[0], column): _CELLS[cell.rstrip("*")]
        for row in lines[1:]
        for column, cell in zip(columns, row[1:], strict=True)
    }


def _counts(states: list[TaskState]) -> Counts:
    counts = Counts(total=len(states))
    for state in states:
        counts.add(state)
    return counts


def _of(letters: str) -> Counts:
    return _counts([_STATES[letter] for letter in letters])


def test_every_cell_of_the_oracle() -> None:
    table = _table()
    assert len(table) == 12 * 21
    got = {(rule, column): verdict(TriggerRule(rule), _of(column)) for rule, column in table}
    assert got == table


def test_the_oracle_names_every_rule_but_the_teardowns() -> None:
    assert {rule for rule, _ in _table()} == {rule.value for rule in TriggerRule} - {"all_done_setup_success"}


@pytest.mark.parametrize("rule", TriggerRule)
def test_no_upstream_runs(rule: TriggerRule) -> None:
    assert verdict(rule, Counts()) is Verdict.RUN


def test_every_rule_says_what_it_needs() -> None:
    assert set(NEEDS) == set(TriggerRule)


def test_cancelled_and_unknown_count_as_failed() -> None:
    assert _counts([TaskState.CANCELLED, TaskState.UNKNOWN]) == Counts(total=2, failed=2)


_terminal = st.sampled_from(sorted(TERMINAL_TASK_STATES))
_any_state = st.sampled_from(sorted(TaskState))


@given(st.sampled_from(TriggerRule), st.lists(_terminal, min_size=1, max_size=30))
def test_no_rule_waits_when_all_are_finished(rule: TriggerRule, states: list[TaskState]) -> None:
    assert verdict(rule, _counts(states)) is not Verdict.WAIT


@given(st.sampled_from(TriggerRule), st.data())
def test_order_does_not_matter(rule: TriggerRule, data: st.DataObject) -> None:
    states = data.draw(st.lists(_any_state, max_size=12))
    shuffled = data.draw(st.permutations(states))
    assert verdict(rule, _counts(shuffled)) is verdict(rule, _counts(states))


@given(st.sampled_from(TriggerRule), st.lists(_any_state, min_size=1, max_size=8), st.data())
def test_only_the_kinds_of_states_matter(
    rule: TriggerRule, states: list[TaskState], data: st.DataObject
) -> None:
    """The scheduler may look verdicts up by which kinds there are, whatever their numbers."""
    more = states + data.draw(st.lists(st.sampled_from(states), max_size=5))
    assert verdict(rule, _counts(more)) is verdict(rule, _counts(states))
    assert setup_verdict(_counts(more)) is setup_verdict(_counts(states))
    assert teardown_verdict(_counts(more), _counts(states)) is teardown_verdict(
        _counts(states), _counts(more)
    )


@given(st.lists(_any_state, max_size=20), st.integers(0, 20))
def test_removing_undoes_adding(states: list[TaskState], keep: int) -> None:
    counts = _counts(states)
    for state in states[keep:]:
        counts.remove(state)
    expected = _counts(states[:keep])
    expected.total = len(states)
    assert counts == expected


@given(st.sampled_from(TriggerRule), st.lists(_any_state, min_size=1, max_size=4))
def test_an_early_run_is_never_taken_back(rule: TriggerRule, states: list[TaskState]) -> None:
    """A task that started because its rule said so would also have started had it waited for the rest."""
    if verdict(rule, _counts(states)) is not Verdict.RUN:
        return
    live = [index for index, state in enumerate(states) if state not in TERMINAL_TASK_STATES]
    for ends in itertools.product(_ENDS, repeat=len(live)):
        finished = list(states)
        for index, end in zip(live, ends, strict=True):
            finished[index] = end
        assert verdict(rule, _counts(finished)) is Verdict.RUN


@pytest.mark.parametrize(
    ("work", "setups", "expected"),
    [
        ("SS", "S", Verdict.RUN),
        ("FF", "S", Verdict.RUN),
        ("S-", "S", Verdict.WAIT),
        ("SS", "-", Verdict.WAIT),
        ("UU", "F", Verdict.UPSTREAM_FAIL),
        ("UU", "FK", Verdict.UPSTREAM_FAIL),
        ("KK", "K", Verdict.SKIP),
        ("RR", "R", Verdict.SKIP),
        ("FS", "FS", Verdict.RUN),
        ("FS", "", Verdict.RUN),
        ("", "", Verdict.RUN),
    ],
)
def test_teardowns(work: str, setups: str, expected: Verdict) -> None:
    assert teardown_verdict(_of(work), _of(setups)) is expected


@pytest.mark.parametrize(
    ("setups", "expected"),
    [
        ("", Verdict.RUN),
        ("SS", Verdict.RUN),
        ("S-", Verdict.WAIT),
        ("F-", Verdict.UPSTREAM_FAIL),
        ("K-", Verdict.SKIP),
        ("KF", Verdict.UPSTREAM_FAIL),
    ],
)
def test_setups_decide_without_waiting_for_others(setups: str, expected: Verdict) -> None:
    assert setup_verdict(_of(setups)) is expected
