"""DAG files that the tests of the command line put into their homes."""

from __future__ import annotations

SALES = '''\
"""Sales."""

from datetime import datetime

from tradewind import Param, dag, task


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1),
    tags=["sales"],
    params={"region": Param("eu", enum=["eu", "us"])},
)
def sales():
    @task(retries=1)
    def extract() -> list[int]:
        print("extracting")
        return [1, 2]

    @task
    def load(row: int) -> int:
        return row * 10

    @task(trigger_rule="none_failed")
    def report(rows: list[int]) -> int:
        return sum(rows)

    report(load.expand(row=extract()))


sales()
'''

CHAIN = '''\
"""Two tasks, one after the other."""

from tradewind import DAG, task

with DAG("chain"):

    @task
    def first() -> str:
        print("hello from first")
        return "one"

    @task
    def second(text: str) -> str:
        return text + " two"

    second(first())
'''

SLOW = '''\
"""A task that goes on until a file appears; it notes each of its attempts."""

import os
import select
from datetime import timedelta
from pathlib import Path

from tradewind import DAG, get_current_context, task

with DAG("slow"):

    @task(retries=2, retry_delay=timedelta(seconds=0.1))
    def linger() -> str:
        home = Path(os.environ["TRADEWIND_HOME"])
        attempt = get_current_context().ti.try_number
        with (home / "attempts.txt").open("a") as file:
            file.write(f"{os.getpid()} {attempt}\\n")
        print("waiting for go.txt", flush=True)
        while not (home / "go.txt").exists():
            select.select([], [], [], 0.02)
        print("it is there", flush=True)
        return "went"

    linger()
'''

FAILING = '''\
"""A task that fails for good, and one that needs it."""

from tradewind import DAG, task
from tradewind.errors import Fail

with DAG("failing"):

    @task
    def breaks() -> None:
        raise Fail("the input is wrong")

    @task
    def needs() -> None:
        pass

    breaks() >> needs()
'''

BROKEN = """\
from tradewind import DAG

with DAG("broken", schedule="61 * * * *"):
    pass
"""
