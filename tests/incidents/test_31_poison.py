"""31: a task that kills its worker was started again and again, and took everything with it."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import NewHouse
from tradewind.domain.leases import LOSSES_MAX

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

POISON = '''\
"""A task that kills the process that forked it, and one that does its work."""

import os
import signal

from tradewind import DAG, task

with DAG("poison"):

    @task(retries=3)
    def drink():
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()

    drink()
'''

GOOD = """\
from tradewind import DAG, task

with DAG("good"):

    @task
    def work():
        return 1

    work()
"""


def test_it_is_given_up_and_others_are_unharmed(new_house: NewHouse) -> None:
    house = new_house()
    house.write("poison", POISON)
    house.write("good", GOOD)
    house.standalone()
    house.trigger("poison", "r1")
    for number in range(3):
        house.trigger("good", f"r{number}")
        assert house.ends("good", f"r{number}") == "success"
    assert house.ends("poison", "r1", 90) == "failed"
    (attempts,) = house.attempts("poison", "r1").values()
    assert [attempt.outcome for attempt in attempts] == ["lost"] * (LOSSES_MAX + 1)
    (row,) = house.snapshot("poison", "r1").instances
    assert (row.state.value, row.try_number) == ("failed", 1)
    assert "its fork server ended (killed: SIGKILL)" in row.reason
    assert {len(one) for number in range(3) for one in house.attempts("good", f"r{number}").values()} == {1}
