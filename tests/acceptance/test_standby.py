"""A hot standby takes over from a leader that was killed; nothing is lost and nothing happens twice."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from itertools import pairwise

import pytest

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN, EVERY_SECOND
from tests.acceptance.house import House

pytestmark = [pytest.mark.acceptance, pytest.mark.chaos]

TAKEOVER_SECONDS_MAX = 15.0


def leader(house: House) -> str:
    found = house.store.leader("main")
    return found[0].holder if found is not None and found[1] > house.store.now() else ""


def test_the_standby_takes_over(house: House) -> None:
    house.write("chain", CHAIN)
    house.write("ticking", EVERY_SECOND)
    house.create()
    first = house.scheduler("first")
    second = house.scheduler("second", leads=False)
    house.dag_processor("chain", "ticking")
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")
    worker = house.worker_pid()

    killed_at = time.monotonic()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    (house.home / "go_many").touch()  # they end while nobody leads
    house.until(lambda: leader(house) == "second", "new leader", TAKEOVER_SECONDS_MAX)
    assert time.monotonic() - killed_at < TAKEOVER_SECONDS_MAX
    assert second.poll() is None

    (house.home / "go_last").touch()
    assert house.ends("chain", "r1") == "success"
    assert house.task_states("chain", "r1") == {"success": 8}
    assert house.worker_pid() == worker
    ledger.check(house, "chain", "r1")
    assert set(map(len, ledger.read(house).values())) == {1}, "nothing ran twice"
    one_run_per_tick(house)


def one_run_per_tick(house: House) -> None:
    """Wait until ticks fire under the new leader; none is missing since the first, none is there twice."""
    before = len(house.store.list_runs(dag_id="ticking", limit=1000))
    house.until(lambda: len(house.store.list_runs(dag_id="ticking", limit=1000)) > before + 2, "ticks")
    ticks = sorted(run.tick for run in house.store.list_runs(dag_id="ticking", limit=1000) if run.tick)
    assert set(Counter(ticks).values()) == {1}
    assert {(after - tick).total_seconds() for tick, after in pairwise(ticks)} == {1.0}
    started = Counter((house.home / "ticks.txt").read_text().split())
    assert set(started.values()) == {1}


def test_a_leader_that_slept_does_nothing_any_more(new_house: NewHouse, url: str) -> None:
    """SIGSTOP a leader until another leads; when it wakes it stands by, and no task was killed."""
    house = new_house(url, "[scheduler]\nterm_seconds = 2.0\n")
    house.write("chain", CHAIN)
    house.create()
    first = house.scheduler("first")
    house.scheduler("second", leads=False)
    house.dag_processor("chain")
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")
    os.kill(first.pid, signal.SIGSTOP)
    house.until(lambda: leader(house) == "second", "new leader")
    os.kill(first.pid, signal.SIGCONT)
    house.until(lambda: "stepped down" in house.log("first"), "step down of the first")
    for gate in ("go_many", "go_last"):
        (house.home / gate).touch()
    assert house.ends("chain", "r1") == "success"
    assert set(map(len, ledger.read(house).values())) == {1}, "adopting is no new attempt"
    ledger.check(house, "chain", "r1")
    assert first.poll() is None
