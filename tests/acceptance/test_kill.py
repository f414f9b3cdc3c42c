"""The main example on real data ends in success, whichever process is killed in the middle of it."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.house import House, answer

pytestmark = [pytest.mark.acceptance, pytest.mark.chaos]

DAG, RUN = "seattle_weather", "r1"
FAST_TERMS = "[scheduler]\nterm_seconds = 2.0\n[dags]\npaused_on_creation = true\n"
TRIGGER = ("dags", "trigger", DAG, "--run-id", RUN, "--wait", "--timeout", "80", "-o", "json")
PACED = ("--conf", '{"pace_seconds": 0.8}')


@pytest.fixture
def house(new_house: NewHouse) -> House:
    return started(new_house(settings=FAST_TERMS))


def started(house: House) -> House:
    house.copy_example(DAG)
    house.standalone()
    return house


def summarizing(house: House, months: int = 20) -> None:
    """Wait for the middle of the run: months are being summarized, some wait."""
    house.until(
        lambda: len([1 for task, _ in ledger.read(house) if task == "summarize"]) >= months, "the middle"
    )


def kill_in_the_middle(house: House, title: str) -> str:
    """Run the example, SIGKILL one process; return what ``runs show`` tells people."""
    triggered = house.popen(*TRIGGER, *PACED)
    summarizing(house)
    pids = house.pids(title)
    assert pids, f"no {title!r} among {house.strays()}"
    os.kill(pids[0], signal.SIGKILL)
    shape = answer(triggered, 70).json()
    assert (shape["dag_id"], shape["run_id"], shape["state"]) == (DAG, RUN, "success")
    states = house.task_states(DAG, RUN)
    assert states == {"success": 55, "skipped": 1}
    ledger.check(house, DAG, RUN)
    shown = house.run("runs", "show", DAG, RUN)
    assert shown.code == 0
    return shown.out


def losses(house: House) -> dict[str, int]:
    """Return which outcomes the attempts had; no try may have been used up."""
    outcomes: dict[str, int] = {}
    for attempts in house.attempts(DAG, RUN).values():
        assert {attempt.try_number for attempt in attempts} <= {1}, attempts
        for attempt in attempts:
            outcomes[attempt.outcome] = outcomes.get(attempt.outcome, 0) + 1
    return outcomes


def test_undisturbed(house: House) -> None:
    shape = house.run(*TRIGGER).json()
    assert {name: shape[name] for name in ("dag_id", "run_id", "state")} == {
        "dag_id": DAG,
        "run_id": RUN,
        "state": "success",
    }
    assert list(shape) == ["dag_id", "run_id", "state", "logical_date", "run_after", "start_date", "end_date"]
    assert losses(house) == {"success": 55}
    assert {place: len(tokens) for place, tokens in ledger.read(house).items()} == dict.fromkeys(
        ledger.read(house), 1
    )
    results = house.home / "seattle_weather"
    assert sorted(path.name for path in results.iterdir()) == [
        "alert.txt",
        "months",
        "report.html",
        "weather.db",
    ]
    assert len(list((results / "months").iterdir())) == 48


def test_scheduler_killed(house: House) -> None:
    worker = house.worker_pid()
    kill_in_the_middle(house, "tradewind scheduler")
    assert losses(house) == {"success": 55}, "running attempts went on without a scheduler"
    assert house.worker_pid() == worker
    assert "scheduler was killed by SIGKILL" in house.log("standalone")


def test_worker_killed(house: House) -> None:
    told = kill_in_the_middle(house, "tradewind worker")
    found = losses(house)
    assert found.pop("success") == 55
    assert list(found) == ["lost"]
    assert re.search(
        r"attempt lost \(worker 'local' \(process \d+\) ended\), run again \(loss 1 of 5\)", told
    ), told


@pytest.mark.parametrize("title", ["tradewind fork server", "tradewind dag server"])
def test_fork_server_killed(house: House, title: str) -> None:
    told = kill_in_the_middle(house, title)
    found = losses(house)
    assert found.pop("success") == 55
    assert list(found) == ["lost"]
    assert "attempt lost (its fork server ended (killed: SIGKILL)), run again (loss 1 of 5)" in told, told


def test_task_killed(house: House) -> None:
    told = kill_in_the_middle(house, f"tradewind task {DAG}/{RUN}/summarize")
    tries = [attempts for attempts in house.attempts(DAG, RUN).values() if len(attempts) > 1]
    assert [[(a.try_number, a.outcome, a.reason, a.signal) for a in one] for one in tries] == [
        [(1, "error", "killed: SIGKILL", signal.SIGKILL), (2, "success", "", None)]
    ]
    assert "try 1 of 3 failed (killed: SIGKILL), tried again" in told


def test_standalone_itself_killed_and_started_again(house: House) -> None:
    """Its parts end with it; the next start goes on where it was."""
    house.trigger(DAG, RUN, *PACED)
    summarizing(house)
    watchdog = int((house.home / "run" / "standalone.lock").read_text())
    os.kill(watchdog, signal.SIGKILL)
    house.until(lambda: not house.pids("tradewind scheduler"), "the end of the scheduler")
    house.standalone()
    assert house.ends(DAG, RUN) == "success"
    assert house.task_states(DAG, RUN) == {"success": 55, "skipped": 1}
    ledger.check(house, DAG, RUN)
    assert set(losses(house)) <= {"success", "lost"}


@pytest.mark.parametrize("url", ["postgres", "mariadb"], indirect=True)
def test_each_in_turn_on_a_server(new_house: NewHouse, url: str) -> None:
    house = started(new_house(url, FAST_TERMS + "[executor]\nparallelism = 12\n"))
    triggered = house.popen(*TRIGGER, *PACED)
    for title in ("scheduler", "worker", "dag server", f"task {DAG}/{RUN}/summarize"):
        summarizing(house, len(ledger.read(house)) + 5)
        house.until(lambda title=title: house.pids(f"tradewind {title}"), title)  # type: ignore[misc]
        os.kill(house.pids(f"tradewind {title}")[0], signal.SIGKILL)
        if title == "scheduler":
            house.until(lambda: house.log("standalone").count("leading shard") == 2, "new leader")
    assert answer(triggered, 90).json()["state"] == "success"
    assert house.task_states(DAG, RUN) == {"success": 55, "skipped": 1}
    ledger.check(house, DAG, RUN)
    tries = {
        a.try_number
        for attempts in house.attempts(DAG, RUN).values()
        for a in attempts
        if a.outcome == "lost"
    }
    assert tries == {1}
