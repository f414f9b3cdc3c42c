"""Length-prefixed frames over non-blocking stream sockets."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Iterator

FRAME_BYTES_MAX = 300 * 1024 * 1024  # 256 XComs of 1 MiB and room for the rest of a report
READ_BYTES = 256 * 1024
READS_PER_TURN_MAX = 8  # 2 MiB of one peer, then the others' turn

_HEADER = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
_incoming = memoryview(
    bytearray(READ_BYTES)
)  # every read goes through it: a fresh buffer each time costs more


class FrameError(Exception):
    """The peer does not speak this protocol, or sends more than FRAME_BYTES_MAX."""


def frame(payload: bytes) -> bytes:
    """Return ``payload`` with its length before it."""
    return _HEADER.pack(len(payload)) + payload


def frame_end(data: bytes) -> int:
    """Return how many bytes the frame at the start of ``data`` has, its length included."""
    return int(_HEADER.unpack_from(data)[0]) + HEADER_BYTES


class FrameReader:
    """Cuts a byte stream into frames."""

    __slots__ = ("_buffer", "_need")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._need = 0  # bytes until the frame that has begun is whole: no look before

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that are complete with ``data``; raises :class:`FrameError` for one that is too long."""
        if not self._buffer and len(data) >= HEADER_BYTES:
            # The usual case: exactly one frame in one read, no copy through the buffer.
            length = _HEADER.unpack_from(data)[0]
            if len(data) == HEADER_BYTES + length:
                yield data[HEADER_BYTES:]
                return
        self._buffer += data
        if len(self._buffer) < self._need:
            return
        yield from self._cut()

    def _cut(self) -> Iterator[bytes]:
        buffer = self._buffer
        start = 0
        self._need = 0
        while len(buffer) - start >= HEADER_BYTES:
            length = _HEADER.unpack_from(buffer, start)[0]
            if length > FRAME_BYTES_MAX:
                raise FrameError(f"a frame of {length} bytes; at most {FRAME_BYTES_MAX} are allowed")
            end = start + HEADER_BYTES + length
            if end > len(buffer):
                self._need = end - start
                break
            payload = bytes(memoryview(buffer)[start + HEADER_BYTES : end])
            start = end
            yield payload
        del buffer[:start]


def read_frames(sock: socket.socket, reader: FrameReader) -> tuple[list[bytes], bool]:
    """Return the frames that can be read now, and whether the peer is gone. Never waits."""
    frames: list[bytes] = []
    for _ in range(READS_PER_TURN_MAX):
        try:
            size = sock.recv_into(_incoming)
        except (BlockingIOError, InterruptedError):
            return frames, False
        except OSError:
            return frames, True
        if not size:
            return frames, True
        frames.extend(reader.feed(bytes(_incoming[:size])))
        if size < READ_BYTES:
            return frames, False
    return frames, False


class Outbox:
    """Bytes on their way to a socket that may take only some of them now."""

    __slots__ = ("_queue", "size")

    def __init__(self) -> None:
        self._queue: deque[memoryview] = deque()
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._queue)

    def send(self, sock: socket.socket, data: bytes) -> bool:
        """Send ``data`` after what waits; returns False when the peer is gone."""
        self._queue.append(memoryview(data))
        self.size += len(data)
        return self.flush(sock)

    def flush(self, sock: socket.socket) -> bool:
        """Send what the socket takes now; returns False when the peer is gone."""
        queue = self._queue
        while queue:
            head = queue[0]
            try:
                sent = sock.send(head)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError:
                return False
            self.size -= sent
            if sent == len(head):
                queue.popleft()
            else:
                queue[0] = head[sent:]
        return True
