"""What becomes of an attempt, however it ends: with real processes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.house import House
from tradewind.ports.runtime_api import DataReply, OutcomeKind, OutcomeReport
from tradewind.runtime.processes import started_ticks


def end(report: OutcomeReport) -> tuple[OutcomeKind, str]:
    return report.kind, report.reason


def test_a_task_runs_and_its_value_comes_back(house: House) -> None:
    sha = house.file("def add(context, data):\n    return 1 + context.params['more']\n")
    report = house.run("add", sha, params={"more": 2})
    assert (end(report), report.xcoms) == ((OutcomeKind.SUCCESS, ""), {"return_value": "3"})
    assert report.pid is not None
    assert report.memory_max_bytes is not None


def test_an_exception_is_the_outcome_with_its_frames(house: House) -> None:
    sha = house.file("def fail(context, data):\n    raise ValueError('no rows')\n")
    report = house.run("fail", sha)
    assert end(report) == (OutcomeKind.ERROR, "ValueError: no rows")
    assert report.error is not None
    assert report.error["frames"][-1] == {
        "file": str(house.dags / "flow.py"),
        "line": 2,
        "function": "fail",
        "code": "raise ValueError('no rows')",
        "own": True,
    }


@pytest.mark.parametrize(
    ("body", "reason", "code", "signum"),
    [
        ("import os; os._exit(3)", "the process ended with exit code 3 before it reported", 3, None),
        ("import os; os._exit(0)", "the process ended with exit code 0 before it reported", 0, None),
        ("import ctypes; ctypes.string_at(0)", "killed: SIGSEGV", None, signal.SIGSEGV),
        ("import os; os.kill(os.getpid(), 9)", "killed: SIGKILL", None, signal.SIGKILL),
        ("import os; os.abort()", "killed: SIGABRT", None, signal.SIGABRT),
    ],
)
def test_a_process_that_dies_without_a_word_is_an_error_with_its_cause(
    house: House, body: str, reason: str, code: int | None, signum: int | None
) -> None:
    sha = house.file(f"def die(context, data):\n    {body}\n")
    launch = house.launch("die", sha)
    house.executor.dispatch([launch])
    report = house.outcome_of(launch)
    assert (*end(report), report.exit_code, report.signal) == (OutcomeKind.ERROR, reason, code, signum)
    assert house.messages(launch)[-1] == f"The attempt ended without a word of its own: {reason}."


def test_system_exit_is_an_error(house: House) -> None:
    sha = house.file("def leave(context, data):\n    raise SystemExit(2)\n")
    assert end(house.run("leave", sha)) == (OutcomeKind.ERROR, "SystemExit: 2")


def test_output_of_the_task_and_of_its_programs_is_in_the_log_when_the_outcome_is(house: House) -> None:
    sha = house.file(
        "import os, subprocess, sys\n"
        "def talk(context, data):\n"
        "    print('one', flush=True)\n"
        "    subprocess.run(['echo', 'two'], check=True)\n"
        "    print('three', file=sys.stderr, flush=True)\n"
        "    os.write(1, b'no end of line')\n"
    )
    launch = house.launch("talk", sha)
    house.executor.dispatch([launch])
    house.outcome_of(launch)
    house.until(lambda: len(house.messages(launch)) == 4, "the log")
    assert house.messages(launch) == ["one", "two", "three", "no end of line"]


def test_a_huge_line_is_cut_and_nothing_is_lost(house: House) -> None:
    sha = house.file("def shout(context, data):\n    print('x' * 10_000_000)\n    print('end')\n")
    launch = house.launch("shout", sha)
    house.executor.dispatch([launch])
    house.outcome_of(launch)
    house.until(lambda: house.messages(launch)[-1:] == ["end"], "the log")
    messages = house.messages(launch)
    assert sum(map(len, messages)) == 10_000_000 + len("end")
    assert max(map(len, messages)) <= 64 * 1024


def test_secrets_the_task_asked_for_do_not_reach_its_log(house: House) -> None:
    house.answers = lambda request: DataReply(
        value={"type": "postgres", "host": "db.example", "login": "anna", "password": "hunter2secret"}
    )
    sha = house.file(
        "import os\n"
        "def leak(context, data):\n"
        "    password = data.ask('connection_get', conn_id='db')['password']\n"
        "    os.write(1, b'to db.example: ' + password[:4].encode())\n"
        "    os.write(1, password[4:].encode() + b' done\\n')\n"
    )
    launch = house.launch("leak", sha)
    house.executor.dispatch([launch])
    assert end(house.outcome_of(launch)) == (OutcomeKind.SUCCESS, "")
    house.until(lambda: bool(house.messages(launch)), "the log")
    assert house.messages(launch) == ["to db.example: *** done"]


def test_an_error_for_an_answer_is_raised_in_the_task(house: House) -> None:
    house.answers = lambda request: DataReply(error=f"no connection {request.arguments['conn_id']!r}")
    sha = house.file("def ask(context, data):\n    data.ask('connection_get', conn_id='db')\n")
    assert end(house.run("ask", sha)) == (OutcomeKind.ERROR, "RuntimeApiError: no connection 'db'")


def test_a_large_question_and_a_large_answer_come_through(house: House) -> None:
    house.answers = lambda request: DataReply(value=request.arguments["value"][::-1])
    sha = house.file(
        "def echo(context, data):\n"
        "    text = 'a' + 'b' * 3_000_000\n"
        "    return data.ask('xcom_put', key='k', value=text) == text[::-1]\n"
    )
    assert house.run("echo", sha).xcoms == {"return_value": "true"}


def test_a_file_that_cannot_be_imported_fails_its_attempts_with_the_files_error(house: House) -> None:
    sha = house.file("import nowhere_to_be_found\n")
    report = house.run("any", sha)
    assert end(report) == (
        OutcomeKind.ERROR,
        "flow.py cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    )
    assert report.error is not None
    assert [frame["line"] for frame in report.error["frames"]] == [1]
    fixed = house.file("def fine(context, data):\n    return 1\n")
    assert end(house.run("fine", fixed)) == (OutcomeKind.SUCCESS, "")


def test_a_file_that_ends_its_process_on_import_fails_its_attempts(house: House) -> None:
    sha = house.file("import os\nos._exit(7)\n")
    assert end(house.run("any", sha)) == (
        OutcomeKind.ERROR,
        "importing flow.py ended its process: the process ended with exit code 7",
    )


def test_a_file_that_hangs_on_import_is_ended(new_house: Callable[..., House]) -> None:
    house = new_house(import_seconds=0.5)
    sha = house.file("while True: pass\n")
    report = house.run("any", sha)
    assert end(report) == (
        OutcomeKind.ERROR,
        "importing flow.py took longer than 0.5 s. Move slow work from the top of the file into a task.",
    )
    fixed = house.file("def fine(context, data):\n    return 1\n")
    assert end(house.run("fine", fixed)) == (OutcomeKind.SUCCESS, "")


def test_a_file_that_starts_threads_on_import_gets_a_fresh_process_per_attempt(house: House) -> None:
    sha = house.file(
        "import os, threading\n"
        "stop = threading.Event()\n"
        "threading.Thread(target=stop.wait, daemon=True).start()\n"
        "def count(context, data):\n"
        "    return [threading.active_count(), os.getpid()]\n"
    )
    first, second = house.run("count", sha), house.run("count", sha)
    assert [first.xcoms["return_value"][:3], second.xcoms["return_value"][:3]] == ["[2,", "[2,"]
    assert first.pid != second.pid


def test_the_text_of_a_version_is_asked_for_when_the_file_has_changed(house: House) -> None:
    text = "def old(context, data):\n    return __file__\n"
    sha = house.file(text)
    house.file("def new(context, data):\n    return 2\n")
    house.answers = lambda request: DataReply(value={"file": "flow.py", "sha": sha, "text": text})
    report = house.run("old", sha)
    assert report.xcoms == {"return_value": f'"{house.dags}/flow.py"'}
    assert [(q.verb, q.arguments) for q in house.questions] == [("source_get", {"version_id": 1})]


def test_a_task_sees_neither_the_database_nor_keys(
    new_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "TRADEWIND__METASTORE__URL",
        "TRADEWIND_KEY",
        "TRADEWIND__SECRETS__KEY_FILE",
        "TRADEWIND_CONN_DB",
    ):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("MY_OWN", "kept")
    house = new_house()
    sha = house.file(
        "import os\n"
        "def see(context, data):\n"
        "    own = os.environ.get('MY_OWN')\n"
        "    return [own, os.environ['TRADEWIND_ATTEMPT'], [k for k, v in os.environ.items() if v == 's3cret']]\n"
    )
    assert house.run("see", sha).xcoms == {"return_value": '["kept","1:1",[]]'}


def test_a_refused_claim_runs_nothing(house: House, tmp_path: Path) -> None:
    sha = house.file("def touch(context, data):\n    open(context.params['path'], 'w').close()\n")
    refused = house.launch("touch", sha, params={"path": str(tmp_path / "refused")})
    house.refused[refused.instance_id, 1] = "not queued"
    house.executor.dispatch([refused])
    house.until(lambda: (refused.instance_id, 1) in house.claimants, "the claim")
    assert end(house.run("touch", sha, params={"path": str(tmp_path / "granted")})) == (
        OutcomeKind.SUCCESS,
        "",
    )
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["granted"]


def test_a_daemon_the_task_left_behind_is_ended(house: House, tmp_path: Path) -> None:
    sha = house.file(
        "import os, subprocess\n"
        "def leave(context, data):\n"
        "    child = subprocess.Popen(['setsid', 'sleep', '1000'])\n"
        "    return child.pid\n"
    )
    launch = house.launch("leave", sha)
    house.executor.dispatch([launch])
    pid = int(house.outcome_of(launch).xcoms["return_value"])
    house.until(lambda: started_ticks(pid) is None, "the daemon's end")
    house.until(lambda: bool(house.messages(launch)), "the log")
    assert house.messages(launch) == ["1 process(es) the task left behind were ended."]


def test_two_hundred_at_once(new_house: Callable[..., House]) -> None:
    house = new_house(slots=200)
    sha = house.file("def number(context, data):\n    return context.instance_id\n")
    launches = [house.launch("number", sha) for _ in range(200)]
    house.executor.dispatch(launches)
    house.until(lambda: len(house.outcomes) == 200, "200 outcomes")
    values = {key[0]: report.xcoms.get("return_value") for key, report in house.outcomes.items()}
    assert values == {launch.instance_id: str(launch.instance_id) for launch in launches}


def test_no_more_than_its_slots_run_at_once(new_house: Callable[..., House], tmp_path: Path) -> None:
    house = new_house(slots=2)
    os.mkfifo(tmp_path / "gate")
    sha = house.file("def wait(context, data):\n    open(context.params['gate']).read()\n")
    launches = [house.launch("wait", sha, params={"gate": str(tmp_path / "gate")}) for _ in range(5)]
    house.executor.dispatch(launches)
    house.until(lambda: len(house.claimants) == 2, "two claims")
    house.until(lambda: len(house.launched) == 5, "five launches")
    assert len(house.claimants) == 2
    while len(house.outcomes) < 5:
        before = len(house.outcomes)
        (tmp_path / "gate").open("w").close()  # lets go whoever reads
        house.until(lambda before=before: len(house.outcomes) > before, "an outcome")  # type: ignore[misc]
        assert len(house.claimants) <= len(house.outcomes) + 2
