"""The DAG of the tutorial: three tasks, one of them once for each order.

A function with @task is a task, calling it connects it, and `expand` makes an instance for each element of a list that
is known only at run time.
"""

from datetime import UTC, datetime, timedelta

from tradewind import dag, task


@dag(schedule="0 6 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["example"])
def first_steps():
    @task(retries=3, retry_delay=timedelta(minutes=1))
    def extract() -> list[dict]:
        return [
            {"item": "tea", "pieces": 3, "price": 4.5},
            {"item": "cake", "pieces": 1, "price": 12.0},
            {"item": "coffee", "pieces": 2, "price": 3.25},
        ]

    @task
    def value(order: dict) -> float:
        return order["pieces"] * order["price"]

    @task
    def report(values: list[float]) -> str:
        return f"{len(values)} orders, {sum(values):.2f} in all"

    report(value.expand(order=extract()))


first_steps()
