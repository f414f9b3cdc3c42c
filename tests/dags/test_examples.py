"""Each small example comes to the states and values that its docstring promises."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.dags.examples import run
from tradewind.errors import ParamError


def test_first_steps() -> None:
    result = run("first_steps")
    assert result.state == "success"
    assert [result.xcoms[f"value[{index}]"] for index in range(3)] == [13.5, 12.0, 6.5]
    assert result.xcoms["report"] == "3 orders, 32.00 in all"


def test_parallel_with_pool() -> None:
    result = run("parallel_with_pool")
    assert set(result.states().values()) == {"success"}
    slots = {task.task_id: (task.pool, task.pool_slots) for task in result.spec.tasks}
    assert slots["download_lake"] == ("default", 32)
    assert result.xcoms["download_airport"] == "airport: done"


def test_xcom() -> None:
    result = run("xcom")
    assert result.state == "success"
    assert result.xcom("measure", "measured_at") == datetime(2026, 1, 1, 6, tzinfo=UTC)
    assert (result.xcom("measure", "celsius"), result.xcom("measure", "millimetres")) == (21.5, 0.4)
    assert result.xcoms["price"] == Decimal("1.20")
    assert result.xcoms["sign"] == "01 January: ice cream 1.20 € (dry)"


@pytest.mark.parametrize(
    ("amount", "taken", "left", "sentence"),
    [
        (120, "ask_manager", "approve", "recorded: a person decides"),
        (100, "approve", "ask_manager", "recorded: approved by rule"),
    ],
)
def test_branch_and_join(amount: int, taken: str, left: str, sentence: str) -> None:
    result = run("branch_and_join", amount=amount)
    assert result.state == "success"
    assert result.states() == {"by_size": "success", taken: "success", left: "skipped", "record": "success"}
    assert result.xcoms["record"] == sentence


def test_expand() -> None:
    result = run("expand")
    assert result.state == "success"
    values = {
        task: [value for name, value in result.xcoms.items() if name.startswith(f"{task}[")]
        for task in ("each_with_each", "one_dict_each", "side_by_side", "changed")
    }
    assert values == {
        "each_with_each": ["10 m²", "20 m²", "20 m²", "40 m²", "30 m²", "60 m²"],
        "one_dict_each": ["6 cm²", "20 cm²"],
        "side_by_side": ["a has 1", "b has 2", "c has 3"],
        "changed": [121, 144, 169],
    }


def test_mapped_group() -> None:
    result = run("mapped_group")
    assert set(result.states().values()) == {"success"}
    assert [result.xcoms[f"year_of.rain[{index}]"] for index in range(4)] == [1226.0, 828.0, 1232.8, 1139.2]
    assert result.xcoms["together"].split("; ")[3] == "2015: 1139.2 mm of rain"


def test_retries() -> None:
    result = run("retries")
    (fetch,) = result.tasks
    assert (result.state, fetch["state"], fetch["try_number"]) == ("success", "success", 3)
    assert result.xcoms == {"fetch": "fetched on try 3"}
    run_row = result.run
    assert run_row.started_at is not None
    assert run_row.ended_at is not None
    assert run_row.ended_at - run_row.started_at >= timedelta(seconds=5 + 10)  # virtual ones


def test_steps() -> None:
    result = run("steps")
    assert (result.state, result.tasks[0]["try_number"]) == ("success", 2)
    assert result.xcoms == {"shop": {"ordered": ["bread ordered", "butter ordered"], "tries": 2}}


@pytest.mark.parametrize(("works", "state"), [(False, "failed"), (True, "success")])
def test_setup_teardown(*, works: bool, state: str) -> None:
    result = run("setup_teardown", works=works)
    assert result.state == state
    assert result.states() == {"make_folder": "success", "work": state, "remove_folder": "success"}
    assert not Path(result.xcoms["make_folder"]).exists()


def test_wait_for_file() -> None:
    result = run("wait_for_file")
    assert result.states() == {"wait": "success", "deliver": "success", "read": "success"}
    assert result.xcoms == {"read": 42}
    ended = {task["task_id"]: datetime.fromisoformat(task["end_date"]) for task in result.tasks}
    # it looked before the file was there, and came back after its interval
    assert ended["wait"] - ended["deliver"] >= timedelta(seconds=9)


def test_after_the_weather() -> None:
    result = run("after_the_weather")
    assert result.states() == {"weather_is_ready": "success", "announce": "success"}
    assert result.xcoms == {"announce": "the weather report of 2026-03-01 is there"}


def test_bash_pipeline() -> None:
    result = run("bash_pipeline")
    assert result.xcoms == {
        "count": "23",
        "coldest": "2012/01/15,5.3,1.1,-3.3,3.2,snow",
        "report": "snow on 23 days; the coldest: 2012/01/15,5.3,1.1,-3.3,3.2,snow",
    }


def test_params_form() -> None:
    result = run("params_form", region="us", rows=10)
    assert result.xcoms["notify"] == "[us] 10 orders from us since 2026-01-01"
    with pytest.raises(ParamError, match="rows"):
        run("params_form", rows=0)


def test_trigger_another() -> None:
    result = run("trigger_another")
    assert result.states() == {"export": "success", "done": "success"}
    assert result.xcoms["done"] == f"ended: {result.xcoms['export']}"


@pytest.mark.parametrize(
    ("new_files", "states"),
    [
        (0, ["success", "skipped", "skipped", "skipped"]),
        (5, ["success", "success", "skipped", "success"]),
        (500, ["success", "success", "success", "skipped"]),
    ],
)
def test_short_circuit(new_files: int, states: list[str]) -> None:
    result = run("short_circuit", new_files=new_files)
    found = result.states()
    assert [found[name] for name in ("anything_new", "import_files", "send_mail", "archive")] == states
