"""A wrong setting, folder or database is one clear message, exit 1 or 2, and no traceback."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN
from tests.acceptance.house import House

pytestmark = pytest.mark.acceptance

PARTS = ("standalone", "scheduler", "dag-processor")
SMALL_DISK_BYTES = 4 * 1024 * 1024


def test_a_wrong_setting(new_house: NewHouse) -> None:
    house = new_house(settings="[executor]\nparalelism = 3\n")
    for part in (*PARTS, "worker"):
        said = house.run(part)
        message = said.message()
        assert said.code == 2
        assert "paralelism" in message
        assert "parallelism" in message, "it says what was meant"


def test_a_wrong_value(new_house: NewHouse) -> None:
    house = new_house(settings='[executor]\nparallelism = "many"\n')
    message = house.run("standalone").message()
    assert "parallelism" in message
    assert str(house.home / "tradewind.toml") in message


def test_a_file_that_is_no_toml(new_house: NewHouse) -> None:
    house = new_house(settings="[executor\n")
    assert str(house.home / "tradewind.toml") in house.run("standalone").message()


def test_a_wrong_variable(home: House) -> None:
    said = home.run("standalone", more={"TRADEWIND__SCHEDULER__TERM_SECONDS": "soon"})
    assert "TRADEWIND__SCHEDULER__TERM_SECONDS" in said.message()


@pytest.mark.parametrize(
    "command", [("dags", "list"), ("runs", "list"), ("dags", "trigger", "x"), ("doctor",)]
)
def test_a_home_that_is_not_there(home: House, command: tuple[str, ...]) -> None:
    said = home.run(*command, more={"TRADEWIND_HOME": str(home.home / "nowhere")})
    assert said.code in {1, 2}
    assert "nowhere" in said.out + said.err
    assert "Traceback" not in said.err
    assert not (home.home / "nowhere").exists(), "a command that looks makes nothing"


def test_a_home_that_cannot_be_made(home: House) -> None:
    (home.home / "file").touch()
    for part in PARTS:
        said = home.run(part, more={"TRADEWIND_HOME": str(home.home / "file" / "below")})
        assert str(home.home / "file") in said.message()


def test_a_home_nobody_may_write(home: House) -> None:
    """Root may write anywhere but on a read-only file system."""
    with read_only(home.home / "sealed") as sealed:
        for part in PARTS:
            assert str(sealed) in home.run(part, more={"TRADEWIND_HOME": str(sealed)}).message()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nobody@127.0.0.1:1/nothing",
        "mysql+pymysql://nobody@127.0.0.1:1/nothing",
        "sqlite:////nowhere/at/all/tradewind.db",
        "oracle://nobody@127.0.0.1/nothing",
        "no url at all",
    ],
)
def test_a_database_that_cannot_be_reached(new_house: NewHouse, url: str) -> None:
    house = new_house(url)
    for command in (*((part,) for part in PARTS), ("dags", "list"), ("db", "migrate", "--yes")):
        message = house.run(*command).message()
        assert "nobody" not in message or "127.0.0.1" in message


def test_passwords_stay_out_of_messages(new_house: NewHouse) -> None:
    house = new_house("postgresql+psycopg://anna:s3cr3t@127.0.0.1:1/nothing")
    for part in PARTS:
        assert "s3cr3t" not in house.run(part).message()


def test_a_database_that_was_never_made(home: House) -> None:
    for command in (("scheduler",), ("dag-processor",), ("dags", "list")):
        assert "tradewind db migrate" in home.run(*command).message()


def test_an_older_schema(home: House) -> None:
    home.create()
    change(home, "DELETE FROM alembic_version")  # there is one revision yet: older is none
    for command in (("scheduler",), ("dag-processor",), ("dags", "list")):
        assert "tradewind db migrate" in home.run(*command).message()


def test_a_newer_schema(home: House) -> None:
    home.create()
    change(home, "UPDATE alembic_version SET version_num = '9999'")
    for command in (("standalone",), ("scheduler",), ("dags", "list")):
        assert "9999" in home.run(*command).message()


def test_a_file_that_is_no_database(home: House) -> None:
    (home.home / "tradewind.db").write_bytes(b"this is no database, it is a text" * 100)
    for command in (*((part,) for part in PARTS), ("dags", "list")):
        assert str(home.home / "tradewind.db") in home.run(*command).message()


def test_a_dag_folder_that_is_a_file(home: House) -> None:
    shutil.rmtree(home.home / "dags")
    (home.home / "dags").touch()
    assert str(home.home / "dags") in home.run("standalone").message()


def test_a_disk_that_is_full_from_the_start(home: House) -> None:
    with small_disk(home.home / "disk") as disk:
        fill(disk)
        for command in (("standalone",), ("db", "migrate", "--yes"), ("init", str(disk / "project"))):
            said = home.run(*command, more={"TRADEWIND_HOME": str(disk)})
            assert "full" in said.message() or "No space left" in said.message()


def test_a_disk_that_gets_full_while_tasks_run(new_house: NewHouse, tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost; when there is room again, the run goes on."""
    with small_disk(tmp_path / "disk") as disk:
        house = new_house(home="disk/home", settings="[scheduler]\nterm_seconds = 2.0\n")
        house.write("chain", CHAIN)
        house.standalone()
        house.trigger("chain", "r1")
        (house.home / "go_first").touch()
        house.until(lambda: house.task_states("chain", "r1").get("running") == 6, "six tasks that run")
        full = fill(disk)
        for gate in ("go_many", "go_last"):
            (house.home / gate).symlink_to("/")  # an inode, but no block
        said = house.run("dags", "trigger", "chain", "--run-id", "r2", "-o", "json")
        assert "full" in said.message()
        assert house.state("chain", "r1") == "running"
        full.unlink()
        assert house.ends("chain", "r1") == "success"
        assert house.task_states("chain", "r1") == {"success": 8}
        assert "Traceback" not in house.log("standalone")
        house.close()


def change(house: House, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(house.home / "tradewind.db")) as database, database:
        database.execute(statement)


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Mount a file system of a few megabytes."""
    with mounted(path, f"size={SMALL_DISK_BYTES}"):
        yield path


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[Path]:
    with mounted(path, "ro"):
        yield path


@contextlib.contextmanager
def mounted(path: Path, options: str) -> Iterator[None]:
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Write until there is no room for another byte."""
    path = disk / "filler"
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(file.fileno(), b"x" * size)
    return path
