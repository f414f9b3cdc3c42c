"""A turn of the leader: nobody is told anything before it is committed, and nothing that was said is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.scheduler.house import LEASE_SECONDS, House, Leader, claim, question, report
from tradewind.domain.actions import pause_run
from tradewind.domain.leases import LEASE_SECONDS as ATTEMPT_LEASE_SECONDS
from tradewind.domain.records import InstanceRow, RunRow
from tradewind.errors import MetastoreUnavailableError, StaleTermError
from tradewind.ports.executor import Gone, LaunchFailed
from tradewind.ports.runtime_api import OutcomeKind
from tradewind.scheduler.engine import RESEND_AFTER


@pytest.fixture
def house() -> House:
    return House()


def started(house: House) -> tuple[Leader, RunRow, InstanceRow]:
    """Return a leader, a run, and its first task, claimed."""
    leader = house.leader()
    run = house.trigger()
    leader.turn()
    row = house.row(run)
    assert leader.claim(row).context is not None
    return leader, run, house.row(run)


def test_a_run_goes_through(house: House) -> None:
    leader, run, row = started(house)
    assert leader.report(row) == "accepted"
    load = house.row(run, "load")
    assert (load.state.value, house.state(run)) == ("queued", "running")
    assert leader.claim(load).context is not None
    assert leader.report(load) == "accepted"
    assert house.state(run) == "success"
    assert [launch.task_id for launch in leader.worker.launches] == ["extract", "load"]


def test_nothing_is_answered_while_the_database_is_away(house: House) -> None:
    leader, run, row = started(house)
    house.flaky.go_away("commit")
    told = leader.say(reports=(report(row),))
    with pytest.raises(MetastoreUnavailableError):
        leader.turn()
    assert (leader.worker.answers, house.row(run).state.value) == ({}, "running")
    house.flaky.come_back()
    leader.turn()  # the worker says it only once while its connection holds
    assert leader.worker.answers[told].reports[0].verdict == "accepted"
    assert house.row(run).state.value == "success"
    assert [attempt.outcome for attempt in house.store.attempts(row.id)] == ["success"]


def test_a_commit_whose_answer_was_lost_counts_once(house: House) -> None:
    leader, run, row = started(house)
    house.flaky.lose_answers_of("commit")
    told = leader.say(reports=(report(row),))
    with pytest.raises(MetastoreUnavailableError):
        leader.turn()
    assert house.row(run).state.value == "success"
    house.flaky.come_back()
    leader.turn()
    assert leader.worker.answers[told].reports[0].verdict == "accepted"
    assert [attempt.outcome for attempt in house.store.attempts(row.id)] == ["success"]
    assert house.row(run, "load").state.value == "queued"


def test_a_question_is_answered_later_and_what_came_after_it_is_not_lost(house: House) -> None:
    leader, run, row = started(house)
    house.flaky.go_away("task_state", "instances", "heartbeat", "run_row")
    asked = leader.say(data=question(row, "state_get"))
    told = leader.say(reports=(report(row),))
    with pytest.raises(MetastoreUnavailableError):
        leader.turn()
    assert leader.worker.answers == {}
    house.flaky.come_back()
    leader.turn()
    assert leader.worker.answers[asked].data is not None
    assert leader.worker.answers[told].reports[0].verdict == "accepted"
    assert house.row(run).state.value == "success"


def test_a_death_that_was_told_while_the_database_was_away_is_acted_on(house: House) -> None:
    leader, run, row = started(house)
    leader.worker.calls.append(Gone(instance_id=row.id, token=row.token, reason="worker 'w' ended"))
    house.flaky.go_away("commit")
    with pytest.raises(MetastoreUnavailableError):
        leader.turn()
    house.flaky.come_back()
    leader.turn()
    again = house.row(run)
    assert (again.state.value, again.try_number, again.losses) == ("queued", 1, 1)
    assert again.token > row.token


@pytest.mark.parametrize("signal", [Gone, LaunchFailed])
def test_a_lost_attempt_is_queued_again_without_using_up_a_try(house: House, signal: type[Gone]) -> None:
    leader, run, row = started(house)
    leader.worker.calls.append(signal(instance_id=row.id, token=row.token, reason="gone"))
    leader.turn()
    again = house.row(run)
    assert (again.state.value, again.try_number, again.losses) == ("queued", 1, 1)
    assert again.token > row.token
    assert leader.report(row) == "fenced"
    assert leader.claim(row).refused == "another attempt is newer, or this one has ended"
    assert leader.claim(again).context is not None


def test_a_death_told_twice_is_one_loss(house: House) -> None:
    leader, run, row = started(house)
    for _ in range(2):
        leader.worker.calls.append(Gone(instance_id=row.id, token=row.token, reason="gone"))
    leader.turn()
    leader.worker.calls.append(Gone(instance_id=row.id, token=row.token, reason="gone"))
    leader.turn()
    assert house.row(run).losses == 1


def test_another_leader_ends_this_one(house: House) -> None:
    leader, run, row = started(house)
    house.pass_seconds(LEASE_SECONDS + 1)
    second = house.leader("second")
    told = leader.say(reports=(report(row),))
    with pytest.raises(StaleTermError):
        leader.turn()
    assert (leader.worker.answers.get(told), house.row(run).state.value) == (None, "running")
    assert second.report(row) == "accepted", "the worker turns to the new leader"


def test_adopting_changes_no_attempt(house: House) -> None:
    _leader, run, row = started(house)
    house.pass_seconds(LEASE_SECONDS + 1)
    second = house.leader("second")
    second.turn()
    assert house.row(run) == row
    assert second.beat(row).stop is None
    assert second.report(row) == "accepted"
    assert [attempt.token for attempt in house.store.attempts(row.id)] == [row.token]


def test_what_was_queued_and_not_sent_is_sent_by_the_next_leader(house: House) -> None:
    first = house.leader()
    run = house.trigger()
    first.turn()
    house.pass_seconds(LEASE_SECONDS + 1)
    second = house.leader("second")
    second.turn()
    sent = [(launch.instance_id, launch.token) for launch in second.worker.launches]
    assert sent == [(house.row(run).id, 1)]


def test_a_launch_nobody_claims_is_sent_again(house: House) -> None:
    leader = house.leader()
    house.trigger()
    leader.turn()
    assert len(leader.worker.launches) == 1
    leader.engine.look_for_lost(house.clock.now())
    house.pass_seconds(RESEND_AFTER.total_seconds() + 1)
    leader.engine.look_for_lost(house.clock.now())
    leader.turn()
    first, second = leader.worker.launches
    assert first == second, "the same attempt: whoever claims second is refused"


def test_a_lease_that_ran_out_is_a_loss(house: House) -> None:
    leader, run, row = started(house)
    house.pass_seconds(ATTEMPT_LEASE_SECONDS + 1)
    leader = house.leader()
    leader.turn()
    assert house.row(run).state.value == "running", "nobody looked yet"
    leader.engine.look_for_lost(house.clock.now())
    leader.turn()
    again = house.row(run)
    assert (again.state.value, again.losses, again.token > row.token) == ("queued", 1, True)


def test_a_race_with_a_person_is_decided_anew(house: House) -> None:
    """A person pauses the run between this leader's reading and its commit."""
    leader, run, row = started(house)

    def pause(verb: str) -> None:
        if verb == "commit":
            house.flaky.come_back()
            snapshot = house.store.run(run.pk)
            assert snapshot is not None
            house.store.commit(pause_run(snapshot, now=house.clock.now(), actor="anna").batch)

    house.flaky.before = pause
    assert leader.report(row) == "accepted"
    assert (house.state(run), house.row(run, "load").state.value) == ("paused", "none")


def test_a_failed_try_waits_for_its_time(house: House) -> None:
    leader, run, row = started(house)
    assert leader.report(row, OutcomeKind.ERROR) == "accepted"
    waiting = house.row(run)
    assert waiting.state.value == "up_for_retry"
    assert waiting.wake_at is not None
    wake_at = leader.engine.turn(house.clock.now(), read_feed=False)
    assert wake_at == waiting.wake_at
    house.pass_seconds((wake_at - house.clock.now()) / timedelta(seconds=1))
    leader = house.leader()
    leader.turn()
    again = house.row(run)
    assert (again.state.value, again.try_number, again.token) == ("queued", 2, row.token + 1)


def test_one_run_that_cannot_be_decided_on_leaves_the_others_alone(house: House) -> None:
    """The established scheduler's loop span on such a run, and its health stayed green."""
    leader = house.leader()
    bad, good = house.trigger("bad"), house.trigger("good")
    leader.turn()
    leader.engine.world.runs[bad.pk].graph = None  # type: ignore[assignment]
    bad_row, good_row = house.row(bad), house.row(good)
    told = leader.say(claims=(claim(good_row),))
    unheard = leader.say(claims=(claim(bad_row),))
    leader.turn()
    assert leader.worker.answers[told].claims[0].context is not None
    assert unheard not in leader.worker.answers
    assert [trouble.partition(":")[0] for trouble in leader.troubles] == [f"run {bad.pk}"]
    assert leader.report(good_row) == "accepted"


def test_a_question_that_makes_no_sense_is_answered_so(house: House) -> None:
    leader, _run, row = started(house)
    wrong: list[dict[str, Any]] = [{"values": 7}, {"values": {1: []}}, {}]
    for arguments in wrong:
        reply = leader.ask(data=question(row, "state_set", **arguments)).data
        assert reply is not None
        assert reply.error is not None


def test_the_outcome_of_a_run_that_was_set_aside_waits_for_it(house: House) -> None:
    leader, run, row = started(house)
    leader.engine.world.set_aside(leader.engine.world.runs[run.pk], ValueError("strange"))
    for _ in range(2):
        told = leader.say(reports=(report(row),))
        leader.turn()
        assert told not in leader.worker.answers, "the worker keeps it and repeats it"
    assert house.row(run).state.value == "running"
    house.pass_seconds(LEASE_SECONDS + 1)
    second = house.leader("second")
    assert second.report(row) == "accepted"
    assert house.row(run).state.value == "success"
