"""What the supervisor, its fork servers and its attempts say to each other."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any

import msgspec

from tradewind.ports.runtime_api import DataReply, OutcomeReport, TaskContext

PACKET_BYTES_MAX = 64 * 1024  # of one packet on a server's socket; a socket buffer holds three
_FDS_SPACE = socket.CMSG_SPACE(2 * 4)  # two descriptors


class _Message(msgspec.Struct, frozen=True, array_like=True):
    pass


class DagSource(_Message, frozen=True):
    """A version of a DAG file, ready to be imported."""

    file: str  # relative to the DAG folder
    sha: str
    folder: str  # the DAG folder
    text_path: str  # where this version's text lies


class Serve(_Message, frozen=True, tag=1):
    """To the base server, with one descriptor: fork a version server that listens there."""

    number: int
    source: DagSource


class Spawn(_Message, frozen=True, tag=2):
    """To a server, with two descriptors (control socket, output pipe): fork a process for an attempt.

    ``ticket`` names the process from now on; which attempt it becomes is told by :class:`Go`. ``source`` is
    given to the base server only: the attempt imports it itself.
    """

    ticket: int
    source: DagSource | None = None


class Signal(_Message, frozen=True, tag=3):
    """Send a signal to an attempt's first process."""

    ticket: int
    signum: int


class KillTree(_Message, frozen=True, tag=4):
    """SIGKILL an attempt with everything it started."""

    ticket: int


class Trust(_Message, frozen=True, tag=5):
    """To the base server: without another one before that monotonic instant, end all that runs."""

    until: float


class KillServer(_Message, frozen=True, tag=6):
    """To the base server: SIGKILL a version server that hangs, with all below it."""

    number: int


class Ready(_Message, frozen=True, tag=11):
    """The file is imported; ``threads``: it started some, so attempts must import it themselves."""

    threads: bool


class Broken(_Message, frozen=True, tag=12):
    """The file cannot be imported."""

    error: dict[str, Any]


class Exited(_Message, frozen=True, tag=14):
    """An attempt's process and everything it left behind are gone.

    ``status`` is the wait status; ``leftovers`` counts processes that had to be ended, ``survivors`` those
    that could not be.
    """

    ticket: int
    pid: int
    status: int
    memory_max_bytes: int
    leftovers: int = 0
    survivors: int = 0


class SpawnFailed(_Message, frozen=True, tag=15):
    """The system refused another process."""

    ticket: int
    reason: str


class ServerExited(_Message, frozen=True, tag=16):
    """From the base server: a version server ended."""

    number: int
    status: int


class Go(_Message, frozen=True, tag=21):
    """To a process: the claim was granted, be that attempt and run."""

    context: TaskContext
    title: str


class Answer(_Message, frozen=True, tag=22):
    """To an attempt: the answer to its question."""

    reply: DataReply


class Ask(_Message, frozen=True, tag=31):
    """From an attempt: a question for the runtime API."""

    verb: str
    arguments: dict[str, Any]


class Outcome(_Message, frozen=True, tag=32):
    """From an attempt: how it ended; the last thing it says."""

    report: OutcomeReport
    pid: int
    memory_max_bytes: int


ToServer = Serve | Spawn | Signal | KillTree | Trust | KillServer
FromServer = Ready | Broken | Exited | SpawnFailed | ServerExited
ToAttempt = Go | Answer
FromAttempt = Ask | Outcome

_encoder = msgspec.msgpack.Encoder()
_to_server: msgspec.msgpack.Decoder[ToServer] = msgspec.msgpack.Decoder(ToServer)
_from_server: msgspec.msgpack.Decoder[FromServer] = msgspec.msgpack.Decoder(FromServer)
_to_attempt: msgspec.msgpack.Decoder[ToAttempt] = msgspec.msgpack.Decoder(ToAttempt)
_from_attempt: msgspec.msgpack.Decoder[FromAttempt] = msgspec.msgpack.Decoder(FromAttempt)

encode = _encoder.encode
decode_to_server = _to_server.decode
decode_from_server = _from_server.decode
decode_to_attempt = _to_attempt.decode
decode_from_attempt = _from_attempt.decode


def packet_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a packet socket; message borders are kept."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def receive_packet(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Return a packet that is there, and the descriptors passed with it; empty when the peer hung up.

    Raises ``BlockingIOError`` when there is none now, whatever mode the socket is in.
    """
    data, ancillary, _, _ = sock.recvmsg(PACKET_BYTES_MAX, _FDS_SPACE, socket.MSG_DONTWAIT)
    fds: list[int] = []
    for level, kind, body in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.extend(memoryview(body).cast("i"))
    return data, fds


class PacketOutbox:
    """Packets, with descriptors to pass, on their way to a socket that may not take them now.

    Descriptors belong to the outbox once given; it closes them when they are sent or dropped.
    """

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def send(self, sock: socket.socket, data: bytes, fds: tuple[int, ...] = ()) -> bool:
        """Send after what waits; returns False when the peer is gone."""
        self._queue.append((data, fds))
        return self.flush(sock)

    def flush(self, sock: socket.socket) -> bool:
        """Send what can be sent now; returns False when the peer is gone."""
        queue = self._queue
        while queue:
            data, fds = queue[0]
            try:
                if fds:
                    socket.send_fds(sock, [data], fds)
                else:
                    sock.send(data)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError:
                return False
            queue.popleft()
            for fd in fds:
                os.close(fd)
        return True

    def drop(self) -> None:
        """Forget what waits."""
        for _, fds in self._queue:
            for fd in fds:
                os.close(fd)
        self._queue.clear()
