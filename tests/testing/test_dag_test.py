"""``dag.test()``: a whole run in one process, with the real decisions."""

import json
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tradewind import DAG, Param, TaskGroup, dag, task, task_group
from tradewind.errors import ParamError
from tradewind.operators import BashOperator, EmptyOperator
from tradewind.testing.dag_test import VirtualClock, run_dag

AT = datetime(2026, 3, 1, 6, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return AT

    def monotonic(self) -> float:
        return 0.0


def test_the_shape_of_a_run() -> None:
    with DAG("sales") as made:
        start = EmptyOperator(task_id="start", pool="io")

        @task
        def rows() -> list[int]:
            return [1, 2]

        @task
        def double(x: int) -> tuple[int, str]:
            return (x * 2, "{{ ds }}")

        found = rows()
        start >> found.task
        double.expand(x=found)
    result = run_dag(made, at=AT, conf={"why": "because"}, clock=VirtualClock(FixedClock()))
    moment = "2026-03-01T06:00:00+00:00"

    def shown(task_id: str, index: int | None, **other: Any) -> dict[str, Any]:
        return {
            "task_id": task_id,
            "map_index": index,
            "state": "success",
            "try_number": 1,
            "start_date": moment,
            "end_date": moment,
            "duration": 0.0,
            "pool": "default",
            "operator": "PythonOperator",
        } | other

    assert result.to_dict() == {
        "dag_id": "sales",
        "run_id": "manual__2026-03-01T06:00:00+00:00",
        "state": "success",
        "logical_date": moment,
        "run_after": moment,
        "start_date": moment,
        "end_date": moment,
        "tasks": [
            {
                **result.tasks[0],
                "task_id": "start",
                "pool": "io",
                "operator": "EmptyOperator",
                "state": "success",
            },
            shown("rows", None),
            shown("double", 0),
            shown("double", 1),
        ],
        "xcoms": {"rows": [1, 2], "double[0]": [2, "{{ ds }}"], "double[1]": [4, "{{ ds }}"]},
    }
    assert result.xcoms == {"rows": [1, 2], "double[0]": (2, "{{ ds }}"), "double[1]": (4, "{{ ds }}")}
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
    assert result.run.conf == {"why": "because"}


def test_retries_and_their_delays_pass_at_once() -> None:
    with DAG("d") as made:

        @task(retries=2, retry_delay=timedelta(hours=1))
        def flaky(ti: Any) -> int:
            if ti.try_number < 3:
                raise ValueError("not yet")
            return int(ti.try_number)

        flaky()
    before = time.monotonic()
    result = made.test()
    assert (result.state, result.xcoms, result.tasks[0]["try_number"]) == ("success", {"flaky": 3}, 3)
    assert result.run.ended_at - result.run.started_at >= timedelta(hours=2)
    assert time.monotonic() - before < 30


def test_failures_stop_what_depends_on_them_and_say_why() -> None:
    with DAG("d") as made:

        @task
        def broken() -> None:
            raise KeyError("id")

        @task
        def after() -> None:
            pass

        @task(trigger_rule="all_done")
        def always() -> int:
            return 1

        broken() >> [after(), always()]
    result = made.test()
    assert result.state == "failed"
    assert result.states() == {"broken": "failed", "after": "upstream_failed", "always": "success"}
    assert result.reasons()["broken"] == "KeyError: 'id'"


def test_params_are_checked_and_given() -> None:
    @dag(params={"n": 2})
    def made(n: int) -> None:
        @task
        def show(n: int, params: dict[str, Any]) -> list[Any]:
            return [n, params["n"]]

        show(n)

    built = made()
    assert built.test().xcoms == {"show": [2, 2]}
    assert built.test(conf={"n": 5}).xcoms == {"show": [5, 5]}
    with DAG("strict", params={"region": Param("eu", enum=["eu", "us"])}) as strict:
        EmptyOperator(task_id="e")
    with pytest.raises(ParamError, match="param 'region' is 'mars'"):
        strict.test(conf={"region": "mars"})


def test_setup_and_teardown_around_a_failing_task() -> None:
    done: list[str] = []
    with DAG("d") as made:
        names = ("make", "work", "drop")
        make, work, drop = (task(_noting(done, name), task_id=name)() for name in names)
        with make.as_setup() >> drop.as_teardown(setups=make):
            pass
        make >> work >> drop
    result = made.test()
    assert result.states() == {"make": "success", "work": "failed", "drop": "success"}
    assert (result.state, done) == ("failed", ["make", "work", "drop"])


def _noting(done: list[str], name: str) -> Any:
    def note() -> None:
        done.append(name)
        if name == "work":
            raise RuntimeError("broken")

    return note


def test_groups_mapped_in_groups() -> None:
    with DAG("d") as made:

        @task
        def sizes() -> list[int]:
            return [2, 0, 1]

        @task_group
        def inner(y: int) -> Any:
            @task
            def leaf(y: int) -> int:
                return y * 10

            return leaf(y)

        @task_group
        def outer(x: int) -> Any:
            @task
            def spread(x: int) -> list[int]:
                return list(range(x))

            @task(trigger_rule="all_done")
            def total(values: Any) -> int:
                return sum(values)

            return total(inner.expand(y=spread(x)))

        @task
        def grand(values: Any) -> list[int]:
            return list(values)

        grand(outer.expand(x=sizes()))
    result = made.test()
    assert result.state == "success"
    assert result.xcoms["grand"] == [10, 0, 0]
    assert {name: state for name, state in result.states().items() if "leaf" in name} == {
        "outer.inner.leaf[0.0]": "success",
        "outer.inner.leaf[0.1]": "success",
        "outer.inner.leaf[1]": "skipped",
        "outer.inner.leaf[2.0]": "success",
    }


def test_mapping_over_a_mapped_task_whose_results_have_no_length() -> None:
    with DAG("d") as made:

        @task
        def double(x: int) -> int:
            return x * 2

        double.override(task_id="again").expand(x=double.expand(x=[1, 2]))
    result = made.test()
    assert (result.state, result.xcoms) == (
        "success",
        {"double[0]": 2, "double[1]": 4, "again[0]": 4, "again[1]": 8},
    )


def test_connections_and_variables_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_CONN_DB", "postgres://me:s3cr%20et@host:5433/sales?mode=ro")
    monkeypatch.setenv("TRADEWIND_VAR_LIMITS", '{"max": 5}')
    with DAG("d") as made:

        @task
        def show(url: str, conn: Any, var: Any) -> list[Any]:
            db = conn.db
            var.value.set("mark", "7")
            return [
                url,
                db.login,
                db.password == "s3cr et",
                db.port,
                db.extra,
                var.json.limits,
                var.value.mark,
            ]

        show("{{ conn.db.host }}/{{ var.value.get('no', 'none') }}")
        BashOperator(task_id="missing", command="echo {{ conn.nowhere.host }}")
    result = made.test()
    assert result.xcoms["show"] == ["host/none", "me", True, 5433, {"mode": "ro"}, {"max": 5}, "7"]
    assert 'There is no connection "nowhere". Make it:' in result.reasons()["missing"]


def test_a_time_limit_ends_a_task() -> None:
    with DAG("d") as made:

        @task(execution_timeout=0.2)
        def endless() -> None:
            while True:
                pass

        endless()
    result = made.test()
    assert result.reasons() == {"endless": "timed out after 0.2 s"}


def test_ctrl_c_ends_the_test_not_the_task() -> None:
    with DAG("d") as made:

        @task(retries=3)
        def stop() -> None:
            raise KeyboardInterrupt

        stop()
    with pytest.raises(KeyboardInterrupt):
        made.test()


def test_the_real_clock_waits() -> None:
    with DAG("d") as made:

        @task(retries=1, retry_delay=0.2)
        def flaky(ti: Any) -> None:
            if ti.try_number == 1:
                raise ValueError("once")

        flaky()
    before = time.monotonic()
    assert made.test(clock="real").state == "success"
    assert time.monotonic() - before >= 0.2


def test_the_log_goes_to_standard_error_by_task(capsys: pytest.CaptureFixture[str]) -> None:
    with DAG("d") as made:

        @task
        def talk(log_name: str) -> None:
            print("printed")
            logging.getLogger(log_name).info("told")

        talk.expand(log_name=["mine"])
    made.test()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "printed" in shown.err
    assert "[talk[0]] told" in shown.err


def test_a_dag_file_can_be_run_as_a_program(tmp_path: Path) -> None:
    file = tmp_path / "hello.py"
    file.write_text(
        "import dataclasses, json\n"
        "from tradewind import dag, task\n"
        "@dataclasses.dataclass\n"
        "class Greeting:\n"
        "    text: str\n"
        "@dag\n"
        "def hello():\n"
        "    @task\n"
        "    def greet():\n"
        "        return Greeting('hi')\n"
        "    @task\n"
        "    def shout(greeting):\n"
        "        print('on the way')\n"
        "        return greeting.text.upper()\n"
        "    shout(greet())\n"
        "made = hello()\n"
        "if __name__ == '__main__':\n"
        "    print(json.dumps(made.test().to_dict()['xcoms']))\n"
    )
    ended = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == {"greet": {"text": "hi"}, "shout": "HI"}


def test_branches_and_groups_run_as_they_would() -> None:
    with DAG("d") as made:

        @task.branch
        def pick() -> str:
            return "left"

        with TaskGroup("left") as left:
            EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")
        right = EmptyOperator(task_id="right")
        join = EmptyOperator(task_id="join", trigger_rule="none_failed")
        pick() >> [left, right] >> join
    assert made.test().states() == {
        "pick": "success",
        "left.a": "success",
        "left.b": "success",
        "right": "skipped",
        "join": "success",
    }
