"""Ctrl-C ends everything; the next start goes on; two on one home is one too many."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN
from tests.acceptance.house import House

pytestmark = pytest.mark.acceptance

NO_PATIENCE = "[executor]\ngrace_seconds = 1.0\ndrain_seconds = 1.0\n"


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C: the whole foreground group hears it."""
    os.killpg(process.pid, signal.SIGINT)


def test_ctrl_c_ends_everything_and_the_next_start_goes_on(new_house: NewHouse, url: str) -> None:
    house = new_house(url, NO_PATIENCE)
    house.write("chain", CHAIN)
    standalone = house.standalone()
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")
    pressed_at = time.monotonic()
    interrupt(standalone)
    assert standalone.wait(20) == 0
    assert time.monotonic() - pressed_at < 10
    house.until(lambda: not house.strays(), "end of all processes", 1)
    assert "Traceback" not in house.logs()
    assert house.state("chain", "r1") == "running"

    for gate in ("go_many", "go_last"):
        (house.home / gate).touch()
    house.standalone()
    assert house.ends("chain", "r1") == "success"
    assert house.task_states("chain", "r1") == {"success": 8}
    ledger.check(house, "chain", "r1")
    outcomes = {a.outcome for attempts in house.attempts("chain", "r1").values() for a in attempts}
    assert outcomes == {"success", "lost"}
    tries = {row.try_number for row in house.snapshot("chain", "r1").instances}
    assert tries == {1}, "being interrupted uses up no retry"


TIDY = '''\
"""A task that tidies up when it is asked to end."""

import os
import signal
import sys
import threading
from pathlib import Path

from tradewind import DAG, task

HOME = Path(os.environ["TRADEWIND_HOME"])

with DAG("tidy"):

    @task
    def work():
        def asked(_number, _frame):
            (HOME / "tidied").touch()
            sys.exit(3)

        signal.signal(signal.SIGTERM, asked)
        (HOME / "working").touch()
        while not (HOME / "go").exists():
            threading.Event().wait(0.02)

    work()
'''


def test_tasks_get_their_grace(new_house: NewHouse) -> None:
    house = new_house(settings=NO_PATIENCE)
    house.write("tidy", TIDY)
    standalone = house.standalone()
    house.trigger("tidy", "r1")
    house.until((house.home / "working").exists, "the task")
    interrupt(standalone)
    assert standalone.wait(20) == 0
    assert (house.home / "tidied").exists()
    (house.home / "go").touch()
    house.standalone()
    assert house.ends("tidy", "r1") == "success"


def test_a_second_ctrl_c_does_not_wait(new_house: NewHouse) -> None:
    house = new_house()
    house.write("chain", CHAIN)
    standalone = house.standalone()
    house.trigger("chain", "r1")
    house.until(lambda: len(ledger.read(house)) == 1, "a task that runs")
    interrupt(standalone)
    house.until(lambda: "stopping" in house.log("standalone"), "the first one")
    interrupt(standalone)
    standalone.wait(8)
    house.until(lambda: not house.strays(), "end of all processes", 2)


def test_a_second_standalone_says_who_runs(new_house: NewHouse) -> None:
    house = new_house()
    house.standalone()
    holder = (house.home / "run" / "standalone.lock").read_text().strip()
    assert house.run("standalone").message() == (
        f"Error: Tradewind runs already on {house.home} (process {holder}). Use that one, end it with"
        f" `kill {holder}`, or set TRADEWIND_HOME to another folder."
    )
    assert house.json("dags", "list") == [], "the first one goes on"


def test_what_dies_is_started_again(home: House) -> None:
    home.write("chain", CHAIN)
    home.standalone()
    for title in ("tradewind dag-processor", "tradewind scheduler"):
        pid = home.pid(title)
        os.kill(pid, signal.SIGKILL)
        home.until(lambda title=title, pid=pid: home.pids(title) not in ([], [pid]), f"another {title}")  # type: ignore[misc]
    for gate in ("go_first", "go_many", "go_last"):
        (home.home / gate).touch()
    home.trigger("chain", "r1")
    assert home.ends("chain", "r1") == "success"
