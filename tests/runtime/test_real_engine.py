"""The real engine behind the real worker: DAG files as authors write them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.house import House
from tests.runtime.test_attempts import end
from tradewind.ports.runtime_api import DataReply, DataRequest, OutcomeKind
from tradewind.runtime.processes import started_ticks

FLOW = """
import logging, os, sys
from datetime import datetime
from tradewind import dag, task
from tradewind.operators import BashOperator

print("while it is imported")

@dag(schedule=None, start_date=datetime(2026, 1, 1))
def flow():
    @task
    def talk():
        print("printed")
        logging.getLogger("mine").warning("logged %d", 1)
        os.write(2, b"raw\\n")
        return {"a": [1, 2]}
    @task
    def secret(conn=None):
        password = conn["db"].password
        print("it is", password)
        raise ValueError("cannot log in with " + password)
    talk() >> secret() >> BashOperator(
        task_id="bash", command="echo $$; trap '' TERM; sleep 1000 & echo $!; wait"
    )
flow()
"""


@pytest.fixture
def house(new_house: Callable[..., House]) -> House:
    return new_house(engine=None)


def test_values_and_log_lines_arrive(house: House) -> None:
    launch = house.launch("talk", house.file(FLOW))
    house.executor.dispatch([launch])
    report = house.outcome_of(launch)
    assert (end(report), report.xcoms) == ((OutcomeKind.SUCCESS, ""), {"return_value": '{"a":[1,2]}'})
    house.until(lambda: len(house.log(launch)) == 3, "the log")
    shown = [(line["stream"], line["level"], line["logger"], line["message"]) for line in house.log(launch)]
    assert shown == [
        ("stdout", "INFO", "stdout", "printed"),
        ("log", "WARNING", "mine", "logged 1"),
        ("stdout", "INFO", "stdout", "raw"),
    ]


def test_a_secret_reaches_neither_log_nor_report(house: House) -> None:
    def answer(request: DataRequest) -> DataReply:
        return DataReply(value={"type": "postgres", "password": "hunter2secret"})

    house.answers = answer
    launch = house.launch("secret", house.file(FLOW))
    house.executor.dispatch([launch])
    report = house.outcome_of(launch)
    assert (report.kind, report.reason) == (OutcomeKind.ERROR, "ValueError: cannot log in with ***")
    assert "hunter2secret" not in str(report)
    house.until(lambda: "it is ***" in house.messages(launch), "the log")
    assert "hunter2secret" not in str(house.log(launch))


def test_a_cancel_lets_the_operator_end_its_command(house: House) -> None:
    launch = house.launch("bash", house.file(FLOW))
    house.executor.dispatch([launch])
    house.until(lambda: len(house.messages(launch)) >= 2, "the command's start")
    pids = [int(text) for text in house.messages(launch) if text.isdigit()]
    assert len(pids) == 2
    house.executor.cancel([(launch.instance_id, 1)], 0.5)
    assert end(house.outcome_of(launch)) == (OutcomeKind.CANCELLED, "cancelled")
    assert [started_ticks(pid) for pid in pids] == [None, None]


def test_a_dag_that_is_not_in_its_file_any_more_is_an_error_that_names_the_others(house: House) -> None:
    sha = house.file(FLOW.replace("def flow():", "def other():").replace("\nflow()", "\nother()"))
    assert end(house.run("talk", sha)) == (
        OutcomeKind.ERROR,
        (
            "flow.py makes no DAG 'flow' here; it makes: other."
            " A DAG file must make the same DAGs wherever it is imported."
        ),
    )


def test_a_file_imports_its_neighbours(house: House) -> None:
    (house.dags / "neighbour.py").write_text("VALUE = 7\n")
    sha = house.file(
        FLOW.replace("import logging", "import neighbour, logging").replace("[1, 2]", "neighbour.VALUE")
    )
    assert house.run("talk", sha).xcoms == {"return_value": '{"a":7}'}


def test_a_running_task_has_little_memory_of_its_own(house: House, tmp_path: Path) -> None:
    sha = house.file(
        FLOW.replace(
            'print("printed")',
            "rollup = open('/proc/self/smaps_rollup').read().split()\n"
            "        values = dict(zip(rollup, rollup[1:]))\n"
            "        return int(values['Private_Clean:']) + int(values['Private_Dirty:'])",
        )
    )
    assert int(house.run("talk", sha).xcoms["return_value"]) < 8 * 1024
