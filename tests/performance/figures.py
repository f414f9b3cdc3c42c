"""A measured figure beside its goal, its budget and the limit of this machine; and how a list of them looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEADINGS = ("what", "measured", "budget", "goal", "limit here", "× limit", "")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. ``limit`` is what this machine allows at best, in the same unit, from the same run."""

    name: str
    value: float
    unit: str
    budget: float | None = None  # of the present state of the project; None: only the goal counts
    goal: float | None = None
    limit: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the limit the value is."""
        return self.value / self.limit if self.limit else None

    @property
    def verdict(self) -> str:
        """``ok``, ``MISS``, or nothing when there is nothing to hold it against."""
        if self.budget is None and self.goal is None:
            return ""
        wanted = self.budget if self.budget is not None else self.goal
        assert wanted is not None
        if not self._reaches(wanted):
            return "MISS"
        return (
            "ok, goal"
            if self.budget is not None and self.goal is not None and self._reaches(self.goal)
            else "ok"
        )

    def _reaches(self, wanted: float) -> bool:
        return self.value >= wanted if self.more_is_better else self.value <= wanted

    def row(self) -> tuple[str, ...]:
        """Return the line's cells as text."""
        sign = "≥" if self.more_is_better else "≤"
        return (
            self.name,
            f"{number(self.value)} {self.unit}".strip(),
            "" if self.budget is None else f"{sign} {number(self.budget)}",
            "" if self.goal is None else f"{sign} {number(self.goal)}",
            "" if self.limit is None else number(self.limit),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.verdict,
        )

    def plain(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def number(value: float) -> str:
    """Return three significant digits, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a table for a terminal."""
    rows = [HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)),
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def markdown(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table, notes below it."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" + "|---:" * (len(HEADINGS) - 2) + "|---|"]
    lines += ["| " + " | ".join(figure.row()) + " |" for figure in figures]
    notes = [f"- {figure.name}: {figure.note}." for figure in figures if figure.note]
    return "\n".join([*lines, "", *notes] if notes else lines)
