"""Commands: quoting, exit codes, output, folders, environments, and the end of whole process groups."""

import os
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradewind import task
from tradewind.operators import BashOperator
from tradewind.runtime.task.render import Renderer
from tradewind.testing.dag_result import DagTestResult

Run = Callable[..., DagTestResult]

EVIL = 'a b\'; touch hacked; echo "$(touch hacked)" `touch hacked`\\'


def test_the_last_line_is_the_output(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    result = run(lambda: BashOperator(task_id="t", command="echo one; echo err >&2; printf 'two'"))
    assert (result.states(), result.xcoms) == ({"t": "success"}, {"t": "two"})
    told = [record.message for record in caplog.records if record.name == "tradewind.task.t"]
    assert sorted(told) == ["err", "one", "two"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("printf %s {{ params.x }}", EVIL),
        ("printf %s '{{ params.x }}'", EVIL),
        ('printf %s "{{ params.x }}"', EVIL),
        ("printf %s $'{{ params.x }}'", EVIL),
        ("printf %s $(printf %s {{ params.x }})", EVIL.replace(" ", "")),
        ('printf %s "$(printf %s {{ params.x }})"', EVIL),
        ('printf %s "$(printf %s "{{ params.x }}")"', EVIL),
        ("echo ok # {{ params.x }}", "ok"),
        ('x={{ params.x }}; printf %s "$x"', EVIL),
        ("printf %s $(( {{ params.n }} + 1 ))", "6"),
        ("cat <<< {{ params.x }}", EVIL),
        ('for f in {% for x in [params.x] %}{{ x }}{% endfor %}; do printf %s "$f"; done', EVIL),
        ("printf %s {{ 'echo hi' | unquoted }}", "echohi"),
        ("printf '%s-%s' {{ params.l | map('quote') | join(' ') | unquoted }}", "c d-e"),
    ],
)
def test_values_stay_values_wherever_they_stand(
    run: Run, tmp_path: Path, template: str, expected: str
) -> None:
    result = run(
        lambda: BashOperator(task_id="t", command=template, cwd=str(tmp_path)),
        params={"x": EVIL, "n": 5, "l": ["c d", "e"]},
    )
    assert (result.xcoms, list(tmp_path.iterdir())) == ({"t": expected}, [])


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("echo `echo {{ params.x }}`", "inside `…`"),
        ("echo \\{{ params.x }}", "right after a backslash"),
        ('echo "${NO_SUCH:-{{ params.x }}}"', "inside a ${ … }"),
        ("echo ${y:-'z'} {{ params.x }}", "inside a ${ … }"),
        ("cat <<EOF\n{{ params.x }}\nEOF\n", "here-document EOF"),
        ("echo $(( {{ params.x }} ))", "only numbers are safe"),
        ('echo "$(case a in a) echo;; esac {{ params.x }})"', "after a `case`"),
    ],
)
def test_places_without_safe_quoting_are_refused(run: Run, template: str, problem: str) -> None:
    result = run(lambda: BashOperator(task_id="t", command=template), params={"x": EVIL})
    assert result.state == "failed"
    assert problem in result.reasons()["t"]


PLACES = [
    "printf %s {{ params.x }}",
    "printf %s '{{ params.x }}'",
    'printf %s "{{ params.x }}"',
    "printf %s $'{{ params.x }}'",
    'printf %s "$(printf %s. {{ params.x }})"',
    'x=a\\ b"{{ params.x }}"; printf %s "${x#a b}"',
    "(printf %s {{ params.x }}) # {{ params.x }} '",
    "cat <<'E' >/dev/null\n'\nE\nprintf %s {{ params.x }}",
    'y=1; printf %s "${y:+}{{ params.x }}"',
]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=st.text(st.sampled_from("ab '\"\\$`(){}#;&|<>!*\n~"), max_size=8))
def test_any_value_comes_out_of_a_shell_as_it_was(place: str, value: str) -> None:
    text = Renderer({"params": {"x": value}}).text(place, field="command", quoted=True)
    found = subprocess.run(["bash", "-c", text], capture_output=True, check=False, text=True, cwd="/")
    end = "." if "%s." in place else ""
    assert (found.stdout, found.stderr, found.returncode) == (value + end, "", 0)


def test_values_that_need_no_quotes_may_stand_anywhere(run: Run) -> None:
    command = (
        "cat <<EOF\n{{ ds }}\nEOF\n"
        "cat <<'EOF'\n{{ ds }}\nEOF\n"
        'echo `echo {{ ds }}` \\{{ ds }} "${NO_SUCH:-"{{ ds }}"}" {{ ds }}'
    )
    result = run(lambda: BashOperator(task_id="t", command=command), at=datetime(2026, 1, 2, tzinfo=UTC))
    assert result.xcoms == {"t": " ".join(["2026-01-02"] * 4)}
    ending = run(
        lambda: BashOperator(task_id="t", command="cat <<EOF\n{{ params.x }}\nid\nEOF"), params={"x": "EOF"}
    )
    assert "here-document EOF" in ending.reasons()["t"]


def test_lists_are_arguments(run: Run, tmp_path: Path) -> None:
    result = run(
        lambda: BashOperator(task_id="t", command=["printf", "%s|", "{{ params.x }}", 5], cwd=str(tmp_path)),
        params={"x": EVIL},
    )
    assert (result.xcoms, list(tmp_path.iterdir())) == ({"t": f"{EVIL}|5|"}, [])


@pytest.mark.parametrize(
    ("command", "options", "state", "reason"),
    [
        ("exit 3", {}, "failed", "exit code 3"),
        ("exit 99", {}, "skipped", "exit code 99"),
        ("exit 99", {"skip_on_exit_code": None}, "failed", "exit code 99"),
        ("exit 7", {"skip_on_exit_code": [6, 7]}, "skipped", "exit code 7"),
        ("kill -9 $$", {}, "failed", "killed: SIGKILL"),
        (
            ["no-such-program"],
            {},
            "failed",
            "'no-such-program' cannot be started: No such file or directory: no-such-program",
        ),
        ("  ", {}, "failed", 'the command of task "t" is empty'),
        (
            "true",
            {"cwd": "/no/such"},
            "failed",
            'the folder cwd="/no/such" of task "t" does not exist; make it first',
        ),
    ],
)
def test_how_a_command_ends(run: Run, command: Any, options: dict[str, Any], state: str, reason: str) -> None:
    result = run(lambda: BashOperator(task_id="t", command=command, **options))
    assert (result.states(), result.reasons()) == ({"t": state}, {"t": reason})


def test_the_environment_is_replaced_or_added_to(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    command = 'echo "$OUTER-$INNER"'

    def build() -> None:
        BashOperator(task_id="kept", command=command)
        BashOperator(task_id="replaced", command=command, env={"INNER": "{{ run_id }}"})
        BashOperator(task_id="added", command=command, env={"INNER": "i"}, append_env=True)

    result = run(build)
    assert result.xcoms == {"kept": "outer-", "replaced": f"-{result.run.run_id}", "added": "outer-i"}


def test_the_folder_is_temporary_unless_given(run: Run) -> None:
    folder = run(lambda: BashOperator(task_id="t", command="pwd")).xcoms["t"]
    assert "tradewind-" in folder
    assert not Path(folder).exists()
    here = run(lambda: BashOperator(task_id="t", command="pwd", cwd=".")).xcoms["t"]
    assert Path(here) == Path(__file__).parent


def test_a_script_beside_the_dag_is_a_template(run: Run) -> None:
    script = Path(__file__).parent / "hello_script.sh"
    script.write_text("echo hello {{ params.x }}\n")
    try:
        result = run(lambda: BashOperator(task_id="t", command="hello_script.sh"), params={"x": "a  b"})
    finally:
        script.unlink()
    assert result.xcoms == {"t": "hello a  b"}
    missing = run(lambda: BashOperator(task_id="t", command="hello_script.sh"))
    assert 'names the template file "hello_script.sh", which was not found in' in missing.reasons()["t"]


def test_what_runs_on_in_the_background_is_not_waited_for(run: Run) -> None:
    result = run(lambda: BashOperator(task_id="t", command="sleep 60 & echo $!"))
    os.kill(int(result.xcoms["t"]), 9)
    assert result.state == "success"


def test_a_time_limit_ends_the_whole_group(run: Run, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    command = f"sh -c 'echo $$ > {pid_file}; exec sleep 60' & wait"
    result = run(lambda: BashOperator(task_id="t", command=command, execution_timeout=1.0))
    assert result.reasons() == {"t": "timed out after 1 s"}
    pid = int(pid_file.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_on_kill_ends_a_running_command(tmp_path: Path) -> None:
    import logging

    from tradewind.operators.processes import Program

    program = Program()
    started = threading.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            started.set()

    log = logging.Logger("t")  # noqa: LOG001 - a logger of this test alone
    log.addHandler(Told())
    ended: list[Any] = []
    script = "trap '' TERM; echo on; while :; do sleep 60; done"
    thread = threading.Thread(
        target=lambda: ended.append(
            program.run(["sh", "-c", "echo on; exec sleep 60"], log=log, cwd=str(tmp_path))
        )
    )
    thread.start()
    assert started.wait(10), script
    program.kill()
    thread.join(10)
    assert ended[0].code == -15


def test_the_function_of_task_bash_returns_the_command(run: Run) -> None:
    def build() -> None:
        @task.bash
        def words(x: str) -> list[str]:
            return ["echo", x, "{{ ds }}"]

        words("{{ params.x }}")

    assert run(build, params={"x": "a  b"}).xcoms == {"words": "a  b {{ ds }}"}


def test_secrets_do_not_show_in_rendered_fields(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_CONN_DB", "postgres://u:hunter2-hunter2@host/db")
    result = run(
        lambda: BashOperator(
            task_id="t", command="test {{ conn.db.password }} = hunter2-hunter2 && echo {{ conn.db.host }}"
        )
    )
    assert result.xcoms == {"t": "host"}
