"""The report says of each figure whether it reaches what is promised."""

from __future__ import annotations

import pytest

from tests.performance.figures import Figure, markdown, number, table


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("a", 4, "ms", budget=5, goal=3), "ok"),
        (Figure("a", 5, "ms", budget=5), "ok"),
        (Figure("a", 2, "ms", budget=5, goal=3), "ok, goal"),
        (Figure("a", 6, "ms", budget=5, goal=3), "MISS"),
        (Figure("a", 400, "/s", budget=500, goal=1000, more_is_better=True), "MISS"),
        (Figure("a", 600, "/s", budget=500, goal=1000, more_is_better=True), "ok"),
        (Figure("a", 700, "/s", goal=800, more_is_better=True), "MISS"),
        (Figure("a", 7, "MB", goal=8), "ok"),
        (Figure("a", 7, "MB"), ""),
    ],
)
def test_a_figure_is_held_against_the_budget_and_else_the_goal(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict


def test_the_ratio_is_to_the_limit_of_the_same_run() -> None:
    assert Figure("a", 3.0, "ms", limit=1.5).ratio == 2.0
    assert Figure("a", 3.0, "ms").ratio is None


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0.123, 9.876, 12.34, 123.4, 12345.6)] == [
        "0.12",
        "9.88",
        "12.3",
        "123",
        "12,346",
    ]


def test_tables_hold_one_line_per_figure_and_the_notes() -> None:
    figures = [
        Figure("chain", 4.0, "ms", budget=5, goal=3, limit=1.0),
        Figure("fan", 600.0, "tasks/s", budget=500, more_is_better=True, note="mapped"),
    ]
    assert table(figures).splitlines() == [
        "what      measured  budget    goal  limit here  × limit",
        "chain      4.00 ms  ≤ 5.00  ≤ 3.00        1.00     4.00  ok",
        "fan    600 tasks/s   ≥ 500                               ok",
    ]
    assert markdown(figures).splitlines() == [
        "| what | measured | budget | goal | limit here | × limit |  |",
        "|---|---:|---:|---:|---:|---:|---|",
        "| chain | 4.00 ms | ≤ 5.00 | ≤ 3.00 | 1.00 | 4.00 | ok |",
        "| fan | 600 tasks/s | ≥ 500 |  |  |  | ok |",
        "",
        "- fan: mapped.",
    ]
