"""DAG files that installations of these tests run."""

from __future__ import annotations

LINGER = '''\
"""Tasks that note their attempt, and go on until a file named after them appears."""

import os
import threading
from pathlib import Path

from tradewind import DAG, get_current_context, task

HOME = Path(os.environ["TRADEWIND_HOME"])


def note(word):
    facts = get_current_context().facts
    index = ".".join(map(str, facts.map_index)) or "-"
    with (HOME / "ledger.txt").open("a") as file:
        file.write(f"{facts.task_id} {index} {facts.token}\\n" if word == "start" else "")
    with (HOME / "notes.txt").open("a") as file:
        file.write(f"{word} {facts.run_id} {facts.task_id} {index} {facts.token} {os.getpid()}\\n")


def linger(gate):
    note("start")
    while not (HOME / gate).exists():
        threading.Event().wait(0.02)
    note("end")
    return gate
'''

CHAIN = (
    LINGER
    + """

with DAG("chain", max_active_runs=4):

    @task
    def first():
        return linger("go_first")

    @task
    def many(number, _after):
        return linger("go_many")

    @task
    def last(_counts):
        return linger("go_last")

    last(many.partial(_after=first()).expand(number=list(range(6))))
"""
)

EVERY_SECOND = '''\
"""A run each second; each notes its tick."""

import os
from datetime import UTC, datetime
from pathlib import Path

from tradewind import DAG, get_current_context, task

START = datetime(2026, 1, 1, tzinfo=UTC)

with DAG("ticking", schedule="* * * * * *", start_date=START, catchup="30s", max_active_runs=8):

    @task
    def tick():
        with (Path(os.environ["TRADEWIND_HOME"]) / "ticks.txt").open("a") as file:
            file.write(get_current_context()["ts"] + "\\n")

    tick()
'''
