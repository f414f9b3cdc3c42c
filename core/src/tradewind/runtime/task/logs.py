r"""The task's one log pipe: log records and prints as structured lines, in the order they were written.

Everything a task process says goes into one pipe. What Python says is one line each: ``\x1e``, a JSON
object with ``at``, ``level``, ``logger``, ``message`` and ``stream`` ("log", "stdout" or "stderr"), and a
line end. What programs it starts write to their standard streams arrives as plain lines between them.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tradewind.ports.clock import Clock

RECORD_MARK = b"\x1e"
LINE_CHARS_MAX = 64 * 1024  # a longer line is cut into several records
UNFINISHED_CHARS_MAX = 1024 * 1024  # a progress bar without line ends is told at last
_encoder = msgspec.json.Encoder()


class LogPipe:
    """Writes records to the file descriptor ``fd``; each reaches the pipe whole."""

    def __init__(self, fd: int, clock: Clock) -> None:
        self.fd = fd
        self._clock = clock
        self._lock = threading.Lock()

    def write(self, level: str, logger: str, message: str, stream: str) -> None:
        """Write one record; a message that is too long becomes several."""
        for start in range(0, max(len(message), 1), LINE_CHARS_MAX):
            record = {
                "at": self._clock.now().isoformat(),
                "level": level,
                "logger": logger,
                "message": message[start : start + LINE_CHARS_MAX],
                "stream": stream,
            }
            self._send(RECORD_MARK + _json(record) + b"\n")

    def _send(self, data: bytes) -> None:
        with self._lock:
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(self.fd, view) :]
                except BrokenPipeError:
                    return  # nobody reads any more; a task is not stopped by its log


def _json(record: dict[str, str]) -> bytes:
    try:
        return _encoder.encode(record)
    except UnicodeEncodeError:
        clean = {key: text.encode("utf-8", "replace").decode() for key, text in record.items()}
        return _encoder.encode(clean)


class StreamRecords(io.TextIOBase):
    """Stands for ``sys.stdout`` or ``sys.stderr``: each complete line becomes a record."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, pipe: LogPipe, stream: str) -> None:
        self._pipe = pipe
        self._stream = stream
        self._part = ""
        self._lock = threading.RLock()
        self.buffer = _Bytes(self)

    def fileno(self) -> int:
        return self._pipe.fd

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        """Take text; lines are told when they are complete."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._lock:
            self._part += text
            if "\n" in text:
                *lines, self._part = self._part.split("\n")
                self._tell(lines)
            elif len(self._part) >= UNFINISHED_CHARS_MAX:
                self.finish()
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: half a line is told with its other half, or when the stream ends."""

    def finish(self) -> None:
        """Tell what is left of an unfinished line."""
        with self._lock:
            if self._part:
                part, self._part = self._part, ""
                self._tell([part])

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            self._pipe.write("INFO", self._stream, line.rstrip("\r"), self._stream)


class _Bytes(io.RawIOBase):
    """The ``buffer`` of a replaced stream."""

    def __init__(self, stream: StreamRecords) -> None:
        self._text = stream

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "replace"))
        return len(raw)


class RecordHandler(logging.Handler):
    """The logging handler that writes to a :class:`LogPipe`; a record's traceback is part of its message."""

    def __init__(self, pipe: LogPipe) -> None:
        super().__init__()
        self._pipe = pipe
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception as error:  # noqa: BLE001 - a border: the author's log arguments; the line tells of it
            message = f"{record.msg!s} (its arguments could not be formatted: {error})"
        self._pipe.write(record.levelname, record.name, message, "log")


class Installed:
    """What :func:`install` replaced; :meth:`close` tells unfinished lines and puts everything back."""

    def __init__(self, pipe: LogPipe, level: int) -> None:
        self.pipe = pipe
        self._before = (sys.stdout, sys.stderr)
        self._streams = (StreamRecords(pipe, "stdout"), StreamRecords(pipe, "stderr"))
        self._handler = RecordHandler(pipe)
        root = logging.getLogger()
        self._root_before = (root.handlers[:], root.level)
        root.handlers[:] = [self._handler]
        root.setLevel(level)
        sys.stdout, sys.stderr = self._streams

    def release(self) -> None:
        """Tell unfinished lines and give the streams back; logging is still taken: the process is about to end."""
        for stream in self._streams:
            stream.finish()
        sys.stdout, sys.stderr = self._before

    def close(self) -> None:
        """Tell unfinished lines and restore the streams and handlers that were there before."""
        self.release()
        root = logging.getLogger()
        root.handlers[:], level = self._root_before
        root.setLevel(level)


def install(fd: int, *, clock: Clock, level: str = "INFO") -> Installed:
    """Send ``print``, ``sys.stderr`` and all logging to ``fd`` as records from now on.

    The caller has put ``fd`` on descriptors 1 and 2 too, for programs and C libraries.
    """
    return Installed(LogPipe(fd, clock), logging.getLevelNamesMapping()[level.upper()])
