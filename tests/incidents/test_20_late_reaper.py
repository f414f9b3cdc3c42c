"""20: a task was declared lost after it had succeeded, from what the reaper had read before."""

from __future__ import annotations

import pytest

from tests.scheduler.house import House, Leader, report
from tradewind.domain.leases import LEASE_SECONDS
from tradewind.domain.records import InstanceRow, RunRow


@pytest.fixture
def late() -> tuple[House, Leader, RunRow, InstanceRow]:
    """Return a leader that has seen an expired lease, and has not acted on it yet."""
    house = House()
    first = house.leader()
    run = house.trigger()
    first.turn()
    row = house.row(run)
    first.claim(row)
    house.pass_seconds(LEASE_SECONDS + 1)
    leader = house.leader("second")
    leader.engine.look_for_lost(house.clock.now())
    return house, leader, run, row


def test_a_heartbeat_in_between_saves_it(late: tuple[House, Leader, RunRow, InstanceRow]) -> None:
    house, leader, run, row = late
    assert house.store.heartbeat([(row.id, row.token)], LEASE_SECONDS) == []
    leader.turn()
    found = house.row(run)
    assert (found.state.value, found.token, found.losses) == ("running", row.token, 0)
    assert leader.report(row) == "accepted"


def test_a_report_in_between_counts(late: tuple[House, Leader, RunRow, InstanceRow]) -> None:
    house, leader, run, row = late
    told = leader.say(reports=(report(row),))
    leader.turn()
    verdict = leader.worker.answers[told].reports[0].verdict
    attempts = [attempt.outcome for attempt in house.store.attempts(row.id)]
    assert (verdict, attempts) in [("accepted", ["success"]), ("fenced", ["lost"])]
    assert house.row(run).losses == (verdict == "fenced")


def test_without_either_it_is_lost_once(late: tuple[House, Leader, RunRow, InstanceRow]) -> None:
    house, leader, run, row = late
    leader.turn()
    leader.engine.look_for_lost(house.clock.now())
    leader.turn()
    found = house.row(run)
    assert (found.token > row.token, found.losses, leader.report(row)) == (True, 1, "fenced")
