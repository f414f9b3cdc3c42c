"""The watchdog: restarts what dies, ends with whoever decides, leaves nothing behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tidy.source import ROOT
from tradewind.cli.standalone.watch import ending


class Watched:
    """A running watch program."""

    def __init__(self, folder: Path, *children: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.watch_program", str(folder), *children],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def line(self, wanted: str) -> str:
        """Return the next line that has ``wanted`` in it."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if wanted in line:
                return line
        raise AssertionError(f"{wanted!r} was not said, but {seen}")

    def lives(self, name: str) -> list[int]:
        file = self.folder / name
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(met: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "did not happen in time"
        select.select([], [], [], 0.02)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    started: list[Watched] = []

    def start(*children: str) -> Watched:
        started.append(Watched(tmp_path, *children))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        assert one.process.stdout is not None
        one.process.stdout.close()


def test_it_tells_when_all_are_ready_and_ends_them_cleanly(watched: Callable[..., Watched]) -> None:
    watch = watched("a=stay", "b=stay")
    watch.line("all ready")
    pids = watch.lives("a") + watch.lives("b")
    assert watch.end() == 0
    assert [pid for pid in pids if alive(pid)] == []


def test_a_child_that_dies_is_started_again(watched: Callable[..., Watched]) -> None:
    watch = watched("a=first", "b=stay")
    assert "a ended with status 1; started again in 0.25 s" in watch.line("again")
    watch.line("all ready")
    os.kill(watch.lives("b")[0], signal.SIGKILL)
    assert "b was killed by SIGKILL; started again in 0.25 s" in watch.line("again")
    until(lambda: len(watch.lives("b")) == 2)
    assert (len(watch.lives("a")), watch.end()) == (2, 0)


def test_the_pause_before_a_restart_doubles(watched: Callable[..., Watched]) -> None:
    watch = watched("a=die")
    assert [watch.line("again").rpartition(" in ")[2].strip() for _ in range(3)] == ["0.25 s", "0.5 s", "1 s"]
    assert watch.end() == 0


def test_wrong_use_before_the_first_readiness_ends_everything(watched: Callable[..., Watched]) -> None:
    watch = watched("a=wrong", "b=stay")
    assert watch.process.wait(20) == 2
    assert len(watch.lives("a")) == 1
    assert [pid for pid in watch.lives("b") if alive(pid)] == []


def test_a_deciding_child_gives_its_status(watched: Callable[..., Watched]) -> None:
    watch = watched("a=stay", "b=decide")
    watch.line("all ready")
    (watch.folder / "decide").touch()
    assert watch.process.wait(20) == 7
    assert [pid for pid in watch.lives("a") if alive(pid)] == []


def test_who_does_not_end_in_time_is_killed(watched: Callable[..., Watched]) -> None:
    watch = watched("a=stubborn")
    watch.line("all ready")
    assert watch.end(signal.SIGINT) == 0
    assert [pid for pid in watch.lives("a") if alive(pid)] == []


def test_a_second_signal_does_not_wait(watched: Callable[..., Watched]) -> None:
    watch = watched("a=stubborn")
    watch.line("all ready")
    watch.process.send_signal(signal.SIGINT)
    watch.line("stopping")
    started = time.monotonic()
    assert watch.end(signal.SIGINT) == 0
    assert time.monotonic() - started < 5


def test_orphans_of_dead_children_are_ended(watched: Callable[..., Watched]) -> None:
    watch = watched("a=orphan")
    watch.line("all ready")
    orphan = int((watch.folder / "orphan.pid").read_text())
    os.kill(watch.lives("a")[0], signal.SIGKILL)
    watch.line("again")
    watch.process.send_signal(signal.SIGTERM)
    assert watch.end() == 0
    assert not alive(orphan)


def test_children_end_when_the_watchdog_is_killed(watched: Callable[..., Watched]) -> None:
    watch = watched("a=stay", "b=stay")
    watch.line("all ready")
    pids = watch.lives("a") + watch.lives("b")
    watch.end(signal.SIGKILL)
    until(lambda: not any(map(alive, pids)))


def test_endings_are_named() -> None:
    assert [ending(code) for code in (0, 3, -9, -200)] == [
        "ended with status 0",
        "ended with status 3",
        "was killed by SIGKILL",
        "was killed by signal 200",
    ]
