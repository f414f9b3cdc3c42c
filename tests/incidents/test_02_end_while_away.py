"""02: a run stays running when its last task ended while no scheduler was there, or its DAG was paused meanwhile."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN

pytestmark = pytest.mark.chaos

RUN_ENDS_WITHIN_SECONDS = 5.0


@pytest.mark.parametrize("paused", [False, True])
def test_the_run_ends_soon_after_the_scheduler_is_back(new_house: NewHouse, *, paused: bool) -> None:
    house = new_house(settings="[scheduler]\nterm_seconds = 1.0\n")
    house.write("chain", CHAIN)
    house.create()
    scheduler = house.scheduler("first")
    house.dag_processor("chain")
    house.trigger("chain", "r1")
    for gate in ("go_first", "go_many"):
        (house.home / gate).touch()
    house.until(lambda: "start r1 last" in (house.home / "notes.txt").read_text(), "the last task")
    os.kill(scheduler.pid, signal.SIGKILL)
    scheduler.wait()
    (house.home / "go_last").touch()
    house.until(lambda: not house.pids("tradewind task"), "the end of the last task")
    if paused:
        house.json("dags", "pause", "chain")
    assert house.state("chain", "r1") == "running"
    house.scheduler("second")
    led_at = time.monotonic()
    assert house.ends("chain", "r1") == "success"
    assert time.monotonic() - led_at < RUN_ENDS_WITHIN_SECONDS
    assert house.task_states("chain", "r1") == {"success": 8}
