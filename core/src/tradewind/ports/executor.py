"""The seam to where attempts go. Executors carry, they do not judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from tradewind.ports.runtime_api import (
    Beat,
    ClaimRequest,
    DataRequest,
    Launch,
    OutcomeReport,
)


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What an executor can take now. ``workers`` = 0 means nothing would run: shown as a reason, not an error."""

    slots: int  # parallelism over all its workers
    workers: int  # live ones
    detail: str = ""  # for people: why there is none


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """The worker has the launch."""

    instance_id: int
    token: int


class LaunchFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt never started here; ``reason`` for people. Counts as a loss, not as a try."""

    instance_id: int
    token: int
    reason: str


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """All processes of the attempt are known to be dead and no report can come any more."""

    instance_id: int
    token: int
    reason: str


class ApiCall(msgspec.Struct, frozen=True, kw_only=True):
    """A worker connected to this executor calls the runtime API; answer with :meth:`Executor.reply`.

    ``call`` is one of the lists of messages of :class:`~tradewind.ports.runtime_api.RuntimeApi`.
    """

    channel: int  # opaque: which worker asked
    sequence: int  # opaque: which question
    claims: tuple[ClaimRequest, ...] = ()
    beats: tuple[Beat, ...] = ()
    reports: tuple[OutcomeReport, ...] = ()
    data: DataRequest | None = None
    worker: str = ""


class CapacityChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A worker came or went: ask :meth:`Executor.capacity` again."""

    detail: str = ""


ExecutorSignal = Launched | LaunchFailed | Gone | ApiCall | CapacityChanged


class Executor(Protocol):
    """Carries launches to workers, and brings back hints. Passes the executor conformance suite.

    Used from one thread (the scheduler's loop). No method blocks longer than a local system call.
    Dispatching twice is harmless: the claim decides.
    """

    name: str

    def start(self) -> None:
        """Open what it needs. May be called by a process that has just won the leadership."""
        ...

    def capacity(self) -> Capacity:
        """Return what it can take now."""
        ...

    def dispatch(self, launches: Sequence[Launch]) -> None:
        """Hand over launches; what cannot be delivered now is kept for a worker, or comes back as LaunchFailed."""
        ...

    def cancel(self, attempts: Sequence[tuple[int, int]], grace_seconds: float) -> None:
        """Ask workers to end attempts (SIGTERM, grace, SIGKILL of the whole process tree)."""
        ...

    def filenos(self) -> Iterable[int]:
        """Return descriptors that become readable when :meth:`poll` has something."""
        ...

    def poll(self) -> list[ExecutorSignal]:
        """Return what happened since the last call, without waiting."""
        ...

    def reply(self, channel: int, sequence: int, payload: bytes) -> None:
        """Answer an ApiCall (encoded list of replies). A channel that is gone is ignored: the worker asks again."""
        ...

    def stop(self, *, kill_workers: bool) -> None:
        """Close. Workers live on (attempts too) unless ``kill_workers``."""
        ...
