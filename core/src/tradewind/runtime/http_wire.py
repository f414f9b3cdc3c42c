"""How the runtime API is spoken over HTTP: one POST, a call in, its replies out, both as msgpack."""

from __future__ import annotations

import msgspec

from tradewind.ports.runtime_api import Beat, ClaimRequest, DataRequest, OutcomeReport

PATH = "/runtime/v1/call"
CONTENT_TYPE = "application/msgpack"
BODY_BYTES_MAX = 64 * 1024 * 1024  # a batch of reports with their XComs; clients cut larger batches


class HttpCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Questions of one worker, and for each attempt they concern the token that allows them.

    ``tokens`` maps ``"instance_id:token"`` to the text that the launch message carried. An attempt without a valid
    one is refused, the others in the call are answered.
    """

    worker: str
    tokens: dict[str, str]
    claims: tuple[ClaimRequest, ...] = ()
    beats: tuple[Beat, ...] = ()
    reports: tuple[OutcomeReport, ...] = ()
    data: DataRequest | None = None


class HttpProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a whole call was refused."""

    error: str


def attempt_key(instance_id: int, token: int) -> str:
    """Return the name of an attempt in ``HttpCall.tokens``."""
    return f"{instance_id}:{token}"
