"""A whole group of tasks runs once for each element of a list that an earlier task made.

Index i depends only on index i: the second year is drawn as soon as it is cleaned, whatever the first one does.
A plain task after the group gets all results, in order.
"""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tradewind import dag, task, task_group

WEATHER = Path(__file__).parent / "data/seattle-weather.csv"


def rows_of(year: str) -> list[dict]:
    with WEATHER.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["date"].startswith(year)]


@dag(schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["example", "weather"], doc=__doc__)
def mapped_group():
    @task
    def years() -> list[str]:
        with WEATHER.open(encoding="utf-8", newline="") as file:
            return sorted({row["date"][:4] for row in csv.DictReader(file)})

    @task_group
    def year_of(year: str) -> Any:
        @task(map_index_template="{{ task.op_kwargs.year }}")
        def rain(year: str) -> float:
            return round(sum(float(row["precipitation"]) for row in rows_of(year)), 1)

        @task
        def sentence(year: str, millimetres: float) -> str:
            return f"{year}: {millimetres} mm of rain"

        return sentence(year, rain(year))

    @task
    def together(sentences: list[str]) -> str:
        return "; ".join(sentences)

    together(year_of.expand(year=years()))


mapped_group()
