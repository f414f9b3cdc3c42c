"""Deaths of workers, fork servers and schedulers: nothing runs twice, nothing is forgotten, nothing stays."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runtime.house import House
from tests.runtime.test_attempts import end
from tests.runtime.test_stops import gone, start
from tradewind.ports.runtime_api import OutcomeKind
from tradewind.runtime import processes

pytestmark = pytest.mark.chaos


def parent_of(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    return int(fields[1])


def test_killing_the_worker_ends_everything_below_and_is_told(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    worker = house.worker_pid()
    os.kill(worker, signal.SIGKILL)
    key = (launch.instance_id, 1)
    house.until(lambda: key in house.gone, "the word that it is gone")
    assert house.gone[key] == f"worker 'local' (process {worker}) ended"
    assert gone(pids)
    assert house.worker_pid() != worker


def test_killing_worker_and_fork_servers_together_leaves_nothing_either(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    worker = house.worker_pid()
    version_server = parent_of(pids[1])
    base = parent_of(version_server)
    assert parent_of(base) == worker
    for pid in (worker, base, version_server):
        os.kill(pid, signal.SIGSTOP)
    for pid in (worker, base, version_server):
        os.kill(pid, signal.SIGKILL)
    house.until(lambda: (launch.instance_id, 1) in house.gone, "the word that it is gone")
    assert gone(pids)


def test_killing_the_fork_server_of_a_file_costs_no_try(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    os.kill(parent_of(pids[1]), signal.SIGKILL)
    assert end(house.outcome_of(launch)) == (
        OutcomeKind.INTERRUPTED,
        "its fork server ended (killed: SIGKILL)",
    )
    assert gone(pids)
    sha = house.file("def fine(context, data):\n    return 1\n")
    assert end(house.run("fine", sha)) == (OutcomeKind.SUCCESS, "")


def test_killing_the_base_fork_server_costs_no_try(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    os.kill(parent_of(parent_of(pids[1])), signal.SIGKILL)
    assert end(house.outcome_of(launch)) == (
        OutcomeKind.INTERRUPTED,
        "its fork server ended (killed: SIGKILL)",
    )
    assert gone(pids)
    sha = house.file("def fine(context, data):\n    return 1\n")
    assert end(house.run("fine", sha)) == (OutcomeKind.SUCCESS, "")


def test_killing_a_task_is_an_error_of_the_task(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "tree", tmp_path / "notes", pids=3)
    os.kill(pids[1], signal.SIGKILL)
    assert end(house.outcome_of(launch)) == (OutcomeKind.ERROR, "killed: SIGKILL")
    assert gone(pids)


def test_a_task_that_kills_its_parent_harms_no_other_file(house: House, tmp_path: Path) -> None:
    other, _ = start(house, "done_in_time", tmp_path / "notes")
    sha = house.file(
        "import os, threading\n"
        "def poison(context, data):\n"
        "    os.kill(os.getppid(), 9)\n"
        "    threading.Event().wait()\n",
        "poison.py",
    )
    report = house.run("poison", sha, file="poison.py")
    assert end(report) == (OutcomeKind.INTERRUPTED, "its fork server ended (killed: SIGKILL)")
    (tmp_path / "notes.go").touch()
    assert end(house.outcome_of(other)) == (OutcomeKind.SUCCESS, "")


def test_a_frozen_worker_does_not_keep_attempts_beyond_their_lease(
    new_house: Callable[..., House], tmp_path: Path
) -> None:
    house = new_house(heartbeat_seconds=0.1, lease_seconds=1.0)
    _, pids = start(house, "tree", tmp_path / "notes", pids=3)
    worker = house.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    try:
        house.until(lambda: gone(pids), "the end of its attempts")
    finally:
        os.kill(worker, signal.SIGCONT)


def test_attempts_outlive_the_scheduler_and_are_adopted_by_the_next(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "done_in_time", tmp_path / "notes")
    worker = house.worker_pid()
    house.restart_scheduler()
    assert house.worker_pid() == worker
    house.executor.dispatch([launch, launch])  # the next scheduler does not know that it was sent
    (tmp_path / "notes.go").touch()
    report = house.outcome_of(launch)
    assert (end(report), report.pid) == ((OutcomeKind.SUCCESS, ""), pids[0])
    assert (house.reports[launch.instance_id, 1], len(house.claimants[launch.instance_id, 1])) == (1, 1)


def test_an_outcome_that_came_while_nobody_listened_is_reported_to_the_next(
    house: House, tmp_path: Path
) -> None:
    launch, pids = start(house, "done_in_time", tmp_path / "notes")
    house.executor.stop(kill_workers=False)
    (tmp_path / "notes.go").touch()
    while not gone(pids):
        pass
    house.executor = house.open()
    assert end(house.outcome_of(launch)) == (OutcomeKind.SUCCESS, "")


def test_a_claim_whose_answer_was_lost_is_asked_again_by_the_same_claimant(house: House) -> None:
    sha = house.file("def fine(context, data):\n    return 1\n")
    house.worker_pid()
    house.mute = True
    launch = house.launch("fine", sha)
    house.executor.dispatch([launch])
    calls = house.calls
    house.until(lambda: house.calls > calls, "the claim")
    house.mute = False
    house.restart_scheduler()
    assert end(house.outcome_of(launch)) == (OutcomeKind.SUCCESS, "")
    assert len(house.claimants[launch.instance_id, 1]) == 1


def test_an_outcome_survives_the_worker_that_could_not_report_it(house: House, tmp_path: Path) -> None:
    launch, pids = start(house, "done_in_time", tmp_path / "notes")
    worker = house.worker_pid()
    house.mute = True
    calls = house.calls
    (tmp_path / "notes.go").touch()
    house.until(lambda: house.calls > calls, "the report nobody answers")
    os.kill(worker, signal.SIGKILL)
    house.mute = False
    report = house.outcome_of(launch)
    assert (end(report), report.pid) == ((OutcomeKind.SUCCESS, ""), pids[0])
    spool = house.options.spool_path
    house.until(lambda: all(file.stat().st_size >= 0 for file in spool.glob("*")), "the spool")


def test_the_same_report_twice_is_harmless(house: House) -> None:
    sha = house.file("def fine(context, data):\n    return 1\n")
    launch = house.launch("fine", sha)
    house.executor.dispatch([launch])
    house.outcome_of(launch)

    def claimed_again() -> bool:
        house.executor.dispatch([launch])  # as long as its process is there, the worker ignores it
        return len(house.claimants[launch.instance_id, 1]) > 1

    house.until(claimed_again, "the second claim")
    assert end(house.run("fine", sha)) == (OutcomeKind.SUCCESS, "")
    assert house.reports[launch.instance_id, 1] == 1


def test_launches_wait_for_a_worker(house: House) -> None:
    sha = house.file("def fine(context, data):\n    return 1\n")
    os.kill(house.worker_pid(), signal.SIGKILL)
    house.until(lambda: house.executor.capacity().workers == 0, "the worker's end")
    assert house.executor.capacity().detail.startswith("no worker is connected to executor 'local'")
    assert end(house.run("fine", sha)) == (OutcomeKind.SUCCESS, "")


def test_the_mark_finds_what_a_dead_worker_left(tmp_path: Path) -> None:
    mark = f"test@{tmp_path}#1"
    marked = {processes.WORKER_VARIABLE: mark, processes.ATTEMPT_VARIABLE: "7:1"}
    child = subprocess.Popen(["sleep", "1000"], env={**os.environ, **marked})
    other = subprocess.Popen(
        ["sleep", "1000"], env={**os.environ, **marked, processes.WORKER_VARIABLE: "other@"}
    )
    try:
        assert list(processes.marked_processes(mark)) == [(child.pid, "7:1")]
        assert list(processes.marked_processes(f"test@{tmp_path}#")) == [(child.pid, "7:1")]
        assert list(processes.marked_processes(f"test@{tmp_path}#2")) == []
        assert processes.kill_marked(mark) == 1
        assert child.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def small_group() -> Iterator[Path]:
    """Return a memory cgroup of 64 MB that a process may enter."""
    version_2 = (GROUPS / "cgroup.controllers").exists()
    group = (GROUPS if version_2 else GROUPS / "memory") / f"tradewind-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.max" if version_2 else "memory.limit_in_bytes")).write_text(str(64 << 20))
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    group.rmdir()


def test_a_task_the_kernel_kills_for_memory_says_so(house: House, small_group: Path) -> None:
    sha = house.file(
        "import os\n"
        "def eat(context, data):\n"
        "    with open(context.params['group'] + '/cgroup.procs', 'w') as file: file.write(str(os.getpid()))\n"
        "    return len(bytearray(os.urandom(1) * (200 << 20)))\n"
    )
    report = house.run("eat", sha, params={"group": str(small_group)})
    assert (*end(report), report.signal) == (
        OutcomeKind.ERROR,
        "killed: SIGKILL (out of memory)",
        signal.SIGKILL,
    )
