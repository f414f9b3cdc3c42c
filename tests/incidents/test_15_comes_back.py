"""15: the task of a run that was ended came back ten minutes later, and ran for half an hour in production."""

from __future__ import annotations

import os
import signal

import pytest

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN

pytestmark = pytest.mark.chaos


def test_what_was_cancelled_never_starts_again(new_house: NewHouse) -> None:
    """Its worker is frozen before it can learn of the cancel, and then killed; everything is started anew."""
    house = new_house(settings="[executor]\ngrace_seconds = 1.0\ndrain_seconds = 1.0\n")
    house.write("chain", CHAIN)
    standalone = house.standalone()
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")
    worker = house.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    house.json("runs", "cancel", "chain", "r1", "--yes")
    assert house.state("chain", "r1") == "cancelled"
    os.kill(worker, signal.SIGKILL)
    house.until(lambda: house.worker_pid() not in {0, worker}, "another worker")

    house.trigger("chain", "r2")  # whatever is left over would have gone before it
    for gate in ("go_many", "go_last"):
        (house.home / gate).touch()
    assert house.ends("chain", "r2") == "success"
    standalone.send_signal(signal.SIGTERM)
    assert standalone.wait(20) == 0
    house.standalone()
    house.trigger("chain", "r3")
    assert house.ends("chain", "r3") == "success"

    lines = (house.home / "notes.txt").read_text().splitlines()
    started = sorted(line.split()[2:4] for line in lines if line.startswith("start r1 "))
    assert started == [["first", "-"], *(["many", str(index)] for index in range(6))]
    assert house.state("chain", "r1") == "cancelled"
    assert house.task_states("chain", "r1") == {"success": 1, "cancelled": 7}
