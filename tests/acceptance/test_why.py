"""``tasks why`` names the right reason for each kind of waiting, on installations that really wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import LINGER
from tests.acceptance.house import House, kinds

pytestmark = pytest.mark.acceptance

WAITING = (
    LINGER
    + """

from datetime import timedelta


def lingering(name, **options):
    @task(task_id=name, **options)
    def work():
        linger("go")

    return work()


with DAG("rules"):
    first, quick = lingering("first"), task(lambda: 1, task_id="quick")()
    [first, quick] >> lingering("after")
    [first, quick] >> lingering("done", trigger_rule="all_done")

with DAG("pooled"):
    lingering("holder", pool="small", priority_weight=9)
    lingering("waiter", pool="small")

with DAG("homeless"):
    lingering("lost", pool="nowhere")

with DAG("one_run", max_active_runs=1):
    lingering("work")

with DAG("two_tasks", max_active_tasks=2):
    for name in "abc":
        lingering(name, priority_weight=9 if name != "c" else 1)

with DAG("one_in_a_run", max_active_tasks_per_run=1):
    lingering("a", priority_weight=9)
    lingering("b")

with DAG("one_of_a_kind"):
    lingering("single", max_active_tis_per_dag=1)

with DAG("again"):

    @task(retries=1, retry_delay=timedelta(hours=1))
    def fails():
        raise ValueError("broken on purpose")

    fails()

with DAG("held"):
    lingering("early") >> lingering("late")
"""
)


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return an installation in which everything waits; shared by the tests, which only look."""
    house = House(tmp_path_factory.mktemp("why") / "home")
    house.write("waiting", WAITING)
    try:
        house.standalone()
        house.json("pools", "set", "small", "1")
        for dag_id in ("rules", "pooled", "homeless", "two_tasks", "one_in_a_run", "again", "held"):
            house.trigger(dag_id, "r1")
        for run_id in ("r1", "r2"):
            house.trigger("one_run", run_id)
            house.trigger("one_of_a_kind", run_id)
        house.trigger("held", "later", "--run-after", "2999-01-01T00:00:00Z")
        house.trigger("held", "paused")
        house.until(lambda: (house.home / "notes.txt").exists() and len(notes(house)) == 9, "tasks that run")
        yield house
    finally:
        house.close()


def notes(house: House) -> list[str]:
    return (house.home / "notes.txt").read_text().splitlines()


def only(house: House, *place: str) -> dict[str, Any]:
    """Return the one reason there is, without what changes from run to run."""
    (reason,) = house.why(*place)
    return {"kind": reason["kind"], "message": reason["message"]}


def test_upstream(waiting: House) -> None:
    (reason,) = waiting.why("rules", "r1", "after")
    assert reason["kind"] == "upstream"
    assert reason["message"].startswith("waiting for 1 of 2 upstream tasks: first (running since ")


def test_trigger_rule(waiting: House) -> None:
    reasons = waiting.why("rules", "r1", "done")
    assert kinds(reasons) == ["upstream", "trigger_rule"]
    assert reasons[1]["message"].startswith("its rule all_done needs ")


def test_pool_full_and_by_whom(waiting: House) -> None:
    assert only(waiting, "pooled", "r1", "waiter") == {
        "kind": "pool_full",
        "message": 'pool "small" is full (1 of 1 slot): held by pooled/r1/holder (1)',
    }


def test_pool_missing(waiting: House) -> None:
    assert only(waiting, "homeless", "r1", "lost") == {
        "kind": "pool_missing",
        "message": 'pool "nowhere" does not exist. Pools: default, small. Create it: `tradewind pools set nowhere 1`',
    }


def test_max_active_runs(waiting: House) -> None:
    (reason,) = [one for one in waiting.why("one_run", "r2", "work") if one["kind"] == "max_active_runs"]
    assert reason["message"].startswith('DAG "one_run" has 1 of max_active_runs=1 running: r1')


def test_max_active_tasks(waiting: House) -> None:
    assert only(waiting, "two_tasks", "r1", "c") == {
        "kind": "max_active_tasks",
        "message": 'DAG "two_tasks" has 2 of max_active_tasks=2 active: two_tasks/r1/a, two_tasks/r1/b',
    }


def test_max_active_tasks_per_run(waiting: House) -> None:
    assert only(waiting, "one_in_a_run", "r1", "b") == {
        "kind": "max_active_tasks_per_run",
        "message": "this run has 1 of max_active_tasks_per_run=1 active: one_in_a_run/r1/a",
    }


def test_max_active_tis_per_dag(waiting: House) -> None:
    reasons = [reason for run_id in ("r1", "r2") for reason in waiting.why("one_of_a_kind", run_id, "single")]
    assert sorted(kinds(reasons)) == ["max_active_tis_per_dag", "running"]
    (message,) = [one["message"] for one in reasons if one["kind"] == "max_active_tis_per_dag"]
    assert message.startswith('task "single" has 1 of max_active_tis_per_dag=1 active: one_of_a_kind/r')


def test_retry_at(waiting: House) -> None:
    waiting.until(lambda: waiting.task_states("again", "r1") == {"up_for_retry": 1}, "the failure")
    (reason,) = waiting.why("again", "r1", "fails")
    assert reason["kind"] == "retry_at"
    assert "try 2 of 2" in reason["message"]
    assert "broken on purpose" in reason["message"]
    left = datetime.fromisoformat(reason["until"]) - waiting.store.now()
    assert timedelta(minutes=50) < left <= timedelta(minutes=60)


def test_not_yet_due(waiting: House) -> None:
    reasons = waiting.why("held", "later", "early")
    assert kinds(reasons) == ["not_due"]
    assert reasons[0]["until"] == "2999-01-01T00:00:00+00:00"


def test_paused_run(waiting: House) -> None:
    waiting.json("runs", "pause", "held", "paused")
    reasons = waiting.why("held", "paused", "late")
    assert kinds(reasons) == ["run_paused", "upstream"]
    waiting.json("runs", "resume", "held", "paused")
    assert kinds(waiting.why("held", "paused", "late")) == ["upstream"]


def test_held_task(waiting: House) -> None:
    waiting.json("tasks", "hold", "held", "r1", "late")
    assert kinds(waiting.why("held", "r1", "late")) == ["task_held", "upstream"]
    waiting.json("tasks", "release", "held", "r1", "late")
    assert kinds(waiting.why("held", "r1", "late")) == ["upstream"]


def test_held_dag(waiting: House) -> None:
    waiting.json("dags", "pause", "rules", "--hold")
    assert kinds(waiting.why("rules", "r1", "after")) == ["dag_held", "upstream"]
    waiting.json("dags", "unpause", "rules")
    assert kinds(waiting.why("rules", "r1", "after")) == ["upstream"]


def test_running_and_ended(waiting: House) -> None:
    assert kinds(waiting.why("rules", "r1", "first")) == ["running"]
    assert kinds(waiting.why("rules", "r1", "quick")) == ["ended"]


def test_no_worker_and_leadership(new_house: NewHouse) -> None:
    """Nobody runs tasks; then nobody decides, because the only scheduler was killed."""
    house = new_house(settings="[executor]\nstart_worker = false\n[scheduler]\nterm_seconds = 1.0\n")
    house.write("waiting", WAITING)
    house.create()
    scheduler = house.scheduler("only")
    house.dag_processor("rules")
    house.trigger("rules", "r1")
    house.until(lambda: house.task_states("rules", "r1").get("scheduled"), "tasks that could start")
    assert only(house, "rules", "r1", "first") == {
        "kind": "no_worker",
        "message": "executor \"local\" has no live worker: no worker is connected to executor 'local'",
    }
    os.kill(scheduler.pid, signal.SIGKILL)
    scheduler.wait()
    house.until(lambda: house.store.leader("main")[1] < house.store.now(), "end of the lease")  # type: ignore[index]
    reasons = house.why("rules", "r1", "after")
    assert kinds(reasons) == ["leadership", "upstream"]
    assert reasons[0]["message"].startswith("no scheduler leads: the lease of only ended at ")
    assert "A standby takes over within seconds" in reasons[0]["message"]
    house.scheduler("next")
    assert kinds(house.why("rules", "r1", "after")) == ["upstream"]


def test_plain_files_are_enough(tmp_path: Path) -> None:
    """The DAGs of this file are right: what waits here does not wait for an error."""
    house = House(tmp_path / "home")
    house.write("waiting", WAITING)
    assert house.json("dags", "check") == {"ok": True, "errors": []}
    house.close()
