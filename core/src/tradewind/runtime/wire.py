"""What a worker and the executor it belongs to say to each other, and how that is encoded.

Theory of operation
-------------------
A worker opens two connections to the executor's unix socket. On ``main`` it says :class:`Hello`, takes
:class:`Launches` and :class:`Cancel`, and asks the runtime API by :class:`Call`; ``beat`` carries its
heartbeats alone, so that a megabyte of XCom before them cannot cost a lease. A call has a sequence number
unique in the worker's life; it is sent again, unchanged, after a lost connection, until its :class:`Reply`
came. The API's answers are the same for a repeated call, so an answer that was lost costs nothing.

A call may hold claims and reports at once, or beats, or one data question. Its reply is the
:class:`Replies` with the same lists filled, in the order asked: :func:`encode_replies`.
"""

from __future__ import annotations

import msgspec

from tradewind.ports.runtime_api import (
    Beat,
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataReply,
    DataRequest,
    Launch,
    OutcomeReport,
    ReportReply,
)

WIRE_SCHEMA = 1  # raised when old and new frames cannot be mixed; a worker of another schema is refused

AttemptKey = tuple[int, int]  # (instance id, token)


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    pass


class Hello(_Frame, frozen=True, tag=1):
    """First frame of a connection: who is there, and which attempts live on."""

    schema: int
    role: str  # "main" or "beat"
    worker: str
    incarnation: str  # differs between two processes of one name
    pid: int
    slots: int
    alive_file: str  # locked (flock) by every process of this worker as long as it lives
    mark: str  # what the processes of its attempts carry in their environment
    servers: tuple[int, ...] = ()  # process ids of its base fork server
    live: tuple[AttemptKey, ...] = ()  # launches it holds, started or not


class Call(_Frame, frozen=True, tag=2):
    """A question to the runtime API."""

    sequence: int
    claims: tuple[ClaimRequest, ...] = ()
    beats: tuple[Beat, ...] = ()
    reports: tuple[OutcomeReport, ...] = ()
    data: DataRequest | None = None


class Received(_Frame, frozen=True, tag=3):
    """The worker has these launches."""

    attempts: tuple[AttemptKey, ...]


class Dropped(_Frame, frozen=True, tag=4):
    """The worker holds these launches no more: refused, fenced or reported."""

    attempts: tuple[AttemptKey, ...]


class Launches(_Frame, frozen=True, tag=5):
    """Attempts that may be claimed."""

    launches: tuple[Launch, ...]


class Cancel(_Frame, frozen=True, tag=6):
    """End attempts: SIGTERM, grace, SIGKILL of the whole process tree."""

    attempts: tuple[AttemptKey, ...]
    grace_seconds: float


class Reply(_Frame, frozen=True, tag=7):
    """The answer to the call of that sequence: encoded :class:`Replies`."""

    sequence: int
    payload: bytes


class Refused(_Frame, frozen=True, tag=8):
    """The executor will not work with this worker; it says why and hangs up."""

    reason: str


class Stop(_Frame, frozen=True, tag=9):
    """Drain: no new claims, running attempts get ``grace_seconds``, then the worker ends."""

    grace_seconds: float


class Replies(msgspec.Struct, frozen=True, array_like=True):
    """The runtime API's answers to one call, each list in the order of the questions."""

    claims: tuple[ClaimReply, ...] = ()
    beats: tuple[BeatReply, ...] = ()
    reports: tuple[ReportReply, ...] = ()
    data: DataReply | None = None


FromWorker = Hello | Call | Received | Dropped
FromExecutor = Launches | Cancel | Reply | Refused | Stop

_encoder = msgspec.msgpack.Encoder()
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_from_executor: msgspec.msgpack.Decoder[FromExecutor] = msgspec.msgpack.Decoder(FromExecutor)
_replies = msgspec.msgpack.Decoder(Replies)


def encode(message: FromWorker | FromExecutor) -> bytes:
    """Return a message as bytes."""
    return _encoder.encode(message)


def decode_from_worker(data: bytes) -> FromWorker:
    """Return what a worker said; raises ``msgspec.DecodeError`` when it is nothing known."""
    return _from_worker.decode(data)


def decode_from_executor(data: bytes) -> FromExecutor:
    """Return what an executor said; raises ``msgspec.DecodeError`` when it is nothing known."""
    return _from_executor.decode(data)


def encode_replies(replies: Replies) -> bytes:
    """Return the payload for :meth:`tradewind.ports.executor.Executor.reply`."""
    return _encoder.encode(replies)


def decode_replies(payload: bytes) -> Replies:
    """Return the answers of a payload; raises ``msgspec.DecodeError`` when it is none."""
    return _replies.decode(payload)
