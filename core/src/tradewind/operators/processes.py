"""Run a program: its output goes to the task's log line by line, its end is its exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple

from tradewind.errors import Skip, TradewindError

LINE_BYTES_MAX = 64 * 1024  # a longer line is told in pieces
LAST_LINE_BYTES_MAX = 2 * 1024 * 1024  # more cannot be an XCom, and is refused there
KILL_GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL of the program's process group
_CHUNK_BYTES = 64 * 1024
_LOOK_SECONDS = 0.2  # how often to look for the program's end where the system cannot tell


class CommandError(TradewindError):
    """A program ended with an exit code that means failure."""


class Ended(NamedTuple):
    """How a program ended: ``code`` below zero is the signal that killed it."""

    code: int
    last_line: str | None  # of standard output


class Program:
    """One program in a process group of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, argv: Sequence[str], *, log: logging.Logger, env: Mapping[str, str] | None = None, cwd: str
    ) -> Ended:
        """Run ``argv`` to its end; raises CommandError when it cannot be started."""
        try:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if env is None else dict(env),
                cwd=cwd,
                process_group=0,
            )
        except OSError as error:
            name = error.filename or argv[0]
            raise CommandError(f"{argv[0]!r} cannot be started: {error.strerror}: {name}") from None
        except ValueError as error:  # a NUL in an argument
            raise CommandError(f"{argv[0]!r} cannot be started: {error}") from None
        try:
            last_line = _read(self._process, log)
            return Ended(self._process.wait(), last_line)
        except BaseException:
            self.kill()
            raise
        finally:
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def kill(self) -> None:
        """End the program and what it started: SIGTERM, then SIGKILL."""
        process = self._process
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(KILL_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait(KILL_GRACE_SECONDS)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def check_exit(code: int, skip_codes: Sequence[int]) -> None:
    """Raise Skip or CommandError for an exit code that is not success."""
    if code in skip_codes:
        raise Skip(f"exit code {code}")
    if code < 0:
        raise CommandError(f"killed: {signal.Signals(-code).name}")
    if code:
        raise CommandError(f"exit code {code}")


class _Lines:
    """Cuts a stream into lines and tells each."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._part = b""
        self.last: bytes | None = None

    def feed(self, data: bytes) -> None:
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._part) > LAST_LINE_BYTES_MAX:
            self.end()

    def end(self) -> None:
        if self._part:
            self._line(self._part)
            self._part = b""

    def _line(self, line: bytes) -> None:
        self.last = line = line.rstrip(b"\r")
        for start in range(0, max(len(line), 1), LINE_BYTES_MAX):
            self._tell(line[start : start + LINE_BYTES_MAX].decode("utf-8", "replace"))


def _read(process: subprocess.Popen[bytes], log: logging.Logger) -> str | None:
    """Tell the program's output until it has ended; return its last line.

    What it left running in the background may hold the pipes open; that is not waited for.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = (_Lines(lambda line: log.info("%s", line)) for _ in range(2))
    streams = {process.stdout: out, process.stderr: err}
    end = _end_fd(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ)
            if end is not None:
                selector.register(end, selectors.EVENT_READ)
            open_streams = set(streams)
            while open_streams and process.poll() is None:
                for key, _events in selector.select(None if end is not None else _LOOK_SECONDS):
                    if key.fileobj in open_streams and not _drain(key.fileobj, streams[key.fileobj]):
                        selector.unregister(key.fileobj)
                        open_streams.discard(key.fileobj)
        for stream in open_streams:
            _drain(stream, streams[stream])
    finally:
        if end is not None:
            os.close(end)
    for lines in streams.values():
        lines.end()
    return None if out.last is None else out.last.decode("utf-8", "replace")


def _drain(stream: IO[bytes], lines: _Lines) -> bool:
    """Tell what is there; False at the stream's end."""
    while True:
        try:
            data = os.read(stream.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        lines.feed(data)


def _end_fd(pid: int) -> int | None:
    """Return a descriptor that is readable when the process has ended, None where there is no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
