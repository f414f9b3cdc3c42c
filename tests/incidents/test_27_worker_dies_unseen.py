"""27: a worker died, its run stayed running for ever, and its slots were never given back."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN
from tradewind.runtime import processes

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

QUEUED_AGAIN_WITHIN_SECONDS = 35.0


def test_a_death_nobody_saw_is_noticed_by_the_lease(new_house: NewHouse) -> None:
    """Worker, fork servers, tasks and scheduler die together: nobody is left who could tell."""
    house = new_house(settings="[executor]\nparallelism = 6\n[scheduler]\nterm_seconds = 1.0\n")
    house.write("chain", CHAIN)
    house.create()
    scheduler = house.scheduler("first")
    house.dag_processor("chain")
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")
    worker = house.worker_pid()
    doomed = [scheduler.pid, worker, *processes.descendants_of(worker)]
    for signum in (signal.SIGSTOP, signal.SIGKILL):
        for pid in doomed:
            os.kill(pid, signum)
    died_at = time.monotonic()
    scheduler.wait()
    house.scheduler("second")
    house.until(lambda: sum(map(len, ledger.read(house).values())) == 13, "six tasks that run again")
    assert time.monotonic() - died_at < QUEUED_AGAIN_WITHIN_SECONDS + 5.0  # and a moment to start
    for gate in ("go_many", "go_last"):
        (house.home / gate).touch()
    assert house.ends("chain", "r1") == "success"
    assert {row.try_number for row in house.snapshot("chain", "r1").instances} == {1}
    ledger.check(house, "chain", "r1")
