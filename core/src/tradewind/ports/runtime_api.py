"""The seam between workers and the truth: what a supervisor may ask, as messages that cross processes and hosts.

Theory of operation
-------------------
A worker knows an attempt by (instance id, token). It *claims* before user code runs, *beats* while it
runs and *reports* once. Every call carries the token; a stale token is answered ``fenced`` and changes
nothing. Calls may be repeated: the same claim by the same ``claimant`` and the same report are answered
as the first time. Two adapters pass one conformance suite: in process (the scheduler's own loop) and
HTTP (a process of its own, for workers on other machines, authorised by a signature over the attempt).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from tradewind.domain.leases import LEASE_SECONDS
from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.records import MapIndex

__all__ = [
    "HEARTBEAT_SECONDS",
    "LEASE_SECONDS",
    "XCOMS_PER_ATTEMPT_MAX",
    "XCOM_BYTES_MAX",
    "XCOM_INLINE_BYTES_MAX",
    "Beat",
    "BeatReply",
    "ClaimReply",
    "ClaimRequest",
    "DataReply",
    "DataRequest",
    "Launch",
    "OutcomeKind",
    "OutcomeReport",
    "ReportReply",
    "RuntimeApi",
    "TaskContext",
]

HEARTBEAT_SECONDS = 8.0  # three beats fit into a lease with room for one slow commit
XCOM_INLINE_BYTES_MAX = 64 * 1024  # above, the value goes to the XCom store
XCOM_BYTES_MAX = 1024 * 1024  # above, the task fails with the advice to pass a reference
XCOMS_PER_ATTEMPT_MAX = 256


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Launch(_Message, frozen=True, kw_only=True):
    """What an executor carries to a worker: a hint that this attempt may be claimed. No secrets in it."""

    instance_id: int
    token: int
    dag_id: str
    run_id: str
    task_id: str
    version_id: int
    file: str  # relative to the DAG folder
    source_sha: str
    map_index: MapIndex = ()
    try_number: int = 1
    executor: str = "local"
    queue: str | None = None
    priority: int = 0


class ClaimRequest(_Message, frozen=True, kw_only=True):
    """Ask for the right to run. ``claimant`` is a nonce of this launch: the same one may ask again."""

    instance_id: int
    token: int
    worker: str
    claimant: str


class TaskContext(_Message, frozen=True, kw_only=True):
    """All a task process needs to know of its run; secrets are asked for one by one."""

    instance_id: int
    token: int
    dag_id: str
    run_id: str
    run_pk: int
    task_id: str
    version_id: int
    file: str
    source_sha: str
    run_type: str
    logical_date: datetime
    run_after: datetime
    interval_start: datetime
    interval_end: datetime
    map_index: MapIndex = ()
    try_number: int = 1
    tries_max: int = 1
    conf: dict[str, Any] = {}
    params: dict[str, Any] = {}
    run_started_at: datetime | None = None
    first_started_at: datetime | None = None
    prev_logical_date_success: datetime | None = None
    prev_interval_start_success: datetime | None = None
    prev_interval_end_success: datetime | None = None
    prev_started_at_success: datetime | None = None
    lengths: dict[
        str, dict[str, int]
    ] = {}  # "task_id" or "task_id[3]" -> XCom key -> length, of upstreams mapped over
    resume: dict[str, Any] | None = None
    triggered_by: str = ""
    dag_tags: tuple[str, ...] = ()
    timeout_seconds: float | None = None  # the supervisor ends the attempt after that long
    at_most_once: bool = False  # a lost attempt is not started again by itself


class ClaimReply(_Message, frozen=True, kw_only=True):
    """``context`` when granted; else ``refused`` says why and the worker forgets the launch."""

    instance_id: int
    token: int
    context: TaskContext | None = None
    refused: str | None = None


class Beat(_Message, frozen=True, kw_only=True):
    """One live attempt of a worker."""

    instance_id: int
    token: int


class BeatReply(_Message, frozen=True, kw_only=True):
    """``stop`` is set when the attempt must end: "fenced" (kill at once) or "cancelled" (SIGTERM, grace, SIGKILL)."""

    instance_id: int
    token: int
    stop: str | None = None


OutcomeReport = Outcome


class ReportReply(_Message, frozen=True, kw_only=True):
    """``accepted`` (also for the same report again) or ``fenced``; either way the worker forgets the attempt."""

    instance_id: int
    token: int
    verdict: str


class DataRequest(_Message, frozen=True, kw_only=True):
    """A question a task process asks through its supervisor.

    ========================  ==============================================  ==================================
    verb                      arguments                                       answer
    ========================  ==============================================  ==================================
    ``xcom_get``              task_id, key, map_index (list|null), run_id?,   list of [map_index, JSON text]
                              dag_id?, item?, prefix?, offset?, limit?
    ``xcom_put``              key, value (JSON text)                          null
    ``connection_get``        conn_id                                         {"type", …} or null
    ``variable_get``          key                                             text or null
    ``variable_set``          key, value                                      null
    ``state_get``             —                                               {key: JSON text}
    ``state_set``             values {key: JSON text|null}                    null
    ``source_get``            version_id                                      {"file", "sha", "text"}
    ``run_trigger``           dag_id, run_id?, logical_date?, conf, note?     {"run_id", "created": bool}
    ``run_state``             dag_id, run_id? | logical_date                  {"state"|null, "tasks": {id: [states]}}
    ``rendered_put``          fields {name: text}                             null
    ========================  ==============================================  ==================================
    """

    instance_id: int
    token: int
    verb: str
    arguments: dict[str, Any] = {}


class DataReply(_Message, frozen=True, kw_only=True):
    """The answer, or the error's text for the person who wrote the task."""

    value: Any = None
    error: str | None = None


class RuntimeApi(Protocol):
    """What a supervisor may ask. All calls take and give batches, answers in the order of the questions."""

    def claim(self, requests: Sequence[ClaimRequest]) -> list[ClaimReply]:
        """Claim queued attempts; durable when this returns."""
        ...

    def heartbeat(self, worker: str, beats: Sequence[Beat]) -> list[BeatReply]:
        """Renew leases; tells which attempts must stop."""
        ...

    def report(self, reports: Sequence[OutcomeReport]) -> list[ReportReply]:
        """Record outcomes exactly once; durable when this returns."""
        ...

    def data(self, request: DataRequest) -> DataReply:
        """Answer a task's question; a stale token gets an error."""
        ...
