"""The runtime API from another machine: asks over HTTP, again and again until there is an answer.

Every call may be repeated (the same claim and the same report are answered as the first time), so a broken
connection costs time and nothing else. The caller decides how long it is worth it: ``give_up_seconds``.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from tradewind.errors import RuntimeApiError
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import (
    Beat,
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataReply,
    DataRequest,
    OutcomeReport,
    ReportReply,
)
from tradewind.runtime.http_wire import CONTENT_TYPE, PATH, HttpCall, HttpProblem, attempt_key
from tradewind.runtime.wire import Replies, decode_replies

TIMEOUT_SECONDS = 10.0  # for one answer; a call is repeated afterwards
BACKOFF_SECONDS = (0.1, 0.3, 1.0, 2.0)
RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})  # busy, restarting, or the database is away

_encoder = msgspec.msgpack.Encoder()
_problem = msgspec.msgpack.Decoder(HttpProblem)


class HttpRuntimeClient:
    """The port's adapter over HTTP. Used from one thread at a time.

    ``tokens`` maps (instance id, token) of the attempts this worker was handed to what their launch carried.
    Raises ``RuntimeApiError`` when there is no answer within ``give_up_seconds``, or the server refuses the call.
    """

    def __init__(
        self,
        url: str,
        worker: str,
        tokens: Mapping[tuple[int, int], str],
        *,
        clock: Clock,
        pause: Callable[[float], object],
        give_up_seconds: float = 600.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RuntimeApiError(f"{url!r} is no address of a runtime API; write http://host:port")
        self._url = url
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._path = parts.path.rstrip("/") + PATH
        self._worker = worker
        self._tokens = tokens
        self._clock = clock
        self._pause = pause
        self._give_up_seconds = give_up_seconds
        self._connection: http.client.HTTPConnection | None = None

    # ---- the port -----------------------------------------------------------------------------------------------

    def claim(self, requests: Sequence[ClaimRequest]) -> list[ClaimReply]:
        """Claim queued attempts; durable when this returns."""
        keys = [(r.instance_id, r.token) for r in requests]
        return list(
            self._ask(HttpCall(worker=self._worker, tokens=self._held(keys), claims=tuple(requests))).claims
        )

    def heartbeat(self, worker: str, beats: Sequence[Beat]) -> list[BeatReply]:
        """Renew leases; tells which attempts must stop."""
        keys = [(b.instance_id, b.token) for b in beats]
        return list(self._ask(HttpCall(worker=worker, tokens=self._held(keys), beats=tuple(beats))).beats)

    def report(self, reports: Sequence[OutcomeReport]) -> list[ReportReply]:
        """Record outcomes exactly once; durable when this returns."""
        keys = [(r.instance_id, r.token) for r in reports]
        call = HttpCall(worker=self._worker, tokens=self._held(keys), reports=tuple(reports))
        return list(self._ask(call).reports)

    def data(self, request: DataRequest) -> DataReply:
        """Answer a task's question; a stale token gets an error."""
        keys = [(request.instance_id, request.token)]
        answer = self._ask(HttpCall(worker=self._worker, tokens=self._held(keys), data=request)).data
        if answer is None:
            raise RuntimeApiError(f"the runtime API at {self._url} left a question unanswered")
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ---- one call -----------------------------------------------------------------------------------------------

    def _held(self, keys: Sequence[tuple[int, int]]) -> dict[str, str]:
        return {attempt_key(*key): self._tokens[key] for key in keys if key in self._tokens}

    def _ask(self, call: HttpCall) -> Replies:
        body = _encoder.encode(call)
        started = self._clock.monotonic()
        tries = 0
        while True:
            try:
                status, answer = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                problem = f"{type(error).__name__}: {error}"
            else:
                if status == http.client.OK:
                    return decode_replies(answer)
                problem = f"status {status}: {_text_of(answer)}"
                if status not in RETRIED_STATUS:
                    raise RuntimeApiError(f"the runtime API at {self._url} refused a call: {problem}")
            if self._clock.monotonic() - started > self._give_up_seconds:
                raise RuntimeApiError(f"the runtime API at {self._url} gave no answer: {problem}")
            self._pause(BACKOFF_SECONDS[min(tries, len(BACKOFF_SECONDS) - 1)])
            tries += 1

    def _post(self, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=TIMEOUT_SECONDS)
        self._connection.request("POST", self._path, body, {"Content-Type": CONTENT_TYPE})
        response = self._connection.getresponse()
        return response.status, response.read()


def _text_of(answer: bytes) -> str:
    with contextlib.suppress(msgspec.DecodeError):
        return _problem.decode(answer).error
    return answer[:200].decode("utf-8", "replace")
