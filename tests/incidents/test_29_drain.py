"""29: a SIGTERM to workers killed their tasks on every scale-down. Here it costs no retry."""

from __future__ import annotations

import os
import signal

import pytest

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN
from tests.acceptance.house import House

pytestmark = pytest.mark.chaos


def running(new_house: NewHouse, drain_seconds: float) -> House:
    house = new_house(settings=f"[executor]\ngrace_seconds = 1.0\ndrain_seconds = {drain_seconds}\n")
    house.write("chain", CHAIN)
    house.standalone()
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")
    return house


def finish(house: House) -> set[str]:
    for gate in ("go_many", "go_last"):
        (house.home / gate).touch()
    assert house.ends("chain", "r1") == "success"
    ledger.check(house, "chain", "r1")
    assert {row.try_number for row in house.snapshot("chain", "r1").instances} == {1}
    return {attempt.outcome for attempts in house.attempts("chain", "r1").values() for attempt in attempts}


def test_running_attempts_may_end_by_themselves(new_house: NewHouse) -> None:
    house = running(new_house, drain_seconds=60.0)
    worker = house.worker_pid()
    os.kill(worker, signal.SIGTERM)
    assert finish(house) == {"success"}
    house.until(lambda: house.worker_pid() not in {0, worker}, "another worker")


@pytest.mark.parametrize("whole_group", [False, True])
def test_those_that_do_not_are_run_again(new_house: NewHouse, *, whole_group: bool) -> None:
    house = running(new_house, drain_seconds=0.2)
    worker = house.worker_pid()
    if whole_group:
        os.killpg(worker, signal.SIGTERM)
    else:
        os.kill(worker, signal.SIGTERM)
    house.until(lambda: house.worker_pid() not in {0, worker}, "another worker")
    assert finish(house) == {"success", "lost"}


def test_terminated_twice_and_then_killed(new_house: NewHouse) -> None:
    house = running(new_house, drain_seconds=60.0)
    worker = house.worker_pid()
    for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        os.kill(worker, signum)
    house.until(lambda: house.worker_pid() not in {0, worker}, "another worker")
    assert finish(house) == {"success", "lost"}
