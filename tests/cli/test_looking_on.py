"""Looking on while a run goes: the log as it grows, the run as it moves, on a terminal and in a file."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.dags_for_tests import SLOW
from tests.cli.house import House

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


class Screen:
    """A terminal that a command writes to."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.text = ""

    def read(self) -> str:
        while select.select([self._fd], [], [], 0)[0]:
            try:
                data = os.read(self._fd, 65_536)
            except OSError:  # its other end is closed
                break
            self.text += data.decode()
        return self.text


@contextmanager
def on_a_terminal(house: House, *arguments: str) -> Iterator[tuple[Screen, subprocess.Popen[bytes]]]:
    ours, theirs = pty.openpty()
    environment = {**house.environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tradewind", *arguments],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Screen(ours), process
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_watching_and_following(house: House) -> None:
    house.write(slow=SLOW)
    with house.standalone():
        house.until(lambda: "slow" in house.call("dags", "list", "-o", "plain").out)
        house.call("dags", "trigger", "slow", "--run-id", "r1")
        with (
            on_a_terminal(house, "tasks", "logs", "slow", "r1", "linger", "--follow") as (log, following),
            on_a_terminal(house, "runs", "watch", "slow", "r1") as (picture, watching),
            on_a_terminal(house, "runs", "wait", "slow", "r1") as (progress, awaiting),
        ):
            house.until(lambda: "waiting for go.txt" in log.read())
            house.until(lambda: re.search(r"linger \x1b\[36mrunning\x1b\[0m for \d", picture.read()))
            house.until(lambda: "0 of 1 ended, 1 running" in progress.read())
            assert [one.poll() for one in (following, watching, awaiting)] == [None, None, None]
            (house.home / "go.txt").touch()
            assert [one.wait(30) for one in (following, watching, awaiting)] == [0, 0, 0]
            assert "it is there" in log.read()
            assert re.search(r"\x1b\[\d+F\x1b\[J", picture.read()), "the picture is drawn in place"
            last = picture.read().rpartition("\x1b[J")[2]
            assert "✓ \x1b[32msuccess\x1b[0m" in last
            assert "1 of 1 ended: 1 success" in last
            assert "ended as" in progress.read()
        told = house.call("runs", "watch", "slow", "r1")
        assert told.code == 0
        assert [re.sub(r"^[\d:]{8}  |\d+\.\d\d s$", "", line) for line in told.out.splitlines()] == [
            "· the run: queued by " + _actor(),
            "▶ the run: running",
            "· linger: queued",
            "▶ linger: running",
            "✓ linger: success",
            "✓ the run: success",
            "slow / r1  ✓ success ",
        ]


def _actor() -> str:
    from tradewind.cli.installation import actor

    return actor()


def test_a_person_is_asked_before_something_is_lost(stored: House) -> None:
    with on_a_terminal(stored, "dags", "delete", "chain") as (screen, process):
        stored.until(lambda: "with all its runs? [y/N]" in screen.read())
        assert process.poll() is None
    assert "chain" in stored.call("dags", "list", "-o", "plain").out


def test_commands_of_plugins_are_found(house: House) -> None:
    (house.home / "plugins").mkdir()
    (house.home / "plugins" / "greeting.py").write_text(
        "import click\n"
        "from tradewind.hookspecs import Declared, hookimpl\n"
        "@hookimpl\n"
        "def tradewind_cli_commands():\n"
        "    return [Declared(name='greet', target='tradewind_plugin_greeting:greet', summary='Greet.')]\n"
        "@click.command()\n"
        "@click.argument('name')\n"
        "def greet(name):\n"
        "    click.echo(f'Hello, {name}!')\n"
    )
    assert house.call("greet", "Ada").out == "Hello, Ada!\n"
    unknown = house.call("greeet", "Ada")
    assert (unknown.code, 'There is no command "tradewind greeet"' in unknown.err) == (2, True)
