"""Everything runs: a standalone in a process of its own, driven as a user drives it, with processes killed under it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.dags_for_tests import BROKEN, CHAIN, FAILING, SALES, SLOW
from tests.cli.house import Answer, House

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


def known(house: House, dag_id: str) -> None:
    house.until(lambda: dag_id in house.call("dags", "list", "-o", "plain").out)


def test_a_day_with_it(house: House) -> None:
    """One start: trigger, logs, reasons, a broken file, a failure repaired; then Ctrl-C and a second start."""
    house.write(chain=CHAIN, sales=SALES, failing=FAILING, broken=BROKEN)
    with house.standalone() as process:
        known(house, "sales")
        _triggers_and_logs(house)
        _mapped_and_params(house)
        _broken_file(house)
        _failure_repaired(house)
        second = house.call("standalone")
        assert (second.code, f"(process {process.pid})" in second.err) == (1, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert house.processes() == []
    with house.standalone():
        assert house.call("dags", "trigger", "chain", "--wait", "--timeout", "30").code == 0
        assert len(house.call("runs", "list", "chain", "-o", "json").json()) == 2


def _triggers_and_logs(house: House) -> None:
    answer = house.call("dags", "trigger", "chain", "--wait", "--timeout", "30", "-o", "json")
    run = answer.json()
    assert (answer.code, run["state"]) == (0, "success"), answer
    shown = house.call("runs", "show", "chain", "latest", "-o", "json").json()
    assert {name: shown[name] for name in run} == run
    assert [(task["task_id"], task["state"], task["try_number"]) for task in shown["tasks"]] == [
        ("first", "success", 1),
        ("second", "success", 1),
    ]
    log = house.call("tasks", "logs", "chain", "latest", "first")
    assert (log.code, log.out.rstrip().endswith("hello from first")) == (0, True)
    assert house.call("tasks", "logs", "chain", "latest", "first", "--follow").out == log.out
    (record,) = map(
        _message, house.call("tasks", "logs", "chain", "latest", "first", "-o", "json").out.splitlines()
    )
    assert record == ("stdout", "hello from first")
    assert house.call("tasks", "show", "chain", "latest", "second", "-o", "json").json()["xcoms"] == {
        "return_value": "one two"
    }


def _message(line: str) -> tuple[str, str]:
    import json

    fields = json.loads(line)
    return fields["stream"], fields["message"]


def _mapped_and_params(house: House) -> None:
    answer = house.call("dags", "trigger", "sales", "--conf", '{"region": "us"}', "--wait", "--timeout", "30")
    assert answer.code == 0, answer
    rows = house.call("tasks", "list", "sales", "latest", "-o", "json").json()
    assert [(row["task_id"], row["map_index"], row["state"]) for row in rows] == [
        ("extract", None, "success"),
        ("load", 0, "success"),
        ("load", 1, "success"),
        ("report", None, "success"),
    ]
    several = house.call("tasks", "logs", "sales", "latest", "load")
    assert (several.code, "Choose one with --map-index, 0 to 1" in several.err) == (2, True)


def _broken_file(house: House) -> None:
    (error,) = house.call("dags", "errors", "-o", "json").json()
    assert (error["file"], error["line"]) == ("broken.py", 3)
    assert "minute" in error["message"]
    doctor = house.call("doctor", "-o", "json")
    assert [one["what"] for one in doctor.json() if one["level"] == "problem"] == ["DAG file"]


def _failure_repaired(house: House) -> None:
    failed = house.call("dags", "trigger", "failing", "--wait", "--timeout", "30", "-o", "json")
    assert (failed.code, failed.json()["state"]) == (1, "failed")
    why = house.call("tasks", "why", "failing", "latest", "breaks", "-o", "json").json()
    assert (why[0]["state"], why[0]["reasons"][0]["kind"]) == ("failed", "ended")
    assert "the input is wrong" in why[0]["reasons"][0]["message"]
    assert "the input is wrong" in house.call("runs", "show", "failing", "latest").out
    marked = house.call(
        "tasks", "mark", "failing", "latest", "breaks", "success", "--yes", "-o", "json"
    ).json()
    assert [(one["task_id"], one["becomes"]) for one in marked["affected"]] == [
        ("breaks", "success"),
        ("needs", "none"),
    ]
    assert house.call("runs", "wait", "failing", "latest", "--timeout", "30").code == 0


@pytest.mark.chaos
@pytest.mark.parametrize("victim", ["tradewind scheduler", "tradewind worker", "task"])
def test_a_killed_process_costs_no_run(house: House, victim: str) -> None:
    house.write(slow=SLOW)
    with house.standalone():
        known(house, "slow")
        with subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tradewind",
                "dags",
                "trigger",
                "slow",
                "--wait",
                "--timeout",
                "90",
                "-o",
                "json",
            ],
            env=house.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as waiting:
            attempts = house.home / "attempts.txt"
            house.until(lambda: attempts.exists() and attempts.read_text())
            pids = [int(attempts.read_text().split()[0])] if victim == "task" else house.processes(victim)
            assert pids, f"there is no {victim}"
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            if (
                victim != "tradewind scheduler"
            ):  # an attempt that a scheduler's death does not touch is not begun again
                house.until(lambda: len(attempts.read_text().splitlines()) == 2, 60)
            (house.home / "go.txt").touch()
            out, _err = waiting.communicate(timeout=100)
        assert waiting.returncode == 0, out
        story = house.call("runs", "show", "slow", "latest").out
        _tells(victim, story, attempts)
    assert house.processes() == []


def _tells(victim: str, story: str, attempts: Path) -> None:
    begun = len(attempts.read_text().splitlines())
    if victim == "tradewind scheduler":
        assert (begun, "What happened" in story) == (1, False)
    elif victim == "tradewind worker":
        assert (begun, "(loss 1 of 5)" in story) == (2, True), story
    else:
        assert (begun, "SIGKILL" in story) == (2, True), story


@pytest.mark.chaos
def test_a_killed_watchdog_leaves_nothing(house: House) -> None:
    house.write(chain=CHAIN)
    with house.standalone() as process:
        known(house, "chain")
        process.kill()
        process.wait(10)
        house.until(lambda: house.processes() == [])
    with house.standalone():
        assert house.call("dags", "trigger", "chain", "--wait", "--timeout", "30").code == 0


def test_a_running_task_is_ended_and_begun_again_by_the_next_start(house: House) -> None:
    house.write(slow=SLOW)
    attempts = house.home / "attempts.txt"
    with house.standalone() as process:
        known(house, "slow")
        house.call("dags", "trigger", "slow", "--run-id", "r1")
        house.until(lambda: attempts.exists() and attempts.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert house.processes() == []
    (house.home / "go.txt").touch()
    with house.standalone():
        ended: Answer = house.call("runs", "wait", "slow", "r1", "--timeout", "60")
        assert (ended.code, len(attempts.read_text().splitlines())) == (0, 2), ended


def test_cancelling_ends_what_runs(house: House) -> None:
    house.write(slow=SLOW)
    attempts = house.home / "attempts.txt"
    with house.standalone():
        known(house, "slow")
        house.call("dags", "trigger", "slow", "--run-id", "r1")
        house.until(lambda: attempts.exists() and attempts.read_text())
        running = house.call("tasks", "why", "slow", "r1", "linger", "-o", "json").json()
        assert (running[0]["state"], running[0]["reasons"][0]["kind"]) == ("running", "running")
        assert house.call("runs", "cancel", "slow", "r1", "--why", "a test", "--yes").code == 0
        pid = int(attempts.read_text().split()[0])
        house.until(lambda: not Path(f"/proc/{pid}").exists(), 60)
        shown = house.call("runs", "show", "slow", "r1", "-o", "json").json()
        assert (shown["state"], shown["tasks"][0]["state"]) == ("cancelled", "cancelled")
