"""Prints, log records and the output of programs share one pipe, in order."""

import json
import logging
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from tradewind.runtime.task import logs


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class Reader:
    """Reads the pipe's other end to its end in a thread."""

    def __init__(self) -> None:
        self._read, self.fd = os.pipe()
        self._data = b""
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        while chunk := os.read(self._read, 65536):
            self._data += chunk

    def lines(self) -> list[Any]:
        os.close(self.fd)
        self._thread.join(10)
        os.close(self._read)
        found = self._data.decode().split("\n")
        assert found.pop() == ""
        return [json.loads(line[1:]) if line.startswith("\x1e") else line for line in found]


@pytest.fixture
def reader() -> Reader:
    return Reader()


def record(level: str, logger: str, message: str, stream: str) -> dict[str, str]:
    at = "2026-01-01T00:00:00+00:00"
    return {"at": at, "level": level, "logger": logger, "message": message, "stream": stream}


def test_everything_arrives_in_order(reader: Reader) -> None:
    installed = logs.install(reader.fd, clock=FixedClock())
    try:
        print("one")
        logging.getLogger("mine").warning("two %s", 2)
        subprocess.run(["echo", "three"], stdout=reader.fd, check=True)
        print("four", file=sys.stderr)
        sys.stdout.write("five")
        sys.stdout.flush()
        sys.stdout.write(" and more\nsix")
        sys.stdout.buffer.write(b"\xff\n")
        logging.getLogger("mine").debug("not told")
        logging.getLogger("mine").info("%d wrong", "x")
        print("end", end="")
    finally:
        installed.close()
    assert reader.lines() == [
        record("INFO", "stdout", "one", "stdout"),
        record("WARNING", "mine", "two 2", "log"),
        "three",
        record("INFO", "stderr", "four", "stderr"),
        record("INFO", "stdout", "five and more", "stdout"),
        record("INFO", "stdout", "six\ufffd", "stdout"),
        record(
            "INFO",
            "mine",
            "%d wrong (its arguments could not be formatted: %d format: a real number is required, not str)",
            "log",
        ),
        record("INFO", "stdout", "end", "stdout"),
    ]


def test_a_traceback_is_part_of_its_record(reader: Reader) -> None:
    installed = logs.install(reader.fd, clock=FixedClock())
    try:
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("mine").exception("it failed")
    finally:
        installed.close()
    (found,) = reader.lines()
    assert found["message"].startswith("it failed\nTraceback (most recent call last):")
    assert found["message"].endswith("ValueError: broken")


def test_long_lines_are_cut_and_odd_text_is_told(reader: Reader) -> None:
    installed = logs.install(reader.fd, clock=FixedClock())
    try:
        print("x" * (logs.LINE_CHARS_MAX + 3))
        print("a\ud800b")
    finally:
        installed.close()
    assert [len(found["message"]) for found in reader.lines()] == [logs.LINE_CHARS_MAX, 3, 3]


def test_threads_do_not_mix_their_records(reader: Reader) -> None:
    pipe = logs.LogPipe(reader.fd, FixedClock())
    text = "y" * 20_000

    def write() -> None:
        for _ in range(20):
            pipe.write("INFO", "t", text, "log")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [found["message"] for found in reader.lines()] == [text] * 80


def test_a_reader_that_went_away_stops_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    logs.LogPipe(write, FixedClock()).write("INFO", "t", "nobody hears", "log")
    os.close(write)


def test_close_puts_everything_back(reader: Reader) -> None:
    root = logging.getLogger()
    before = (sys.stdout, sys.stderr, root.handlers[:], root.level)
    logs.install(reader.fd, clock=FixedClock(), level="debug").close()
    assert (sys.stdout, sys.stderr, root.handlers[:], root.level) == before
    assert reader.lines() == []
