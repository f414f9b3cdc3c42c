"""Hands DAG files to the parse server and takes back what they make, whatever they do to it."""

from __future__ import annotations

import hashlib
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tradewind.dagbag.messages import (
    READY,
    SOURCE_BYTES_MAX,
    Done,
    Finding,
    Order,
    Parsed,
    ParseLimits,
    Start,
)
from tradewind.domain.spec import DagSpec
from tradewind.errors import ConfigError
from tradewind.runtime.environment import clean_environment
from tradewind.runtime.frames import FrameReader, frame

IN_FLIGHT_FACTOR = 2  # orders per process that the server holds, so that it never waits for the next one
SILENT_SECONDS = 3.0  # beyond what a file may take, before a server that says nothing is given up
END_SECONDS = 5.0  # for the server to end its children
READ_BYTES = 256 * 1024


class ParsedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file after parsing: its DAGs, or what is wrong with it."""

    file: str
    source: bytes
    sha: str
    dags: tuple[tuple[DagSpec, str], ...] = ()
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    reads: tuple[str, ...] = ()
    seconds: float = 0.0


class Parser:
    """A parse server and what it is asked. Use as a context manager, from one thread."""

    def __init__(self, folder: Path, limits: ParseLimits, *, plugins_folder: Path | None = None) -> None:
        self._start = Start(
            folder=str(folder),
            limits=limits,
            plugins_folder=None if plugins_folder is None else str(plugins_folder),
        )
        self._queue: deque[Order] = deque()  # not sent yet
        self._suspects: deque[Order] = deque()  # were with a server that died; sent one by one
        self._sent: dict[int, Order] = {}
        self._ready: list[ParsedFile] = []
        self._number = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._reader = FrameReader()
        self._warm = False  # the server has said that it can work
        self._heard_at = 0.0  # the last word of the server, or the first order after an idle while

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server and everything it started; the next file starts another."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        if self._process is not None:
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def pending(self) -> int:
        """Return how many files are not parsed yet."""
        return len(self._queue) + len(self._suspects) + len(self._sent)

    @property
    def wants_more(self) -> bool:
        """Say whether it could use another file now."""
        return len(self._queue) + len(self._sent) < IN_FLIGHT_FACTOR * self._start.limits.processes

    def fileno(self) -> int | None:
        """Return a descriptor that is readable when :meth:`poll` has something; None while nothing was asked."""
        return None if self._sock is None else self._sock.fileno()

    def submit(self, file: str, source: bytes) -> None:
        """Parse a text as that file; the answer comes from :meth:`poll`."""
        self._number += 1
        order = Order(number=self._number, file=file, source=source)
        if len(source) > SOURCE_BYTES_MAX:
            text = f"The file has more than {SOURCE_BYTES_MAX:,} bytes. Read data in tasks, from a file of its own."
            self._ready.append(_refused(order, text))
        else:
            self._queue.append(order)
        self._send()

    def poll(self, timeout: float = 0.0) -> list[ParsedFile]:
        """Return what has been parsed, after at most ``timeout`` seconds of waiting for the first of it."""
        if self._sock is not None and not self._ready:
            readable, _, _ = select.select([self._sock], [], [], timeout)
            if readable:
                self._receive(self._sock)
            elif (
                self._sent
                and time.monotonic() - self._heard_at > self._start.limits.seconds_max + SILENT_SECONDS
            ):
                self._give_up()
        ready, self._ready = self._ready, []
        return ready

    def parse_all(self, files: Mapping[str, bytes]) -> Iterator[ParsedFile]:
        """Yield the result of each file, as they come."""
        for file, source in files.items():
            self.submit(file, source)
        while self.pending or self._ready:
            yield from self.poll(timeout=1.0)

    def _send(self) -> None:
        while self._sock_for_next() is not None:
            order = self._suspects.popleft() if self._suspects else self._queue.popleft()
            if not self._sent:
                self._heard_at = time.monotonic()
            self._sent[order.number] = order
            sock = self._sock or self._begin()
            try:
                sock.sendall(frame(msgspec.msgpack.encode(order)))
            except OSError:
                self._server_died()

    def _sock_for_next(self) -> Order | None:
        """Return the order to send next, None when none should be sent now."""
        if self._suspects:
            return self._suspects[0] if not self._sent else None
        if self._queue and len(self._sent) < IN_FLIGHT_FACTOR * self._start.limits.processes:
            return self._queue[0]
        return None

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "tradewind.dagbag.parse_server",
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=server_environment(os.environ),
            )
        self._sock = ours
        self._warm = False
        self._reader = FrameReader()
        ours.sendall(frame(msgspec.msgpack.encode(self._start)))
        return ours

    def _receive(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._server_died()
        self._heard_at = time.monotonic()
        for payload in self._reader.feed(data):
            done = msgspec.msgpack.decode(payload, type=Done)
            if done.number == READY:
                self._warm = True
                continue
            order = self._sent.pop(done.number)
            self._ready.append(_result(order, done, self._start.folder))
        self._send()

    def _give_up(self) -> None:
        """Kill a server that hangs: a file may have stopped it. Its children end with it."""
        assert self._process is not None, "what was sent went to a server"
        self._process.kill()
        self._server_died()
        self._send()

    def _server_died(self) -> None:
        """Begin anew. A file that was alone with it is to blame; of several, each gets a server for itself.

        Raises:
            ConfigError: the server could not even start, so no file is to blame; what was asked is kept.
        """
        self.close()
        lost = [self._sent[number] for number in sorted(self._sent)]
        self._sent.clear()
        if not self._warm:
            self._queue.extendleft(reversed(lost))
            raise ConfigError(
                "The process that parses DAG files cannot start; what it said stands above. Try:"
                f" {sys.executable} -P -m tradewind.dagbag.parse_server"
            )
        if len(lost) == 1:
            self._ready.append(
                _refused(lost[0], "Importing it ended or stopped the process that parses DAG files.")
            )
        else:
            self._suspects.extend(lost)


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what DAG files may see of the environment: what their tasks see."""
    # Each thread's arena would count its whole reserve against the limit of memory.
    return {"MALLOC_ARENA_MAX": "2", **clean_environment(environment)}


def sha_of(source: bytes) -> str:
    """Return the SHA-256 of a text, hex."""
    return hashlib.sha256(source).hexdigest()


def _refused(order: Order, text: str) -> ParsedFile:
    return ParsedFile(
        file=order.file, source=order.source, sha=sha_of(order.source), errors=(Finding(message=text),)
    )


def _result(order: Order, done: Done, folder: str) -> ParsedFile:
    if done.death:
        line = _line_of(done.output, f"{folder}/{order.file}")
        finding = Finding(message=done.death, line=line, traceback=done.output)
        return _with_errors(order, (finding,), done.seconds)
    try:
        parsed = msgspec.json.decode(done.parsed, type=Parsed)
    except msgspec.DecodeError:
        text = "It wrote into the channel of the process that parses DAG files."
        return _with_errors(order, (Finding(message=text, traceback=done.output),), done.seconds)
    printed = f"It printed:\n{done.output}" if done.output else ""
    errors = [
        msgspec.structs.replace(error, traceback="\n".join(filter(None, (error.traceback, printed))))
        for error in parsed.errors
    ]
    return ParsedFile(
        file=order.file,
        source=order.source,
        sha=sha_of(order.source),
        dags=tuple(parsed.dags),
        errors=tuple(errors),
        warnings=tuple(parsed.warnings),
        reads=tuple(parsed.reads),
        seconds=done.seconds,
    )


def _with_errors(order: Order, errors: tuple[Finding, ...], seconds: float) -> ParsedFile:
    return ParsedFile(
        file=order.file, source=order.source, sha=sha_of(order.source), errors=errors, seconds=seconds
    )


def _line_of(output: str, path: str) -> int | None:
    """Return the innermost line of a file in what the interpreter said when it was stopped or crashed."""
    found = re.search(rf'File "{re.escape(path)}", line (\d+)', output)
    return int(found[1]) if found else None
