"""Keeps outcomes on disk until the metastore has them: a journal of segments per worker.

A report is written before it is first sent, so it outlives this process. It is synced (:meth:`Spool.sync`) when
nobody has answered for a while, so it outlives the machine too while the scheduler is away. Syncing before
the first send would buy nothing: what the metastore has committed needs no spool, and an outcome that is lost
with the machine before that is the loss of a machine, whenever it happens.

A record is length, CRC-32, generation and the msgpack of one report. A segment is deleted when every report in it
was accepted or fenced; when nobody waits for the current one, it is written over from its start in a new
generation, and records of an older one behind its end are ignored. A report found after a crash is sent
again: the API answers a repeated one as the first time, so nothing needs to be marked. A torn record at the end
was never sent and is dropped.
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
RESTART_BYTES = (
    16 * 1024
)  # a segment nobody waits for starts afresh above: a crash re-sends at most these few

_PREFIX = struct.Struct("<II")  # length and checksum of what follows
_GENERATION = struct.Struct("<I")  # the first part of it; the report is the rest
_decoder = msgspec.msgpack.Decoder(OutcomeReport)
_encoder = msgspec.msgpack.Encoder()


class Spool:
    """The unacknowledged reports of one worker, under ``folder``. Used by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1
        self._number = 0
        self._offset = 0
        self._generation = 0
        self._unsynced = False
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
        """Write a report; it outlives this process. Raises ``OSError`` when the disk is full."""
        if self._fd < 0 or self._offset > SEGMENT_BYTES:
            self._next_segment()
        body = _GENERATION.pack(self._generation) + _encoder.encode(report)
        self._write(_PREFIX.pack(len(body), zlib.crc32(body)) + body)
        self._unsynced = True
        self._segment_of[report.instance_id, report.token] = self._number
        self._open[self._number] += 1

    def sync(self) -> None:
        """Make all added reports outlive the machine, in one wait for the disk; nothing to do costs nothing."""
        if self._unsynced and self._fd >= 0:
            os.fdatasync(self._fd)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # the segment's name, too
            finally:
                os.close(folder)
        self._unsynced = False

    def forget(self, key: tuple[int, int]) -> None:
        """Drop a report that was accepted or fenced; unknown ones are ignored."""
        number = self._segment_of.pop(key, None)
        if number is None:
            return
        self._open[number] -= 1
        if self._open[number] == 0 and number != self._number:
            self._delete(number)
        elif self._open[number] == 0 and self._offset > RESTART_BYTES:
            self._offset = 0  # cutting the file off would make the file system flush it
            self._generation += 1
        if not self._segment_of:
            self._unsynced = False  # nobody waits for anything

    def close(self) -> None:
        """Close, and delete the segment when nothing in it waits."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._open.get(self._number) == 0:
            self._delete(self._number)

    def _write(self, record: bytes) -> None:
        try:
            written = os.pwrite(self._fd, record, self._offset)
        except OSError as error:
            raise OSError(f"The spool {self._path(self._number)} took no report: {error.strerror}") from error
        if written != len(record):  # the next one is written over the torn one
            raise OSError(f"The spool {self._path(self._number)} took no more bytes. Free some disk space.")
        self._offset += written

    def _next_segment(self) -> None:
        self.sync()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self._open[self._number] == 0:
                self._delete(self._number)
        self._number += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_EXCL
        self._fd = os.open(self._path(self._number), flags, 0o600)
        self._open[self._number] = 0
        self._offset = 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.journal"

    def _delete(self, number: int) -> None:
        del self._open[number]
        self._path(number).unlink(missing_ok=True)


def _records(data: bytes) -> Iterator[OutcomeReport]:
    start, generation = 0, None
    while start + _PREFIX.size <= len(data):
        length, checksum = _PREFIX.unpack_from(data, start)
        start += _PREFIX.size
        body = data[start : start + length]
        start += length
        if len(body) != length or length < _GENERATION.size or zlib.crc32(body) != checksum:
            return
        (found,) = _GENERATION.unpack_from(body)
        if generation not in {None, found}:
            return
        generation = found
        try:
            yield _decoder.decode(memoryview(body)[_GENERATION.size :])
        except msgspec.DecodeError:
            continue  # of another version: its lease will run out, the others must not suffer
