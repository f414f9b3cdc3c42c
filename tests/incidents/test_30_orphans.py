"""30: what a task had started went on after it was cancelled, timed out, or lost its worker."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.acceptance.conftest import NewHouse
from tests.acceptance.house import House
from tradewind.runtime.processes import started_ticks

pytestmark = pytest.mark.chaos

FAMILY = '''\
"""A task with a daemon in a session of its own, and one that times out."""

import os
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

from tradewind import DAG, task

PIDS = Path(os.environ["TRADEWIND_HOME"]) / "pids.txt"


def family():
    daemon = subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM HUP; sleep 1000 & wait"])
    PIDS.write_text(f"{os.getpid()} {daemon.pid} whole")
    threading.Event().wait()


with DAG("family"):
    task(family, task_id="endless")()

with DAG("hasty"):
    task(family, task_id="short", execution_timeout=timedelta(seconds=1))()
'''


def with_family(new_house: NewHouse, dag_id: str) -> tuple[House, list[int]]:
    house = new_house(settings="[executor]\ngrace_seconds = 0.5\n")
    house.write("family", FAMILY)
    house.standalone()
    house.trigger(dag_id, "r1")
    pids = house.home / "pids.txt"
    house.until(lambda: pids.exists() and pids.read_text().endswith("whole"), "the family")
    return house, [int(text) for text in pids.read_text().split()[:2]]


def all_gone(house: House, pids: list[int]) -> float:
    asked_at = time.monotonic()
    house.until(lambda: all(started_ticks(pid) is None for pid in pids), "end of the family", 10)
    house.until(lambda: not any("sleep 1000" in title for title in house.strays()), "end of the daemon", 10)
    return time.monotonic() - asked_at


def test_cancelled(new_house: NewHouse) -> None:
    house, pids = with_family(new_house, "family")
    house.json("runs", "cancel", "family", "r1", "--yes")
    assert all_gone(house, pids) < 5.0
    assert house.task_states("family", "r1") == {"cancelled": 1}


def test_timed_out(new_house: NewHouse) -> None:
    house, pids = with_family(new_house, "hasty")
    assert house.ends("hasty", "r1") == "failed"
    assert all_gone(house, pids) < 5.0


def test_worker_killed(new_house: NewHouse) -> None:
    house, pids = with_family(new_house, "family")
    (house.home / "pids.txt").unlink()
    os.kill(house.worker_pid(), signal.SIGKILL)
    assert all_gone_of_these(house, pids) < 5.0
    house.until((house.home / "pids.txt").exists, "the next attempt")


def all_gone_of_these(house: House, pids: list[int]) -> float:
    asked_at = time.monotonic()
    house.until(lambda: all(started_ticks(pid) is None for pid in pids), "end of the family", 10)
    return time.monotonic() - asked_at
