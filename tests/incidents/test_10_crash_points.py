"""10: a scheduler died between the queue and its own note of it, and the task ran twice.

Here the process ends before or after any of its calls to the database and to the executor, at every one of them, and
another takes over; whatever was sent, each attempt is granted once, and the run ends with one attempt per task.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from tests.scheduler.house import LEASE_SECONDS, Crash, House, Leader, claim
from tradewind.domain.records import RunRow
from tradewind.ports.runtime_api import Launch

pytestmark = pytest.mark.chaos

CALLS_MAX = 200


class Fuse:
    """Crashes at the n-th point it passes."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, _where: object = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


def fused(house: House, leader: Leader, fuse: Fuse) -> None:
    house.flaky.before = house.flaky.after = fuse
    dispatch = leader.worker.dispatch

    def dispatched(launches: Sequence[Launch]) -> None:
        for launch in launches:
            fuse()
            dispatch([launch])

    leader.worker.dispatch = dispatched  # type: ignore[method-assign]


def work(house: House, leader: Leader, run: RunRow, granted: list[tuple[int, int]]) -> None:
    """Be the worker: claim and report everything that is sent, under a new claimant each time."""
    leader.turn()
    while leader.worker.launches:
        launch = leader.worker.launches.pop(0)
        row = house.store.instances([launch.instance_id])[0]
        reply = leader.ask(claims=(claim(row, f"claimant {len(granted)}"),)).claims[0]
        if reply.context is not None:
            granted.append((reply.instance_id, reply.token))
            assert leader.report(row) == "accepted"


def crash_at(number: int) -> bool:
    """Run a house whose first leader ends at the ``number``-th point; return whether it got that far."""
    house = House()
    first = house.leader()
    run = house.trigger()
    fuse = Fuse(number)
    fused(house, first, fuse)
    crashed = False
    try:
        first.turn()
    except Crash:
        crashed = True
    house.flaky.come_back()
    house.pass_seconds(LEASE_SECONDS + 1)
    second = house.leader("second")
    second.worker.launches.extend(first.worker.launches)  # what it had sent is on its way still
    granted: list[tuple[int, int]] = []
    work(house, second, run, granted)
    assert house.state(run) == "success"
    rows = [house.row(run, task_id) for task_id in ("extract", "load")]
    assert granted == [(row.id, 1) for row in rows]
    for row in rows:
        assert [(a.token, a.try_number, a.outcome) for a in house.store.attempts(row.id)] == [
            (1, 1, "success")
        ]
    return crashed


def test_at_every_point() -> None:
    points = sum(1 for _ in itertools.takewhile(crash_at, range(1, CALLS_MAX)))
    assert 5 <= points < CALLS_MAX - 1
