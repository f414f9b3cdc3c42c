"""``tasks why`` says the right reason for each kind of waiting, as people read it; on a running installation."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.cli.house import House

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

WAITS = '''\
"""Everything here waits for something."""

import os
import select
from datetime import datetime, timedelta
from pathlib import Path

from tradewind import DAG, limit, task


def linger() -> None:
    while not (Path(os.environ["TRADEWIND_HOME"]) / "go.txt").exists():
        select.select([], [], [], 0.02)


with DAG("waits", max_active_runs=1):

    @task
    def busy() -> None:
        linger()

    @task
    def after() -> None: ...

    @task(trigger_rule="one_success")
    def ruled() -> None: ...

    @task(retries=1, retry_delay=timedelta(hours=1))
    def flaky() -> None:
        raise ValueError("not yet")

    @task(pool="single")
    def pooled(number: int) -> None:
        linger()

    @task(max_active_tis_per_dag=1)
    def lonely(number: int) -> None:
        linger()

    @task(limits=[limit(key="customer", max=1)])
    def keyed(number: int) -> None:
        linger()

    @task(pool="nowhere")
    def lost() -> None: ...

    @task(executor="moon")
    def far() -> None: ...

    begun = busy()
    begun >> after()
    begun >> ruled()
    flaky()
    pooled.expand(number=[1, 2])
    lonely.expand(number=[1, 2])
    keyed.expand(number=[1, 2])
    lost()
    far()

with DAG("crowd", max_active_tasks=1):

    @task
    def one(number: int) -> None:
        linger()

    one.expand(number=[1, 2])

with DAG("run_crowd", max_active_tasks_per_run=1):
    one.expand(number=[1, 2])
'''


def kinds(house: House, dag: str, run: str, task: str, *more: str) -> dict[str, str]:
    told: list[dict[str, Any]] = house.call("tasks", "why", dag, run, task, *more, "-o", "json").json()
    return {reason["kind"]: reason["message"] for entry in told for reason in entry["reasons"]}


def waiting(house: House, dag: str, task: str) -> tuple[str, str]:
    """Return the kind and message of the instance of a mapped task that waits, whichever that is."""
    told = house.call("tasks", "why", dag, "r1", task, "-o", "json").json()
    (entry,) = [entry for entry in told if entry["state"] == "scheduled"]
    (reason,) = entry["reasons"]
    return reason["kind"], reason["message"]


def test_each_kind(house: House) -> None:
    house.write(waits=WAITS)
    with house.standalone() as process:
        house.until(lambda: "waits" in house.call("dags", "list", "-o", "plain").out)
        house.call("pools", "set", "single", "1")
        for dag in ("waits", "crowd", "run_crowd"):
            assert house.call("dags", "trigger", dag, "--run-id", "r1").code == 0
        house.call("dags", "trigger", "waits", "--run-id", "r2")
        house.call("dags", "trigger", "waits", "--run-id", "later", "--run-after", "2100-01-01")
        house.until(lambda: "up_for_retry" in house.call("tasks", "list", "waits", "r1", "-o", "plain").out)
        house.until(
            lambda: (
                len(house.call("tasks", "list", "waits", "r1", "--state", "running", "-o", "json").json())
                == 4
            )
        )
        _tasks(house)
        _limits(house)
        _runs(house)
        _holds(house)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        house.until(lambda: "leadership" in kinds(house, "waits", "r1", "after"), 30)
        assert "no scheduler leads" in kinds(house, "waits", "r1", "after")["leadership"]


def _tasks(house: House) -> None:
    upstream = kinds(house, "waits", "r1", "after")
    assert list(upstream) == ["upstream"]
    assert "busy (running since" in upstream["upstream"]
    assert set(kinds(house, "waits", "r1", "ruled")) <= {"upstream", "trigger_rule"}
    retry = kinds(house, "waits", "r1", "flaky")
    assert list(retry) == ["retry_at"]
    assert "try 2 of 2; the last one failed: ValueError: not yet" in retry["retry_at"]
    missing = kinds(house, "waits", "r1", "lost")
    assert missing == {
        "pool_missing": 'pool "nowhere" does not exist. Pools: default, single.'
        " Create it: `tradewind pools set nowhere 1`"
    }
    assert kinds(house, "waits", "r1", "far") == {
        "no_worker": 'nobody serves the executor "moon". Executors now: local'
    }
    assert "running on local since" in kinds(house, "waits", "r1", "busy")["running"]


def _limits(house: House) -> None:
    kind, message = waiting(house, "waits", "pooled")
    assert (kind, 'pool "single" is full (1 of 1 slot): held by waits/r1/pooled[' in message) == (
        "pool_full",
        True,
    )
    for dag, task, wanted in (
        ("waits", "lonely", "max_active_tis_per_dag"),
        ("waits", "keyed", "keyed_limit"),
        ("crowd", "one", "max_active_tasks"),
        ("run_crowd", "one", "max_active_tasks_per_run"),
    ):
        kind, message = waiting(house, dag, task)
        assert kind == wanted
        assert f"{dag}/r1/{task}[" in message, "it names who holds it"


def _runs(house: House) -> None:
    queued = kinds(house, "waits", "r2", "busy")
    assert list(queued) == ["max_active_runs"]
    assert "has 1 of max_active_runs=1 running: r1 since" in queued["max_active_runs"]
    assert "the run is due at 2100-01-01 00:00:00 UTC" in kinds(house, "waits", "later", "busy")["not_due"]


def _holds(house: House) -> None:
    assert house.call("tasks", "hold", "waits", "r1", "after").code == 0
    assert set(kinds(house, "waits", "r1", "after")) == {"task_held", "upstream"}
    assert house.call("tasks", "release", "waits", "r1", "after").code == 0
    assert house.call("runs", "pause", "waits", "r1").code == 0
    assert set(kinds(house, "waits", "r1", "after")) == {"run_paused", "upstream"}
    assert house.call("runs", "resume", "waits", "r1").code == 0
    assert house.call("dags", "pause", "waits", "--hold").code == 0
    assert "dag_held" in kinds(house, "waits", "r1", "after")
    assert house.call("dags", "unpause", "waits").code == 0
