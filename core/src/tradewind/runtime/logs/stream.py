r"""Turns what an attempt prints into the lines of its log: split, masked, capped, on disk within a turn.

Bytes come from the attempt's one output pipe. A line that begins with ``\x1e`` is a structured record of the task
process; any other is what a program it started printed. Nothing here may stop a task: a full disk costs
log lines, never the attempt.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from tradewind.ports.clock import Clock
from tradewind.runtime.logs.store import FileLogStore

if TYPE_CHECKING:
    from tradewind.runtime.task.mask import Masker

LINE_BYTES_MAX = 64 * 1024  # a longer line is cut into several
RECORD_BYTES_MAX = 8 * LINE_BYTES_MAX  # a record of LINE_CHARS_MAX characters, escaped
LOG_BYTES_MAX = 1024**3  # of one attempt; then a marker, and the rest is dropped
RECORD_MARK = 0x1E


class LogLine(msgspec.Struct):
    """One line of a log, as it is stored."""

    at: str
    level: str
    logger: str
    message: str
    stream: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LogLine).decode


class AttemptLog:
    """The log of one attempt. The file is made with its first line."""

    def __init__(
        self, store: FileLogStore, key: str, clock: Clock, *, bytes_max: int = LOG_BYTES_MAX
    ) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._bytes_max = bytes_max
        self._fd = -1
        self._part = b""
        self._masker: Masker | None = None
        self._pending: list[bytes] = []
        self._written = 0
        self._lost = 0  # lines a full disk swallowed
        self._capped = False

    def hide(self, secrets: list[str]) -> None:
        """Mask ``secrets`` from now on."""
        if self._masker is None:
            from tradewind.runtime.task.mask import Masker

            self._masker = Masker()
        for secret in secrets:
            self._masker.add(secret)

    def feed(self, data: bytes) -> None:
        """Take bytes of the pipe; whole lines are written by :meth:`flush`."""
        if self._masker is not None:
            data = self._masker.feed(data)
        self._split(data)

    def system(self, message: str, level: str = "INFO") -> None:
        """Add a line of the supervisor's own."""
        self._add(message, "system", level, "tradewind")

    def flush(self) -> None:
        """Write what is complete; readable by others when this returns."""
        if not self._pending:
            return
        data = b"".join(self._pending)
        lines = len(self._pending)
        self._pending.clear()
        if self._capped:
            return
        if self._written + len(data) > self._bytes_max:
            self._capped = True
            data = data[: data.rfind(b"\n", 0, max(0, self._bytes_max - self._written)) + 1]
            data += self._line(
                f"The log has reached {self._bytes_max} bytes; the rest is dropped.",
                "system",
                "WARNING",
                "tradewind",
            )
        self._write(data, lines)

    def close(self) -> None:
        """Write the rest and close; the attempt is over."""
        rest = self._masker.flush() if self._masker is not None else b""
        self._split(rest)
        if self._part:
            self._take(self._part)
            self._part = b""
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _split(self, data: bytes) -> None:
        *lines, part = (self._part + data if self._part else data).split(b"\n")
        for line in lines:
            self._take(line)
        while len(part) > LINE_BYTES_MAX and (part[0] != RECORD_MARK or len(part) > RECORD_BYTES_MAX):
            self._take(part[:LINE_BYTES_MAX])
            part = part[LINE_BYTES_MAX:]
        self._part = part

    def _take(self, line: bytes) -> None:
        if line[:1] == b"\x1e":
            try:
                self._pending.append(_encode(_decode(line[1:])) + b"\n")
                return
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass  # somebody printed that byte himself
        if len(line) <= LINE_BYTES_MAX:
            self._add(line.decode("utf-8", "replace").rstrip("\r"), "stdout", "INFO", "stdout")
            return
        for start in range(0, len(line), LINE_BYTES_MAX):
            text = line[start : start + LINE_BYTES_MAX].decode("utf-8", "replace")
            self._add(text, "stdout", "INFO", "stdout")

    def _add(self, message: str, stream: str, level: str, logger: str) -> None:
        self._pending.append(self._line(message, stream, level, logger))

    def _line(self, message: str, stream: str, level: str, logger: str) -> bytes:
        at = self._clock.now().isoformat()
        return _encode(LogLine(at, level, logger, message, stream)) + b"\n"

    def _write(self, data: bytes, lines: int) -> None:
        try:
            if self._fd < 0:
                self._fd = self._store.open(self._key)
            if self._lost:
                note = f"{self._lost} lines are missing: the disk of the log folder was full."
                data = self._line(note, "system", "WARNING", "tradewind") + data
            written = os.write(self._fd, data)
        except OSError:
            self._lost += lines
            return
        self._written += written
        if written == len(data):
            self._lost = 0
            return
        # The disk took a part: end at the last whole line, so that readers never see half a one.
        whole = data.rfind(b"\n", 0, written) + 1
        self._lost = max(self._lost, 0) + data[whole:].count(b"\n")
        try:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - (written - whole))
        except OSError:
            self._lost += 1
