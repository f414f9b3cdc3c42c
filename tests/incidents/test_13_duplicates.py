"""13: two workers took one message; a task was started eleven times within milliseconds."""

from __future__ import annotations

import pytest

from tests.scheduler.house import House, claim

COPIES = 10


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("at_once", [False, True])
def test_of_many_claims_one_is_granted(house: House, *, at_once: bool) -> None:
    leader = house.leader()
    run = house.trigger()
    leader.turn()
    row = house.row(run)
    calls = []
    for number in range(COPIES):
        calls.append(leader.say(claims=(claim(row, f"claimant {number}"),)))
        if not at_once:
            leader.turn()
    leader.turn()
    replies = [leader.worker.answers[call].claims[0] for call in calls]
    assert [reply.context is not None for reply in replies] == [True, *[False] * (COPIES - 1)]
    assert {reply.refused for reply in replies[1:]} == {"another worker has it"}
    assert leader.claim(row, "claimant 0").context is not None, "the one that has it may ask again"


def test_after_its_end_a_late_copy_is_refused(house: House) -> None:
    leader = house.leader()
    run = house.trigger()
    leader.turn()
    row = house.row(run)
    leader.claim(row)
    assert leader.report(row) == "accepted"
    assert leader.claim(row, "late").refused == "another attempt is newer, or this one has ended"
    assert leader.report(row) == "accepted", "a repeated report is answered as the first time"
    assert [attempt.outcome for attempt in house.store.attempts(row.id)] == ["success"]
