"""A broken installation: one clear message, exit 1 or 2, never a traceback; with TRADEWIND_DEBUG=1 it is shown."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.dags_for_tests import CHAIN
from tests.cli.house import House
from tradewind.cli import border
from tradewind.errors import ConflictError, NotFoundError

COMMANDS = [("dags", "list"), ("standalone",), ("scheduler",), ("runs", "list")]


def settings(text: str) -> Callable[[House], None]:
    def write(house: House) -> None:
        (house.home / "tradewind.toml").write_text(text)

    return write


def newer_database(house: House) -> None:
    house.create(chain=CHAIN)
    with sqlite3.connect(house.home / "tradewind.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()


def no_database(house: House) -> None:
    (house.home / "tradewind.db").mkdir()


def lost_key(house: House) -> None:
    house.create(chain=CHAIN)
    assert house.run("variables", "set", "a", "b").code == 0
    (house.home / "secrets.key").unlink()


@pytest.mark.parametrize(
    ("broken", "commands", "code", "told"),
    [
        (settings('[dags]\nfoldr = "x"'), COMMANDS, 2, "Unknown setting [dags] foldr"),
        (settings("[dags"), COMMANDS, 2, "is not valid TOML"),
        (settings("[executor]\nparallelism = 0"), COMMANDS, 2, "it must be greater than 0"),
        (
            settings('[metastore]\nurl = "oracle://x"'),
            COMMANDS,
            2,
            "'oracle' is not a database Tradewind knows",
        ),
        (
            settings('[metastore]\nurl = "postgresql://anna:s3cr3t@127.0.0.1:1/x"'),
            [("dags", "list"), ("standalone",)],
            1,
            "Cannot reach postgresql at 127.0.0.1:1/x",
        ),
        (
            settings('[executor]\ndefault = "moon"'),
            [("standalone",)],
            2,
            'No plugin offers the executor "moon"',
        ),
        (newer_database, COMMANDS, 1, "has schema 9999, which this program does not know"),
        (no_database, COMMANDS[:2], 1, "tradewind.db"),
        (lost_key, [("variables", "get", "a")], 2, "secrets.key"),
    ],
    ids=["key", "toml", "value", "scheme", "unreachable", "executor", "newer", "folder", "lost key"],
)
def test_one_clear_message(
    house: House, broken: Callable[[House], None], commands: list[tuple[str, ...]], code: int, told: str
) -> None:
    broken(house)
    for command in commands:
        answer = house.call(*command, timeout=30)
        assert (answer.code, answer.out) == (code, ""), (command, answer)
        assert told in answer.err
        assert answer.err.count("Error:") == 1
        assert "Traceback" not in answer.err
        assert "s3cr3t" not in answer.err


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path, house: House) -> None:
    away = tmp_path / "away"
    answer = house.call("dags", "list", more={"TRADEWIND_HOME": str(away)})
    assert (answer.code, f"There is no installation in {away}" in answer.err, away.exists()) == (
        2,
        True,
        False,
    )


def test_a_database_that_was_never_made(house: House) -> None:
    answer = house.call("dags", "list")
    assert (answer.code, "Create it: run `tradewind db migrate`" in answer.err) == (1, True)
    assert house.call("db", "migrate").out.startswith("Created the tables, schema ")
    assert house.call("db", "migrate").out.endswith(": nothing to do.\n")
    assert house.call("dags", "list", "-o", "json").json() == []


def test_a_home_below_a_file(tmp_path: Path, house: House) -> None:
    (tmp_path / "file").write_text("")
    answer = house.call("standalone", more={"TRADEWIND_HOME": str(tmp_path / "file" / "home")})
    assert (answer.code, "Traceback" in answer.err) == (2, False)


def test_the_traceback_is_shown_when_asked_for(house: House) -> None:
    answer = house.call("dags", "list", more={"TRADEWIND_DEBUG": "1"})
    assert (answer.code, "Traceback" in answer.err, "Error: There is no metastore" in answer.err) == (
        1,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            OSError(errno.ENOSPC, "No space left", "/x/log"),
            1,
            "The disk is full while writing /x/log. Free some space",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "/x: Permission denied."),
        (NotFoundError("there is none"), 1, "There is none"),
        (ConflictError("sqlite:///x is busy"), 1, "sqlite:///x is busy"),
        (ValueError("the note is long"), 2, "The note is long"),
        (
            RuntimeError("boom"),
            1,
            "RuntimeError: boom\nThis is unexpected. TRADEWIND_DEBUG=1 shows where it happened.",
        ),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
)
def test_every_error_is_told(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        raise error

    assert border.guarded(run) == code
    assert told in capsys.readouterr().err


def test_doctor_says_what_is_wrong(stored: House) -> None:
    (stored.home / "secrets.key").write_text("x")
    (stored.home / "secrets.key").chmod(0o644)
    stored.write(chain=CHAIN)
    answer = stored.run("doctor", "-o", "json")
    problems = {one["what"]: one["message"] for one in answer.json() if one["level"] == "problem"}
    assert (answer.code, sorted(problems)) == (1, ["scheduler", "secrets"])
    assert "chmod 600" in problems["secrets"]
    assert "`tradewind standalone`" in problems["scheduler"]
