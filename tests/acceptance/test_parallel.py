"""Fifty tasks at once on SQLite, commands beside them, and nobody ever meets a lock."""

from __future__ import annotations

import subprocess

import pytest

from tests.acceptance.conftest import NewHouse
from tests.acceptance.house import House, answer

pytestmark = pytest.mark.acceptance

TASKS = 50

WRITERS = f'''\
"""Tasks that wait until all of them run, and then write XComs and state as fast as they can."""

import os
import threading
from pathlib import Path

from tradewind import DAG, get_current_context, task

with DAG("writers", max_active_tasks=100, max_active_tasks_per_run=100):

    @task
    def write(number):
        context = get_current_context()
        here = Path(os.environ["TRADEWIND_HOME"]) / "here"
        (here / str(number)).touch()
        while len(os.listdir(here)) < {TASKS}:
            threading.Event().wait(0.02)
        for turn in range(5):
            context.ti.xcom_push(f"key_{{turn}}", [number, turn])
            context.state[f"turn_{{turn}}"] = number
        return number

    @task
    def total(numbers):
        return sum(numbers)

    total(write.expand(number=list(range({TASKS}))))
'''

SMALL = """\
from tradewind import DAG, task

with DAG("small"):

    @task
    def only():
        return 1

    only()
"""


def test_fifty_parallel_tasks_meet_no_lock(new_house: NewHouse) -> None:
    house = new_house(settings=f"[executor]\nparallelism = {TASKS}\n")
    house.write("writers", WRITERS)
    house.write("small", SMALL)
    (house.home / "here").mkdir()
    house.standalone()
    running = house.popen(
        "dags", "trigger", "writers", "--run-id", "r1", "--wait", "--timeout", "90", "-o", "json"
    )
    told = commands_beside(house, running)
    shape = answer(running, 100).json()
    assert shape["state"] == "success"
    assert house.task_states("writers", "r1") == {"success": TASKS + 1}
    run = house.snapshot("writers", "r1").run
    assert house.store.xcoms(run.pk, "total")[0][2] == str(sum(range(TASKS)))
    for number in range(TASKS):
        state = house.store.task_state(run.pk, "write", (number,))
        assert state == {f"turn_{turn}": str(number) for turn in range(5)}
        keys = [row[1] for row in house.store.xcoms(run.pk, "write", map_index=(number,))]
        assert sorted(keys) == [*(f"key_{turn}" for turn in range(5)), "return_value"]
    for number in range(told):
        assert house.ends("small", f"s{number}") == "success"
    assert "locked" not in house.logs().lower()


def commands_beside(house: House, running: subprocess.Popen[str]) -> int:
    """Trigger, list and pause by commands, two at a time, while the run goes; return how many runs were started."""
    started = 0
    while running.poll() is None or started < 3:
        pair = [
            house.popen("dags", "trigger", "small", "--run-id", f"s{started}", "-o", "json"),
            house.popen("runs", "list", "-o", "json"),
            house.popen("pools", "set", f"p{started}", "3", "-o", "json"),
        ]
        for one in pair:
            said = answer(one)
            said.json()
            assert "locked" not in said.err.lower()
        started += 1
    return started
