"""Keeps outcomes on disk until the metastore has them: a journal of segments per worker.

A record is length, CRC-32 and the msgpack of one report. Records are added, synced together once per loop
turn and never rewritten; a segment is deleted when every report in it was accepted or fenced. A report that
is found after a crash is sent again: the API answers a repeated report as the first time, so nothing needs
to be marked. A torn record at a segment's end was never sent and is dropped.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tradewind.ports.runtime_api import OutcomeReport

SEGMENT_BYTES = 4 * 1024 * 1024  # a new segment begins above: the old one can be deleted when it is done with
RESTART_BYTES = 16 * 1024  # a segment nobody waits for is emptied above: a crash re-sends at most these few

_HEADER = struct.Struct("<II")
_decoder = msgspec.msgpack.Decoder(OutcomeReport)
_encoder = msgspec.msgpack.Encoder()


class Spool:
    """The unacknowledged reports of one worker, under ``folder``. Used by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1
        self._number = 0
        self._written = 0
        self._dirty = False
        self._segment_of: dict[tuple[int, int], int] = {}
        self._open: dict[int, int] = {}  # segment -> reports in it that wait for an answer

    def recover(self) -> list[OutcomeReport]:
        """Return the reports an earlier worker left, oldest first; of one attempt only the first counts."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found: dict[tuple[int, int], OutcomeReport] = {}
        for path in sorted(self._folder.glob("*.journal")):
            number = int(path.stem)
            self._number = max(self._number, number)
            self._open[number] = 0
            for report in _records(path.read_bytes()):
                key = (report.instance_id, report.token)
                if key not in found:
                    found[key] = report
                    self._segment_of[key] = number
                    self._open[number] += 1
        for number in [number for number, waiting in self._open.items() if waiting == 0]:
            self._delete(number)
        return list(found.values())

    def add(self, report: OutcomeReport) -> None:
        """Write a report; durable after the next :meth:`sync`. Raises ``OSError`` when the disk is full."""
        if self._fd < 0 or self._written > SEGMENT_BYTES:
            self._next_segment()
        body = _encoder.encode(report)
        record = _HEADER.pack(len(body), zlib.crc32(body)) + body
        self._write(record)
        self._written += len(record)
        self._dirty = True
        self._segment_of[report.instance_id, report.token] = self._number
        self._open[self._number] += 1

    def sync(self) -> None:
        """Make all added reports durable, in one wait for the disk."""
        if self._dirty:
            os.fdatasync(self._fd)
            self._dirty = False

    def forget(self, key: tuple[int, int]) -> None:
        """Drop a report that was accepted or fenced; unknown ones are ignored."""
        number = self._segment_of.pop(key, None)
        if number is None:
            return
        self._open[number] -= 1
        if self._open[number] == 0 and number != self._number:
            self._delete(number)
        elif self._open[number] == 0 and self._written > RESTART_BYTES:
            os.ftruncate(self._fd, 0)  # nothing waits: the segment starts afresh
            self._written = 0

    def close(self) -> None:
        """Close, and delete the segment when nothing in it waits."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._open.get(self._number) == 0:
            self._delete(self._number)

    def _write(self, record: bytes) -> None:
        try:
            written = os.write(self._fd, record)
        except OSError:
            written = -1
        if written != len(record):
            # A torn record in the middle would hide all that come after it.
            os.ftruncate(self._fd, self._written)
            raise OSError(f"The spool {self._path(self._number)} took no more bytes. Free some disk space.")

    def _next_segment(self) -> None:
        self.sync()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self._open[self._number] == 0:
                self._delete(self._number)
        self._number += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_EXCL
        self._fd = os.open(self._path(self._number), flags, 0o600)
        self._open[self._number] = 0
        self._written = 0
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the new name must outlive a power cut as well
        finally:
            os.close(folder)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.journal"

    def _delete(self, number: int) -> None:
        del self._open[number]
        self._path(number).unlink(missing_ok=True)


def _records(data: bytes) -> Iterator[OutcomeReport]:
    start = 0
    while start + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, start)
        body = data[start + _HEADER.size : start + _HEADER.size + length]
        if len(body) != length or zlib.crc32(body) != checksum:
            return
        start += _HEADER.size + length
        try:
            yield _decoder.decode(body)
        except msgspec.DecodeError:
            continue  # of another version: its lease will run out, the others must not suffer
