"""Sensors: both ways of waiting, timeouts from the first look, back-off, and what they wait for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.runtime.task.conftest import NOON, Attempts
from tradewind import DAG, task
from tradewind.errors import ArgumentError
from tradewind.ports.runtime_api import OutcomeKind
from tradewind.sensors import (
    DateTimeSensor,
    ExternalTaskSensor,
    PokeReturn,
    PythonSensor,
    SensorOperator,
    TimeDeltaSensor,
)
from tradewind.testing.dag_result import DagTestResult

Run = Callable[..., DagTestResult]


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_both_modes_wait_until_it_is_so(run: Run, mode: str) -> None:
    looks: list[Any] = []

    def build() -> None:
        @task.sensor(mode=mode, poke_interval=60)
        def ready(ti: Any) -> PokeReturn:
            looks.append(ti.try_number)
            return PokeReturn(done=len(looks) == 3, xcom="there")

        ready()

    result = run(build)
    assert (result.state, result.xcoms, looks) == ("success", {"ready": "there"}, [1, 1, 1])
    elapsed = (result.run.ended_at or NOON) - (result.run.started_at or NOON)
    assert timedelta(seconds=120) <= elapsed < timedelta(seconds=125)


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_the_timeout_counts_from_the_first_look(run: Run, mode: Any, soft_fail: bool, state: str) -> None:
    def build() -> None:
        PythonSensor(
            task_id="never",
            python_callable=lambda: False,
            mode=mode,
            poke_interval=50,
            timeout=120,
            soft_fail=soft_fail,
            retries=3,
        )

    result = run(build)
    assert result.states() == {"never": state}
    assert result.reasons()["never"].endswith(": not so after 0:02:00")
    elapsed = (result.run.ended_at or NOON) - (result.run.started_at or NOON)
    assert timedelta(seconds=120) <= elapsed < timedelta(seconds=125)
    assert result.tasks[0]["try_number"] == 1


def test_an_error_of_poke_is_retried_or_with_soft_fail_skipped(run: Run) -> None:
    def broken() -> None:
        raise OSError("away")

    def build() -> None:
        PythonSensor(task_id="hard", python_callable=broken, retries=1)
        PythonSensor(task_id="soft", python_callable=broken, retries=1, soft_fail=True)

    result = run(build)
    assert result.states() == {"hard": "failed", "soft": "skipped"}
    assert result.reasons() == {"hard": "OSError: away", "soft": "OSError: away"}
    assert [one["try_number"] for one in result.tasks] == [2, 1]


def test_back_off_doubles_spreads_and_stops_at_the_limit() -> None:
    sensor = PythonSensor(
        task_id="s", python_callable=bool, poke_interval=10, exponential_backoff=True, max_wait=100
    )
    waits = [sensor.wait_after(poke, "key").total_seconds() for poke in range(1, 8)]
    for poke, wait in enumerate(waits):
        assert min(10 * 2**poke, 100) <= wait <= min(20 * 2**poke, 100)
    assert waits == [sensor.wait_after(poke, "key").total_seconds() for poke in range(1, 8)]
    assert waits[0] != sensor.wait_after(1, "other").total_seconds()


def test_back_off_goes_on_over_reschedules() -> None:
    with DAG("d") as dag:
        PythonSensor(
            task_id="s",
            python_callable=lambda: False,
            mode="reschedule",
            poke_interval=10,
            exponential_backoff=True,
        )
    runner = Attempts(dag)
    waits = []
    for _ in range(3):
        report = runner.run("s", first_started_at=NOON)
        assert report.wake_at is not None
        assert report.ended_at is not None
        waits.append((report.wake_at - report.ended_at).total_seconds())
    assert waits[0] < waits[1] < waits[2]
    assert report.reason == "waiting for <lambda>(), looked 3 times"


def test_dates(run: Run) -> None:
    def build() -> None:
        DateTimeSensor(task_id="at", target="{{ logical_date + macros.timedelta(hours=2) }}", timeout=None)
        TimeDeltaSensor(task_id="after", delta=timedelta(hours=3), mode="reschedule")
        DateTimeSensor(task_id="past", target=datetime(2020, 1, 1, tzinfo=UTC))

    result = run(build)
    ended = {row.task_id: row.ended_at for row in result.rows if row.ended_at is not None}
    start = result.run.logical_date
    assert result.state == "success"
    assert timedelta(hours=2) <= ended["at"] - start < timedelta(hours=2, minutes=2)
    assert timedelta(hours=3) <= ended["after"] - start < timedelta(hours=3, minutes=2)


@pytest.mark.parametrize("target", ["soon", "2026-01-01"])
def test_a_target_that_is_no_instant(run: Run, target: str) -> None:
    result = run(lambda: DateTimeSensor(task_id="t", target=target))
    assert result.reasons()["t"].startswith('the target of sensor "t" is ')


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"mode": "often"}, 'it can be "poke" or "reschedule"'),
        ({"poke_interval": -1}, "give seconds or a timedelta, not below zero"),
        ({"timeout": "1h"}, "give seconds or a timedelta"),
        ({"deferrable": True}, "comes with the triggerer"),
        ({"pokeinterval": 1}, "Did you mean poke_interval"),
    ],
)
def test_wrong_arguments_are_told_at_once(options: dict[str, Any], problem: str) -> None:
    with DAG("d"), pytest.raises(ArgumentError, match=problem) as caught:
        PythonSensor(task_id="s", python_callable=bool, **options)
    assert caught.value.file == __file__


class Others:
    """One run of another DAG."""

    def __init__(self, state: str | None, **tasks: list[str]) -> None:
        self.state, self.tasks = state, tasks
        self.asked: list[dict[str, Any]] = []

    def __call__(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked)
        return {"state": self.state, "tasks": self.tasks}


def looking(others: Others, **options: Any) -> Any:
    with DAG("d") as dag:
        ExternalTaskSensor(task_id="s", external_dag_id="other", mode="reschedule", **options)
    runner = Attempts(dag)
    runner.store.run_state = others
    return runner.run("s")


@pytest.mark.parametrize(
    ("others", "options", "kind"),
    [
        (Others("success"), {}, OutcomeKind.SUCCESS),
        (Others("running"), {}, OutcomeKind.RESCHEDULE),
        (Others(None), {}, OutcomeKind.RESCHEDULE),
        (Others(None), {"check_existence": True}, OutcomeKind.ERROR),
        (Others("failed"), {}, OutcomeKind.ERROR),
        (Others("failed"), {"allowed_states": ["success", "failed"]}, OutcomeKind.SUCCESS),
        (Others("running", a=["success", "success"]), {"external_task_ids": "a"}, OutcomeKind.SUCCESS),
        (Others("running", a=["success", "running"]), {"external_task_ids": ["a"]}, OutcomeKind.RESCHEDULE),
        (
            Others("running", a=["success"], b=["failed"]),
            {"external_task_ids": ["a", "b"]},
            OutcomeKind.ERROR,
        ),
        (
            Others("running", a=["skipped"]),
            {"external_task_ids": "a", "skipped_states": "skipped"},
            OutcomeKind.SKIPPED,
        ),
        (Others("running", a=["success"]), {"external_task_ids": "x"}, OutcomeKind.ERROR),
        (Others("queued"), {"external_task_ids": "x"}, OutcomeKind.RESCHEDULE),
    ],
)
def test_external_tasks(others: Others, options: dict[str, Any], kind: OutcomeKind) -> None:
    assert looking(others, **options).kind is kind


def test_the_other_runs_date() -> None:
    others = Others("success")
    looking(others, execution_delta=timedelta(hours=6))
    looking(others, logical_date_fn=lambda date, context: date - timedelta(days=1))
    looking(others, external_run_id="{{ run_id }}")
    assert [(asked["run_id"], asked["logical_date"]) for asked in others.asked] == [
        (None, "2026-01-02T06:00:00+00:00"),
        (None, "2026-01-01T12:00:00+00:00"),
        ("manual__1", None),
    ]


def test_a_sensor_of_ones_own(run: Run) -> None:
    class Ready(SensorOperator):
        def poke(self, context: Any) -> bool:
            return bool(context.ti.try_number == 1)

    assert run(lambda: Ready(task_id="r")).states() == {"r": "success"}
