"""Run ids: made unique, and refused with the character that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.domain.records import RunType
from tradewind.domain.run_ids import check_dag_id, check_run_id, check_task_id, make_run_id
from tradewind.errors import LimitError

_DATE = datetime(2026, 1, 1, 6, tzinfo=UTC)
_PLAIN = "manual__2026-01-01T06:00:00+00:00"


def test_the_first_of_an_instant_is_plain() -> None:
    assert make_run_id(RunType.SCHEDULED, _DATE, set().__contains__) == "scheduled__2026-01-01T06:00:00+00:00"


def test_another_zone_is_the_same_instant() -> None:
    there = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=2)))
    assert make_run_id(RunType.MANUAL, there, set().__contains__) == _PLAIN


def test_further_ones_are_numbered() -> None:
    taken: set[str] = set()
    for _ in range(4):
        taken.add(make_run_id(RunType.MANUAL, _DATE, taken.__contains__))
    assert taken == {_PLAIN, f"{_PLAIN}_2", f"{_PLAIN}_3", f"{_PLAIN}_4"}


def test_a_loop_gone_wild_ends() -> None:
    with pytest.raises(LimitError, match=r"1,000 runs manual__2026.*give a run_id of your own"):
        make_run_id(RunType.MANUAL, _DATE, lambda _text: True)


@given(st.sampled_from(RunType), st.datetimes(timezones=st.just(UTC)))
def test_what_is_made_is_allowed(run_type: RunType, logical_date: datetime) -> None:
    made = make_run_id(run_type, logical_date, set().__contains__)
    assert check_run_id(made) == made
    assert check_run_id(f"{made}_999") == f"{made}_999"


@pytest.mark.parametrize("check", [check_run_id, check_dag_id, check_task_id])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be empty"),
        ("a b", r"has ' ' at position 2; allowed are letters"),
        ("../etc/passwd", "has '/' at position 3"),
        ("..", "names a folder"),
        ("naïve", "has 'ï' at position 3"),
        ("a\n", r"has '\\n' at position 2"),
        ("x" * 251, r"has 251 characters; at most 250"),
    ],
)
def test_what_is_refused(check: Callable[[str], str], text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(text)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (check_run_id, "my-run_1.~:+"),
        (check_run_id, "x" * 250),
        (check_dag_id, "sales.daily-2"),
        (check_task_id, "group.inner.task"),
    ],
)
def test_what_is_allowed(check: Callable[[str], str], text: str) -> None:
    assert check(text) == text


def test_only_runs_may_have_colons() -> None:
    with pytest.raises(ValueError, match="has ':' at position 2; allowed are"):
        check_dag_id("a:b")
