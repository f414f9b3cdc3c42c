"""The leader's world follows what others write, at the cost of what they wrote."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from tests.scheduler.house import House
from tradewind.domain.actions import cancel_run


@pytest.fixture
def house() -> House:
    return House()


def counted(house: House) -> Counter[str]:
    verbs: Counter[str] = Counter()
    house.flaky.before = lambda verb: verbs.update([verb])
    return verbs


def test_a_run_of_somebody_else_is_found(house: House) -> None:
    leader = house.leader()
    leader.turn()
    run = house.trigger()
    assert run.pk not in leader.engine.world.runs
    leader.turn()
    assert house.row(run).state.value == "queued"
    assert [launch.task_id for launch in leader.worker.launches] == ["extract"]


def test_own_commits_are_not_read_again(house: House) -> None:
    leader = house.leader()
    run = house.trigger()
    leader.turn()
    row = house.row(run)
    verbs = counted(house)
    leader.claim(row)
    leader.report(row)
    assert verbs["run"] == 0, "its own changes are in its memory"
    assert verbs["active_runs"] == 0
    leader.turn()
    assert house.row(run, "load").state.value == "queued"


def test_an_idle_turn_asks_for_events_only(house: House) -> None:
    leader = house.leader()
    leader.turn()
    verbs = counted(house)
    for _ in range(10):
        leader.turn()
    assert verbs == Counter({"events_after": 10})


def test_a_pool_changes(house: House) -> None:
    house.store.set_pool("default", 0, "closed", actor="test")
    leader = house.leader()
    run = house.trigger()
    leader.turn()
    assert house.row(run).state.value == "scheduled"
    house.store.set_pool("default", 1, "open", actor="test")
    leader.turn()
    assert house.row(run).state.value == "queued"


def test_a_cancelled_run_is_let_go(house: House) -> None:
    leader = house.leader()
    run = house.trigger()
    leader.turn()
    row = house.row(run)
    snapshot = house.store.run(run.pk)
    assert snapshot is not None
    house.store.commit(cancel_run(snapshot, now=house.clock.now(), actor="test").batch)
    reply = leader.claim(row)
    assert reply.refused == "another attempt is newer, or this one has ended"
    assert (house.state(run), run.pk in leader.engine.world.runs) == ("cancelled", False)


def test_a_deleted_dag_disappears(house: House) -> None:
    leader = house.leader()
    leader.turn()
    assert "sales" in leader.engine.world.dags
    house.store.delete_dag("sales", actor="test")
    leader.turn()
    assert "sales" not in leader.engine.world.dags


def test_one_unreadable_run_does_not_stop_the_others(house: House) -> None:
    bad, good = house.trigger("bad"), house.trigger("good")
    runs = house.flaky._store.tables.runs
    runs[bad.pk] = msgspec.structs.replace(runs[bad.pk], version_id=99)
    leader = house.leader()
    leader.turn()
    assert [trouble.partition(":")[0] for trouble in leader.troubles] == ["run sales/bad"]
    assert house.row(good).state.value == "queued"
