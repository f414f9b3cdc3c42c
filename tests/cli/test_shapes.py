"""The JSON that programs rely on, compared whole; on rows, without any process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.house import House

WHEN = "2026-01-02T06:00:00+00:00"


def queued(stored: House, dag: str = "chain", run_id: str = "r1", *more: str) -> dict[str, Any]:
    answer = stored.run(
        "dags",
        "trigger",
        dag,
        "--run-id",
        run_id,
        "--logical-date",
        WHEN,
        "--run-after",
        WHEN,
        "-o",
        "json",
        *more,
    )
    assert answer.code == 0, answer.err
    shape: dict[str, Any] = answer.json()
    return shape


def test_trigger_and_lists_of_runs(stored: House) -> None:
    shape = {
        "dag_id": "chain",
        "run_id": "r1",
        "state": "queued",
        "logical_date": WHEN,
        "run_after": WHEN,
        "start_date": None,
        "end_date": None,
    }
    assert queued(stored) == shape
    assert queued(stored) == shape, "the same run_id again is the same run"
    assert stored.run("runs", "list", "-o", "json").json() == [shape]
    assert stored.run("runs", "list", "chain", "--state", "queued", "-o", "json").json() == [shape]
    assert stored.run("runs", "list", "chain", "--state", "failed", "-o", "json").json() == []
    assert stored.run("runs", "show", "chain", "r1", "-o", "json").json() == {**shape, "tasks": []}
    assert stored.run("runs", "list", "-o", "plain").out == "chain\tr1\tqueued\t2026-01-02 06:00:00\t\t\n"
    assert stored.run("runs", "list", "-o", "yaml").out == (
        "- dag_id: chain\n"
        "  run_id: r1\n"
        "  state: queued\n"
        f'  logical_date: "{WHEN}"\n'
        f'  run_after: "{WHEN}"\n'
        "  start_date: null\n"
        "  end_date: null\n"
    )


def test_a_run_id_is_made_of_type_and_date(stored: House) -> None:
    made = [
        stored.run("dags", "trigger", "chain", "--logical-date", "2026-01-02T06:00", "-o", "json").json()[
            "run_id"
        ]
        for _ in range(2)
    ]
    assert made == ["manual__2026-01-02T06:00:00+00:00", "manual__2026-01-02T06:00:00+00:00_2"]


def test_lists_of_dags(stored: House) -> None:
    queued(stored)
    rows = stored.run("dags", "list", "-o", "json").json()
    assert rows == [
        {
            "dag_id": "chain",
            "file": "chain.py",
            "schedule": None,
            "paused": False,
            "tags": [],
            "next_run": None,
            "last_state": "queued",
            "version": 1,
        },
        {
            "dag_id": "sales",
            "file": "sales.py",
            "schedule": "0 6 * * *",
            "paused": False,
            "tags": ["sales"],
            "next_run": None,
            "last_state": None,
            "version": 1,
        },
    ]
    assert stored.run("dags", "list", "--tag", "sales", "-o", "json").json() == rows[1:]


def test_pausing(stored: House) -> None:
    shape = {"dag_id": "sales", "paused": True, "held": False, "changed": True}
    assert stored.run("dags", "pause", "sales", "--why", "month end", "-o", "json").json() == shape
    assert stored.run("dags", "pause", "sales", "-o", "json").json() == {**shape, "changed": False}
    assert [row["dag_id"] for row in stored.run("dags", "list", "--paused", "-o", "json").json()] == ["sales"]
    assert stored.run("dags", "unpause", "sales", "-o", "json").json() == {**shape, "paused": False}
    with stored.parts() as parts:
        audited = [
            (event.kind, event.actor.partition(":")[0], event.data.get("why"))
            for event in parts.store.events_after(0, 100)
            if event.kind in {"dag.paused", "dag.unpaused"}
        ]
    assert audited == [("dag.paused", "cli", "month end"), ("dag.unpaused", "cli", None)]


def test_why_without_a_scheduler(stored: House) -> None:
    queued(stored)
    answer = stored.run("runs", "why", "chain", "r1", "-o", "json").json()
    assert answer == [
        {
            "task_id": None,
            "map_index": None,
            "state": "queued",
            "reasons": [
                {
                    "kind": "leadership",
                    "message": "no scheduler has led here yet; start one: `tradewind scheduler` or"
                    " `tradewind standalone`",
                    "since": None,
                    "until": None,
                }
            ],
        }
    ]
    of_task = stored.run("tasks", "why", "chain", "r1", "first", "-o", "json").json()
    assert of_task == [{**answer[0], "task_id": "first", "state": "none"}]


def test_cancel_tells_before_it_acts(stored: House) -> None:
    queued(stored)
    shape = {
        "act": "cancel",
        "dag_id": "chain",
        "run_id": "r1",
        "dry_run": True,
        "run_state": "cancelled",
        "affected": [],
        "notes": [],
    }
    assert stored.run("runs", "cancel", "chain", "r1", "--dry-run", "-o", "json").json() == shape
    assert stored.run("runs", "show", "chain", "r1", "-o", "json").json()["state"] == "queued"
    assert stored.run("runs", "cancel", "chain", "r1", "--yes", "-o", "json").json() == {
        **shape,
        "dry_run": False,
    }
    again = stored.run("runs", "cancel", "chain", "r1", "--yes")
    assert (again.code, again.err) == (
        1,
        'Error: Run "r1" of DAG "chain" is cancelled: it cannot cancel now\n',
    )
    assert stored.run("runs", "wait", "chain", "r1").code == 1


def test_waiting_ends_with_its_timeout(stored: House) -> None:
    queued(stored)
    answer = stored.run("runs", "wait", "chain", "r1", "--timeout", "0.1", "-o", "json")
    assert (answer.code, answer.json()["state"]) == (1, "queued")
    assert "Why: `tradewind runs why chain r1`" in answer.err


def test_check_needs_no_database(house: House) -> None:
    from tests.cli.dags_for_tests import BROKEN, CHAIN

    house.write(chain=CHAIN)
    assert house.run("dags", "check", "-o", "json").json() == {"ok": True, "errors": []}
    house.write(broken=BROKEN)
    answer = house.run("dags", "check", "-o", "json")
    found = answer.json()
    (error,) = found["errors"]
    assert (answer.code, found["ok"], error["line"]) == (1, False, 3)
    assert error["file"].endswith("/dags/broken.py")
    assert "minute" in error["message"]
    assert not (house.home / "tradewind.db").exists()


def test_dags_test_runs_without_a_database(house: House) -> None:
    from tests.cli.dags_for_tests import CHAIN

    house.write(chain=CHAIN)
    answer = house.run("dags", "test", "chain", "--at", WHEN, "-q", "-o", "json")
    found = answer.json()
    assert answer.code == 0
    assert {name: found[name] for name in ("dag_id", "state", "logical_date", "xcoms")} == {
        "dag_id": "chain",
        "state": "success",
        "logical_date": WHEN,
        "xcoms": {"first": "one", "second": "one two"},
    }
    assert [list(task) for task in found["tasks"]] == [
        [
            "task_id",
            "map_index",
            "state",
            "try_number",
            "start_date",
            "end_date",
            "duration",
            "pool",
            "operator",
        ]
    ] * 2
    assert not (house.home / "tradewind.db").exists()


def test_one_task_can_be_tried(house: House) -> None:
    from tests.cli.dags_for_tests import CHAIN, FAILING

    house.write(chain=CHAIN, failing=FAILING)
    answer = house.run("tasks", "test", "chain", "second", "--xcom", 'first="three"', "-q", "-o", "json")
    assert (answer.code, answer.json()) == (
        0,
        {
            "dag_id": "chain",
            "task_id": "second",
            "outcome": "success",
            "reason": "",
            "xcoms": {"return_value": "three two"},
        },
    )
    failed = house.run("tasks", "test", "failing", "breaks", "-q", "-o", "json")
    assert (failed.code, failed.json()["outcome"], failed.json()["reason"]) == (
        1,
        "failed",
        "the input is wrong",
    )


def test_pools(stored: House) -> None:
    shape = {"name": "gpu", "slots": 4, "description": "cards"}
    created = stored.run("pools", "set", "gpu", "4", "--description", "cards", "-o", "json")
    assert created.json() == {**shape, "created": True}
    assert stored.run("pools", "set", "gpu", "5", "-o", "json").json() == {
        **shape,
        "slots": 5,
        "created": False,
    }
    assert stored.run("pools", "list", "-o", "json").json() == [
        {"name": "default", "slots": 128, "used": 0, "waiting": 0, "description": ""},
        {**shape, "slots": 5, "used": 0, "waiting": 0},
    ]
    exported = stored.run("pools", "export", "gpu").out
    assert stored.run("pools", "delete", "gpu", "--yes").code == 0
    (stored.home / "pools.json").write_text(exported)
    imported = stored.run("pools", "import", str(stored.home / "pools.json"), "-o", "json")
    assert imported.json() == {"created": 1, "changed": 0}
    assert json.loads(exported) == {"gpu": {"slots": 5, "description": "cards"}}


def test_secrets_are_hidden_but_in_exports(stored: House) -> None:
    url = "postgres://anna:s3cr3t@db.example/sales?sslmode=require"
    assert stored.run("connections", "set", "db", url, "--yes", "-o", "json").json() == {
        "conn_id": "db",
        "created": True,
    }
    shown = stored.run("connections", "get", "db", "-o", "json")
    assert shown.json() == {
        "conn_id": "db",
        "type": "postgres",
        "host": "db.example",
        "login": "anna",
        "password": "•••",
        "port": None,
        "schema": "sales",
        "extra": {"sslmode": "•••"},
    }
    assert stored.run("variables", "set", "key", "s3cr3t-too").code == 0
    listed = (
        stored.run("connections", "list", "-o", "json").out
        + stored.run("variables", "list", "-o", "json").out
    )
    assert "s3cr3t" not in listed + shown.out
    assert stored.run("variables", "get", "key").out == "s3cr3t-too\n"
    before = stored.run("connections", "export").json()
    assert before["db"]["password"] == "s3cr3t"
    assert stored.run("secrets", "rotate", "--yes", "-o", "json").json() == {
        "connections": 1,
        "variables": 1,
        "keys_kept": 2,
    }
    assert stored.run("connections", "export").json() == before
    assert b"s3cr3t" not in (stored.home / "tradewind.db").read_bytes()


def test_settings(house: House) -> None:
    (house.home / "tradewind.toml").write_text(
        '[executor]\nparallelism = 3\n[metastore]\nurl = "postgresql://anna:s3cr3t@db/x"\n'
    )
    assert house.run("config", "get", "executor.parallelism").out == "3\n"
    changed = house.run("config", "list", "--changed", "-o", "json").json()
    assert changed == [
        {
            "section": "metastore",
            "key": "url",
            "value": "postgresql://anna:•••@db/x",
            "default": "",
            "changed": True,
        },
        {"section": "executor", "key": "parallelism", "value": 3, "default": 32, "changed": True},
    ]


@pytest.mark.parametrize("form", ["text", "mermaid", "dot"])
def test_graphs(stored: House, form: str) -> None:
    drawn = {
        "text": "first\n  second  ← first\n",
        "mermaid": 'flowchart TD\n    t0["first"]\n    t1["second"]\n    t0 --> t1\n',
        "dot": 'digraph "chain" {\n    rankdir=TB; node [shape=box, style=rounded];\n    "first" [label="first"];\n'
        '    "second" [label="second"];\n    "first" -> "second";\n}\n',
    }
    assert stored.run("dags", "graph", "chain", "--format", form).out == drawn[form]


def test_a_project_starts_with_a_working_example(house: House) -> None:
    project = house.home / "project"
    answer = house.run("init", str(project), "-o", "json")
    assert answer.json() == {
        "folder": str(project),
        "files": [str(project / "tradewind.toml"), str(project / "dags" / "hello.py")],
    }
    from tradewind.config import load_settings

    assert load_settings({}, project).dags_path == project / "dags"
    assert house.run("dags", "check", str(project / "dags")).code == 0
    again = house.run("init", str(project))
    assert (again.code, "is a project" in again.err) == (1, True)
