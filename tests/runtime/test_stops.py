"""Attempts that are ended before their time, and what they leave behind."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.house import House
from tests.runtime.test_attempts import end
from tradewind.ports.runtime_api import Launch, OutcomeKind
from tradewind.runtime.processes import started_ticks

WAIT = """
import os, signal, subprocess, time
def note(context, *pids):
    with open(context.params['notes'], 'a') as file:
        file.write(' '.join(map(str, pids)) + ' ')
def wait(context, data):
    note(context, os.getpid())
    time.sleep(1000)
def stubborn(context, data):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(context, os.getpid())
    time.sleep(1000)
def tree(context, data):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    daemon = subprocess.Popen(['setsid', 'sh', '-c', 'trap "" TERM HUP; sleep 1000 & wait'])
    ready, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note(context, os.getpid())
            os.write(tell, b'x')
            time.sleep(1000)
        os._exit(0)
    os.read(ready, 1)
    note(context, os.getpid(), daemon.pid)
    time.sleep(1000)
def done_in_time(context, data):
    signal.signal(signal.SIGTERM, lambda *_: open(context.params['notes'] + '.term', 'w').close())
    note(context, os.getpid())
    while not os.path.exists(context.params['notes'] + '.go'):
        time.sleep(0.01)
"""


def start(house: House, task: str, notes: Path, pids: int = 1, **context: Any) -> tuple[Launch, list[int]]:
    """Start a task that notes its process ids; return them when they are all there."""
    launch = house.launch(task, house.file(WAIT), params={"notes": str(notes)}, **context)
    house.executor.dispatch([launch])
    house.until(lambda: notes.exists() and len(notes.read_text().split()) == pids, "the task's start")
    return launch, [int(pid) for pid in notes.read_text().split()]


def gone(pids: list[int]) -> bool:
    return all(started_ticks(pid) is None for pid in pids)


def test_a_task_that_takes_too_long_is_an_error(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "wait", tmp_path / "notes", timeout_seconds=0.5)
    assert end(house.outcome_of(launch)) == (OutcomeKind.ERROR, "timed out after 0.5 s")
    assert gone(pids)
    assert house.messages(launch)[0] == "The attempt is being ended: timed out after 0.5 s."


def test_a_stubborn_task_is_killed_after_the_grace(new_house: Callable[..., House], tmp_path: Path) -> None:
    house = new_house(grace_seconds=0.2)
    launch, pids = start(house, "stubborn", tmp_path / "notes", timeout_seconds=0.2)
    assert end(house.outcome_of(launch)) == (OutcomeKind.ERROR, "timed out after 0.2 s")
    assert gone(pids)


def test_a_cancel_ends_the_whole_tree_daemons_included(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    house.executor.cancel([(launch.instance_id, 1)], 0.2)
    assert end(house.outcome_of(launch)) == (OutcomeKind.CANCELLED, "cancelled")
    assert gone(pids)


def test_a_heartbeat_may_say_that_the_attempt_is_cancelled(
    new_house: Callable[..., House], tmp_path: Path
) -> None:
    house = new_house(heartbeat_seconds=0.1, grace_seconds=0.2)
    launch, pids = start(house, "stubborn", tmp_path / "notes")
    house.stops[launch.instance_id, 1] = "cancelled"
    assert end(house.outcome_of(launch)) == (OutcomeKind.CANCELLED, "cancelled")
    assert gone(pids)


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "cancelled"])
def test_an_attempt_can_be_ended_while_its_file_is_imported(
    new_house: Callable[..., House], tmp_path: Path, fenced: bool
) -> None:
    house = new_house(heartbeat_seconds=0.1)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    launch = house.launch(
        "any", house.file(f"open({str(gate)!r}).read()\ndef any(context, data): return 1\n")
    )
    house.executor.dispatch([launch])
    house.until(lambda: house.beats > 0, "the first heartbeat")
    if fenced:
        house.stops[launch.instance_id, 1] = "fenced"
        beats = house.beats
        house.until(lambda: house.beats > beats, "the beat it is told by")
        gate.open("w").close()
        house.run("fine", house.file("def fine(context, data): return 1\n", "other.py"), file="other.py")
        assert (launch.instance_id, 1) not in house.outcomes
    else:
        house.executor.cancel([(launch.instance_id, 1)], 10)
        assert end(house.outcome_of(launch)) == (OutcomeKind.CANCELLED, "cancelled")
        gate.open("w").close()


def test_a_fenced_attempt_is_killed_at_once_and_reports_nothing(
    new_house: Callable[..., House], tmp_path: Path
) -> None:
    house = new_house(heartbeat_seconds=0.1)
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    house.stops[launch.instance_id, 1] = "fenced"
    house.until(lambda: gone(pids), "the end of the tree")
    assert end(house.run("done_in_time", house.file(WAIT), params={"notes": _go(tmp_path)})) == (
        OutcomeKind.SUCCESS,
        "",
    )
    assert (launch.instance_id, 1) not in house.outcomes


def _go(folder: Path) -> str:
    (folder / "other.go").touch()
    return str(folder / "other")


def test_a_lease_that_is_not_renewed_ends_the_attempt(
    new_house: Callable[..., House], tmp_path: Path
) -> None:
    house = new_house(heartbeat_seconds=0.1, lease_seconds=1.0)
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    house.mute_beats = True
    assert end(house.outcome_of(launch)) == (OutcomeKind.INTERRUPTED, "the scheduler was not heard for 1 s")
    assert gone(pids)


def test_heartbeats_keep_an_attempt_beyond_its_lease(new_house: Callable[..., House], tmp_path: Path) -> None:
    house = new_house(heartbeat_seconds=0.05, lease_seconds=0.5)
    launch, pids = start(house, "done_in_time", tmp_path / "notes")
    beats = house.beats
    house.until(lambda: house.beats > beats + 20, "twenty heartbeats")
    assert not gone(pids)
    (tmp_path / "notes.go").touch()
    assert end(house.outcome_of(launch)) == (OutcomeKind.SUCCESS, "")


def test_a_drain_lets_tasks_end_by_themselves(house: House, tmp_path: Path) -> None:
    launch, _ = start(house, "done_in_time", tmp_path / "notes")
    worker = house.worker_pid()
    os.kill(worker, signal.SIGTERM)
    late = house.launch("wait", house.file(WAIT), params={"notes": str(tmp_path / "late")})
    house.until(lambda: house.executor.capacity().slots == 0, "the drain")
    house.executor.dispatch([late])
    (tmp_path / "notes.go").touch()
    assert end(house.outcome_of(launch)) == (OutcomeKind.SUCCESS, "")
    assert not (tmp_path / "notes.term").exists()
    # The next worker takes what the drained one would not.
    house.until(lambda: (tmp_path / "late").exists() and house.worker_pid() != worker, "the next worker")


def test_a_drain_interrupts_what_does_not_end_in_its_grace(
    new_house: Callable[..., House], tmp_path: Path
) -> None:
    house = new_house(drain_seconds=0.2)
    launch, pids = start(house, "wait", tmp_path / "notes")
    os.kill(house.worker_pid(), signal.SIGTERM)
    assert end(house.outcome_of(launch)) == (OutcomeKind.INTERRUPTED, "the worker was stopped")
    assert gone(pids)


def test_a_signal_to_the_whole_group_reaches_no_task(house: House, tmp_path: Path) -> None:
    launch, _ = start(house, "done_in_time", tmp_path / "notes")
    os.killpg(house.worker_pid(), signal.SIGTERM)
    house.until(lambda: house.executor.capacity().slots == 0, "the drain")
    (tmp_path / "notes.go").touch()
    assert end(house.outcome_of(launch)) == (OutcomeKind.SUCCESS, "")
    assert not (tmp_path / "notes.term").exists()


def test_a_second_sigterm_shortens_the_grace(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "wait", tmp_path / "notes")
    worker = house.worker_pid()
    os.kill(worker, signal.SIGTERM)
    house.until(lambda: not house.executor.capacity().slots, "the drain")
    os.kill(worker, signal.SIGTERM)
    assert end(house.outcome_of(launch)) == (OutcomeKind.INTERRUPTED, "the worker was stopped")
    assert gone(pids)
