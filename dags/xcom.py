"""Tasks hand each other small values, called XComs: what a task returns, or pushes under a key of its own.

JSON values travel as they are; dates, decimals, bytes, sets and dataclasses too. What is larger than a megabyte goes
into a file or table, and its path travels.
"""

from datetime import UTC, datetime
from decimal import Decimal

from tradewind import dag, task


@dag(tags=["example"], doc=__doc__)
def xcom():
    @task
    def measure(ti) -> dict[str, float]:
        ti.xcom_push("measured_at", datetime(2026, 1, 1, 6, tzinfo=UTC))
        return {"celsius": 21.5, "millimetres": 0.4}  # as dict[str, …] says, each key is an output of its own

    @task
    def price(celsius: float) -> Decimal:
        return Decimal("1.20") if celsius > 20 else Decimal("0.90")

    @task
    def sign(price: Decimal, millimetres: float, ti) -> str:
        measured_at = ti.xcom_pull("measure", key="measured_at")
        weather = "dry" if millimetres < 1 else "wet"
        return f"{measured_at:%d %B}: ice cream {price} € ({weather})"

    measured = measure()
    sign(price(measured["celsius"]), measured["millimetres"])


xcom()
