"""The worker process itself: names, orphans, wrong use, long paths, an engine that cannot start."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.runtime.house import House
from tests.runtime.test_attempts import end
from tradewind.ports.runtime_api import OutcomeKind
from tradewind.runtime import processes
from tradewind.runtime.processes import started_ticks
from tradewind.runtime.worker import EXIT_TAKEN, command_line

FINE = "def fine(context, data):\n    return 1\n"


def test_a_second_worker_of_the_same_name_says_so_and_ends(house: House) -> None:
    house.worker_pid()
    second = subprocess.run(
        command_line(house.options),
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (second.returncode, second.stderr) == (
        EXIT_TAKEN,
        f'A worker "local" of {house.home} runs already.\n',
    )


def test_wrong_slots_are_refused_in_one_line(house: House) -> None:
    command = [*command_line(house.options), "--slots", "0"]
    result = subprocess.run(
        command, env=house.environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert result.returncode == 2
    assert (
        result.stderr.splitlines()[-1] == "tradewind worker: error: --slots is 0; it must be greater than 0."
    )


def test_a_worker_whose_home_is_deleted_ends(new_house: Callable[..., House]) -> None:
    house = new_house(lease_seconds=1.0)
    pid = house.worker_pid()
    shutil.rmtree(house.home)
    house.until(lambda: started_ticks(pid) is None, "the worker's end")


def test_a_worker_that_nobody_comes_back_to_ends(new_house: Callable[..., House]) -> None:
    house = new_house(lease_seconds=1.0, orphan_seconds=0.2)
    pid = house.worker_pid()
    house.executor.stop(kill_workers=False)
    while started_ticks(pid) is not None:
        pass
    house.executor = house.open()


def test_a_home_whose_socket_path_is_too_long_for_the_system_works(tmp_path: Path) -> None:
    house = House(tmp_path / ("long" * 30))
    try:
        assert len(os.fsencode(house.options.socket_path)) > 108
        assert end(house.run("fine", house.file(FINE))) == (OutcomeKind.SUCCESS, "")
        assert house.options.socket_path.stat().st_mode & 0o777 == 0o600
    finally:
        house.close()


def test_an_engine_that_cannot_start_is_told_as_the_reason_for_no_capacity(
    new_house: Callable[..., House],
) -> None:
    house = new_house(engine="tests.runtime.no_such_engine")
    house.until(lambda: "status 1" in house.executor.capacity().detail, "the reason")
    log = house.options.run_path / "worker-local.log"
    assert house.executor.capacity().detail == (
        f"no worker is connected to executor 'local': the worker ended with status 1; see {log}"
    )
    assert "No module named 'tests.runtime.no_such_engine'" in log.read_text()


def test_a_task_is_a_process_of_its_own_kind(house: House) -> None:
    sha = house.file(
        "import os, resource, signal\n"
        "def look(context, data):\n"
        "    return {\n"
        "        'leads its session': os.getsid(0) == os.getpid() == os.getpgid(0),\n"
        "        'core': resource.getrlimit(resource.RLIMIT_CORE),\n"
        "        'descriptors': resource.getrlimit(resource.RLIMIT_NOFILE)[0],\n"
        "        'oom': open('/proc/self/oom_score_adj').read().strip(),\n"
        "        'title': open('/proc/self/cmdline').read().rstrip('\\0'),\n"
        "        'mark': os.environ['TRADEWIND_ATTEMPT'],\n"
        "        'blocked': sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),\n"
        "        'open': sorted(map(int, os.listdir('/proc/self/fd')))[:3],\n"
        "    }\n"
    )
    house.run("look", sha)
    report = house.run("look", sha, map_index=(3, 0))
    assert msgspec.json.decode(report.xcoms["return_value"]) == {
        "leads its session": True,
        "core": [0, 0],
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "oom": "200",
        "title": "tradewind task flow/manual__1/look[3,0] try 1",
        "mark": "2:1",
        "blocked": [],
        "open": [0, 1, 2],
    }


def test_a_child_of_the_task_that_returns_too_reports_nothing(house: House) -> None:
    sha = house.file(
        "import os\n"
        "def split(context, data):\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        os.waitpid(child, 0)\n"
        "    return 'task' if child else 'child'\n"
    )
    assert house.run("split", sha).xcoms == {"return_value": '"task"'}


def test_children_are_found_without_the_kernels_lists_too() -> None:
    with subprocess.Popen(["sleep", "1000"]) as one, subprocess.Popen(["sleep", "1000"]) as other:
        pids = {one.pid, other.pid}
        assert pids <= set(processes.children_by_parent(os.getpid()))
        assert set(processes.children_by_parent(os.getpid())) == set(processes.children_of(os.getpid()))
        one.kill()
        other.kill()


@pytest.mark.parametrize("body", ["threads", "fork", "logging", "at_exit", "random"])
def test_what_a_fork_must_not_break_works_in_a_task(house: House, body: str, tmp_path: Path) -> None:
    sha = house.file(
        "import atexit, concurrent.futures, logging, logging.handlers, os, random, threading\n"
        "memory = logging.handlers.MemoryHandler(100)\n"
        "random.random()\n"
        "def threads(context, data):\n"
        "    with concurrent.futures.ThreadPoolExecutor(4) as pool:\n"
        "        return sum(pool.map(int, '123')) == 6 and threading.current_thread() is threading.main_thread()\n"
        "def fork(context, data):\n"
        "    handler = logging.StreamHandler(); logging.getLogger('x').addHandler(handler)\n"
        "    held, done = threading.Event(), threading.Event()\n"
        "    def hold():\n"
        "        with handler.lock:\n"
        "            held.set(); done.wait()\n"
        "    threading.Thread(target=hold, daemon=True).start(); held.wait()\n"
        "    read, write = os.pipe()\n"
        "    if os.fork() == 0:\n"
        "        logging.getLogger('x').warning('from the child'); os.write(write, b'ok'); os._exit(0)\n"
        "    answer = os.read(read, 2); done.set()\n"
        "    return answer == b'ok'\n"
        "def at_exit(context, data):\n"
        "    atexit.register(lambda: open(context.params['path'], 'w').close())\n"
        "    def later():\n"
        "        threading.Event().wait(0.05)\n"
        "        open(context.params['path'] + '2', 'w').close()\n"
        "    threading.Thread(target=later).start()\n"
        "    return True\n"
        "def random_number(context, data):\n"
        "    return random.random()\n"
        "def logging_(context, data):\n"
        "    memory.setTarget(logging.FileHandler(context.params['path']))\n"
        "    logging.getLogger('m').addHandler(memory)\n"
        "    logging.getLogger('m').warning('kept back')\n"
        "    return True\n"
    )
    path = tmp_path / "made"
    if body == "random":
        numbers = {house.run("random_number", sha).xcoms["return_value"] for _ in range(4)}
        assert len(numbers) == 4
        return
    task = "logging_" if body == "logging" else body
    assert house.run(task, sha, params={"path": str(path)}).xcoms == {"return_value": "true"}
    if body == "at_exit":
        assert (path.exists(), Path(f"{path}2").exists()) == (True, True)
    if body == "logging":
        assert path.read_text() == "kept back\n"
