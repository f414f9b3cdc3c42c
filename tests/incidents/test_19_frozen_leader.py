"""19: a scheduler that hung was replaced, and its successor killed the tasks that ran: see the frozen leader's test.

``tests/acceptance/test_standby.py`` freezes the leader on every database; here a frozen *worker* does not lose its
tasks as long as its lease holds.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN

pytestmark = pytest.mark.chaos


def test_a_worker_that_pauses_keeps_its_tasks(new_house: NewHouse) -> None:
    house = new_house()
    house.write("chain", CHAIN)
    house.standalone()
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")
    worker = house.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    (house.home / "go_many").touch()  # they end, and nobody can tell
    notes = house.home / "notes.txt"
    house.until(lambda: notes.read_text().count("end r1 many") == 6, "the end of six tasks")
    os.kill(worker, signal.SIGCONT)
    (house.home / "go_last").touch()
    assert house.ends("chain", "r1") == "success"
    assert set(map(len, ledger.read(house).values())) == {1}
    assert house.worker_pid() == worker
