"""Empty, fail, latest only, triggers and other Pythons."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.task.conftest import NOON, Attempts
from tradewind import DAG, task
from tradewind.operators import (
    EmptyOperator,
    ExternalPythonOperator,
    FailOperator,
    LatestOnlyOperator,
    PythonVirtualenvOperator,
    TriggerDagRunOperator,
)
from tradewind.ports.runtime_api import OutcomeKind
from tradewind.testing.dag_result import DagTestResult

Run = Callable[..., DagTestResult]


def test_empty_and_fail(run: Run) -> None:
    def build() -> None:
        EmptyOperator(task_id="start") >> FailOperator(task_id="end", message="no {{ params.x }}", retries=3)

    result = run(build, params={"x": "way"})
    assert result.states() == {"start": "success", "end": "failed"}
    assert result.reasons() == {"end": "no way"}
    assert [one["try_number"] for one in result.tasks][1] == 1


@pytest.mark.parametrize(
    ("run_type", "logical_date", "newest"),
    [
        ("scheduled", NOON - timedelta(hours=1), True),
        ("scheduled", NOON - timedelta(hours=30), False),
        ("backfill", NOON - timedelta(days=9), False),
        ("manual", NOON - timedelta(days=9), True),
    ],
)
def test_only_the_newest_run_goes_on(run_type: str, logical_date: datetime, newest: bool) -> None:
    with DAG("d", schedule="0 6 * * *", start_date=datetime(2025, 1, 1, tzinfo=UTC)) as dag:
        LatestOnlyOperator(task_id="latest") >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    runner = Attempts(dag)
    report = _as(runner, run_type, logical_date)
    assert (report.kind, report.branch) == (OutcomeKind.SUCCESS, None if newest else ("a", "b"))


def _as(runner: Attempts, run_type: str, logical_date: datetime) -> Any:
    return runner.run("latest", run_type=run_type, logical_date=logical_date)


class Others:
    """Runs of other DAGs, as a task may ask for them."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.states: dict[str, str] = {}

    def trigger(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked)
        run_id = asked["run_id"] or f"dag__{len(self.asked)}"
        created = run_id not in self.states
        self.states.setdefault(run_id, "running")
        return {"run_id": run_id, "created": created}

    def state(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"state": self.states.get(asked["run_id"]), "tasks": {}}


def triggering(**options: Any) -> tuple[Attempts, Others]:
    with DAG("d") as dag:
        TriggerDagRunOperator(task_id="t", trigger_dag_id="other", **options)
    runner, others = Attempts(dag), Others()
    runner.store.trigger, runner.store.run_state = others.trigger, others.state
    return runner, others


def test_triggering_another_dag() -> None:
    runner, others = triggering(conf={"day": "{{ ds }}"}, logical_date="{{ ts }}", note="from {{ run_id }}")
    assert runner.run("t").xcoms == {"return_value": '"dag__1"'}
    assert others.asked == [
        {
            "dag_id": "other",
            "run_id": None,
            "logical_date": "2026-01-02T12:00:00+00:00",
            "conf": {"day": "2026-01-02"},
            "note": "from manual__1",
        }
    ]


def test_a_run_that_exists() -> None:
    runner, others = triggering(run_id="mine")
    others.states["mine"] = "success"
    assert 'has a run "mine" already' in runner.run("t").reason
    runner, others = triggering(run_id="mine", skip_when_already_exists=True)
    others.states["mine"] = "success"
    assert runner.run("t").kind is OutcomeKind.SKIPPED


def test_waiting_for_the_run_frees_the_slot_and_starts_it_once() -> None:
    runner, others = triggering(wait_for_completion=True, poke_interval=30)
    first = runner.run("t")
    assert (first.kind, first.reason) == (OutcomeKind.RESCHEDULE, "run dag__1 of DAG other is running")
    assert runner.run("t").kind is OutcomeKind.RESCHEDULE
    others.states["dag__1"] = "success"
    assert runner.run("t").xcoms == {"return_value": '"dag__1"'}
    assert len(others.asked) == 1


def test_a_retry_after_a_failed_run_starts_another() -> None:
    runner, others = triggering(wait_for_completion=True)
    runner.run("t", try_number=1)
    others.states["dag__1"] = "failed"
    assert runner.run("t", try_number=1).reason == 'run dag__1 of DAG "other" is failed'
    assert runner.run("t", try_number=2).reason == "run dag__2 of DAG other is running"
    assert runner.run("t", try_number=3).reason == "run dag__2 of DAG other is running"


def test_in_a_test_run_other_dags_are_taken_as_done(run: Run) -> None:
    result = run(lambda: TriggerDagRunOperator(task_id="t", trigger_dag_id="other", wait_for_completion=True))
    assert result.state == "success"


def test_an_external_python(run: Run) -> None:
    def build() -> None:
        @task.external_python(python=sys.executable)
        def where(number: int, ds: str) -> dict[str, object]:
            import sys

            print("inside", number)
            return {"number": number + 1, "ds": ds, "modules": "tradewind" in sys.modules}

        where(1)

    result = run(build, at=NOON)
    assert result.xcoms == {"where": {"number": 2, "ds": "2026-01-02", "modules": False}}


def crash() -> None:
    raise SystemExit(99)


def dated(day: Any) -> Any:
    return day


def unjson() -> Any:
    return {1, 2}


@pytest.mark.parametrize(
    ("function", "options", "state", "reason"),
    [
        (crash, {}, "skipped", "exit code 99"),
        (unjson, {}, "failed", "exit code 1"),
        (
            dated,
            {"op_kwargs": {"day": NOON}},
            "failed",
            "argument 'day' of task \"t\" cannot go to another Python",
        ),
        (lambda: 1, {}, "failed", "a lambda cannot go to another Python; write a def"),
        (crash, {"python": "/no/python"}, "failed", 'task "t" needs the interpreter /no/python'),
    ],
)
def test_what_another_python_cannot_do(
    run: Run, function: Any, options: dict[str, Any], state: str, reason: str
) -> None:
    arguments = {"python": sys.executable, **options}
    result = run(lambda: ExternalPythonOperator(task_id="t", python_callable=function, **arguments))
    assert result.states() == {"t": state}
    assert result.reasons()["t"].startswith(reason)


def test_a_closure_cannot_go_to_another_python(run: Run) -> None:
    secret = 5

    def inner() -> int:
        return secret

    result = run(lambda: ExternalPythonOperator(task_id="t", python_callable=inner, python=sys.executable))
    assert result.reasons()["t"].startswith("inner() uses secret from the function around it")


def prefix() -> str:
    import sys

    return sys.prefix


def test_a_virtual_environment_is_made_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWIND_CACHE", str(tmp_path))

    def build() -> None:
        for name in ("a", "b"):
            PythonVirtualenvOperator(task_id=name, python_callable=prefix, requirements="# none\n")

    result = run(build)
    (made,) = (tmp_path / "environments").iterdir()
    assert result.xcoms == {"a": str(made / "venv"), "b": str(made / "venv")}
    before = (made / "ready").stat().st_mtime_ns
    run(build)
    assert (made / "ready").stat().st_mtime_ns == before


def test_requirements_that_cannot_be_installed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWIND_CACHE", str(tmp_path))
    result = run(
        lambda: PythonVirtualenvOperator(
            task_id="t",
            python_callable=prefix,
            requirements=["./no-such-folder"],
            pip_arguments=["--no-index"],
        )
    )
    assert result.reasons() == {
        "t": 'task "t" could not install the requirements: exit code 1; the log has its output'
    }
    (made,) = (tmp_path / "environments").iterdir()
    assert not (made / "ready").exists()
