"""The runtime API over HTTP: a process of its own, so that open browser tabs cannot delay a task.

A small threaded server; each thread has its own connection to the metastore and its own RuntimeService. It checks
the attempt's token of every question before anything else looks at it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

import msgspec

from tradewind.api.attempt_tokens import AttemptTokens
from tradewind.errors import MetastoreUnavailableError
from tradewind.ports.runtime_api import BeatReply, ClaimReply, DataReply, ReportReply, RuntimeApi
from tradewind.runtime.http_wire import (
    BODY_BYTES_MAX,
    CONTENT_TYPE,
    PATH,
    HttpCall,
    HttpProblem,
    attempt_key,
)
from tradewind.runtime.wire import Replies, encode_replies

CONNECTIONS_MAX = 128  # each is a thread with a database connection; more wait in the listening queue
IDLE_SECONDS = 60.0  # a silent connection is closed; clients open a new one

logger = logging.getLogger(__name__)

_calls = msgspec.msgpack.Decoder(HttpCall)
_encoder = msgspec.msgpack.Encoder()


class RuntimeHttpServer(ThreadingHTTPServer):
    """Serves until ``shutdown()``. ``make_service`` returns a service for the calling thread."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: tuple[str, int], make_service: Callable[[], RuntimeApi], tokens: AttemptTokens
    ) -> None:
        super().__init__(address, _Handler)
        self.tokens = tokens
        self._make_service = make_service
        self._local = threading.local()
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)

    def service(self) -> RuntimeApi:
        """Return this thread's service."""
        known: RuntimeApi | None = getattr(self._local, "service", None)
        if known is None:
            known = self._local.service = self._make_service()
        return known

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take one connection when there is a place for it."""
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Serve one connection to its end and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def answer(self, call: HttpCall) -> Replies:
        """Answer the questions whose attempts the call may act for; the others are refused one by one."""
        service = self.service()
        claims = [c for c in call.claims if self._allowed(call, c.instance_id, c.token)]
        beats = [b for b in call.beats if self._allowed(call, b.instance_id, b.token)]
        reports = [r for r in call.reports if self._allowed(call, r.instance_id, r.token)]
        claimed = {(r.instance_id, r.token): r for r in service.claim(claims)} if claims else {}
        beaten = {(r.instance_id, r.token): r for r in service.heartbeat(call.worker, beats)} if beats else {}
        reported = {(r.instance_id, r.token): r for r in service.report(reports)} if reports else {}
        return Replies(
            claims=tuple(
                claimed.get((c.instance_id, c.token))
                or ClaimReply(instance_id=c.instance_id, token=c.token, refused=NOT_ALLOWED)
                for c in call.claims
            ),
            beats=tuple(
                beaten.get((b.instance_id, b.token))
                or BeatReply(instance_id=b.instance_id, token=b.token, stop="fenced")
                for b in call.beats
            ),
            reports=tuple(
                reported.get((r.instance_id, r.token))
                or ReportReply(instance_id=r.instance_id, token=r.token, verdict="fenced")
                for r in call.reports
            ),
            data=self._data(service, call),
        )

    def _data(self, service: RuntimeApi, call: HttpCall) -> DataReply | None:
        if call.data is None:
            return None
        if not self._allowed(call, call.data.instance_id, call.data.token):
            return DataReply(error=NOT_ALLOWED)
        return service.data(call.data)

    def _allowed(self, call: HttpCall, instance_id: int, token: int) -> bool:
        text = call.tokens.get(attempt_key(instance_id, token), "")
        return self.tokens.allows(instance_id, token, text)


NOT_ALLOWED = "the call carries no valid token for this attempt"


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: RuntimeHttpServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer one call."""
        if self.path != PATH:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is only POST {PATH} here")
            return
        body = self._body()
        if body is None:
            return
        try:
            call = _calls.decode(body)
        except msgspec.DecodeError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"the body is no call: {error}")
            return
        try:
            replies = self.server.answer(call)
        except MetastoreUnavailableError:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the metastore cannot be reached now")
        except Exception:  # the border of a request: one bad call must not end the others
            logger.exception("a call of worker %r failed", call.worker)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "the call failed; the service's log says why")
        else:
            self._send(HTTPStatus.OK, encode_replies(replies))

    def do_GET(self) -> None:
        """Say that there is nothing to read; ``/health`` answers for load balancers."""
        if self.path == "/health":
            self._send(HTTPStatus.OK, b"")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is only POST {PATH} here")

    def _body(self) -> bytes | None:
        text = self.headers.get("Content-Length", "")
        if not text.isdigit():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "a call says its length")
            return None
        if int(text) > BODY_BYTES_MAX:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a call may have {BODY_BYTES_MAX:,} bytes")
            return None
        return self.rfile.read(int(text))

    def _refuse(self, status: HTTPStatus, error: str) -> None:
        self.close_connection = True  # what is left of the request is not read
        self._send(status, _encoder.encode(HttpProblem(error=error)))

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Tell strangers no version."""
        return "tradewind"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is the library's
        """Keep quiet: every act is in the event table."""
