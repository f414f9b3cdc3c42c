"""Small parts of the worker: memory counters, secrets in answers, the texts of versions, a clean environment."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tradewind.ports.runtime_api import Launch
from tradewind.runtime.environment import clean_environment
from tradewind.runtime.oom import OomWatch
from tradewind.runtime.supervisor.attempts import describe_death
from tradewind.runtime.supervisor.secrets import secrets_in
from tradewind.runtime.supervisor.versions import VersionCache


@pytest.mark.parametrize(
    ("cgroup", "file", "before", "after"),
    [
        ("0::/job\n", "job/memory.events", "low 0\noom 1\noom_kill 1\n", "low 0\noom 2\noom_kill 2\n"),
        (
            "4:memory:/job\n0::/\n",
            "memory/job/memory.oom_control",
            "under_oom 0\noom_kill 0\n",
            "oom_kill 1\n",
        ),
        ("", "", "", ""),
    ],
    ids=["cgroup 2", "cgroup 1", "no cgroup"],
)
def test_a_kill_for_memory_is_seen_once(
    tmp_path: Path, cgroup: str, file: str, before: str, after: str
) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text(cgroup)
    counter = groups / file if file else proc / "vmstat"
    counter.parent.mkdir(parents=True, exist_ok=True)
    counter.write_text(before or "oom_kill 4\n")
    watch = OomWatch(proc, groups)
    assert not watch.take()
    counter.write_text(after or "nr_free 9\noom_kill 5\n")
    assert (watch.take(), watch.take()) == (True, False)
    counter.write_text("oom_kill 97\n")
    assert watch.take()
    watch.rebase()
    assert not watch.take()


@pytest.mark.parametrize(
    ("status", "oom", "expected"),
    [
        (9, True, ("killed: SIGKILL (out of memory)", None, 9)),
        (9, False, ("killed: SIGKILL", None, 9)),
        (11, True, ("killed: SIGSEGV", None, 11)),
        (35, False, ("killed: signal 35", None, 35)),
        (3 << 8, False, ("the process ended with exit code 3 before it reported", 3, None)),
    ],
)
def test_a_death_has_a_reason(status: int, oom: bool, expected: tuple[str, int | None, int | None]) -> None:
    assert describe_death(status, lambda: oom) == expected


@pytest.mark.parametrize(
    ("verb", "arguments", "value", "secrets"),
    [
        (
            "connection_get",
            {"conn_id": "db"},
            {"type": "pg", "login": "anna", "password": "pw123", "extra": {"region": "eu", "api_key": "k-1"}},
            ["pw123", "k-1"],
        ),
        (
            "connection_get",
            {},
            {"type": "x", "extra": '{"token": {"deep": ["t-1", 42]}, "mode": "fast"}'},
            ["t-1", "42"],
        ),
        ("connection_get", {}, {"type": "x", "extra": {"url": "https://me:s3cret@host/x"}}, ["s3cret"]),
        ("connection_get", {}, None, []),
        ("variable_get", {"key": "API_TOKEN"}, "t-2", ["t-2"]),
        ("variable_get", {"key": "region"}, "eu", []),
        ("xcom_get", {"key": "password"}, "x", []),
    ],
)
def test_the_secrets_of_an_answer(
    verb: str, arguments: dict[str, Any], value: Any, secrets: list[str]
) -> None:
    assert secrets_in(verb, arguments, value) == secrets


def launch_of(text: str, file: str = "a.py") -> Launch:
    return Launch(
        instance_id=1,
        token=1,
        dag_id="d",
        run_id="r",
        task_id="t",
        version_id=1,
        file=file,
        source_sha=hashlib.sha256(text.encode()).hexdigest(),
    )


def test_a_versions_text_is_kept_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "a.py").write_text("one")
    cache = VersionCache(tmp_path / "versions", dags)
    assert cache.find(launch_of("two")) is None
    found = cache.find(launch_of("one"))
    assert found is not None
    (dags / "a.py").write_text("two")
    again = VersionCache(tmp_path / "versions", dags)
    assert again.find(launch_of("one")) == found
    assert Path(found.text_path).read_text() == "one"
    assert again.find(launch_of("three", "gone.py")) is None
    stored = again.store(launch_of("three", "gone.py"), "three")
    assert (stored, Path(stored.text_path).read_text()) == (
        again.find(launch_of("three", "gone.py")),
        "three",
    )


def test_a_clean_environment_keeps_what_is_not_ours() -> None:
    assert clean_environment(
        {
            "PATH": "/bin",
            "AWS_PROFILE": "x",
            "TRADEWIND_HOME": "/home",
            "TRADEWIND__DAGS__FOLDER": "d",
            "TRADEWIND__METASTORE__URL": "s",
            "TRADEWIND__SECRETS__KEY_FILE": "s",
            "TRADEWIND_SECRET_KEY": "s",
            "TRADEWIND_CONN_DB": "s",
            "TRADEWIND_VAR_X": "s",
        }
    ) == {"PATH": "/bin", "AWS_PROFILE": "x", "TRADEWIND_HOME": "/home", "TRADEWIND__DAGS__FOLDER": "d"}
