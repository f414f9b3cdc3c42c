"""How fake workers reach the runtime API: through the leader's executor, or over a service of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradewind.api.data import DataService
from tradewind.api.runtime import RuntimeService
from tradewind.errors import MetastoreUnavailableError
from tradewind.runtime.wire import Call, Replies
from tradewind.testing.faults import with_weather
from tradewind.testing.simulation.executor import FakeExecutor
from tradewind.testing.simulation.processes import Killed, NoSecrets, Storm

if TYPE_CHECKING:
    from tradewind.testing.simulation.place import Place
    from tradewind.testing.simulation.worker import Worker


class ExecutorLink:
    """A connection to whichever executor of the name listens; it moves when another one takes over.

    On an orderly network a call is asked again only on a new connection, as the real worker does.
    """

    def __init__(self, house: Place, name: str) -> None:
        self._house = house
        self._name = name
        self._to: FakeExecutor | None = None
        self.resends = not house.post.orderly

    def tend(self, worker: Worker) -> None:
        """Connect to the executor that listens now."""
        listening = self._house.switchboard.listening.get(self._name)
        if listening is None or not listening.open:
            self._to = None
            return
        self._to = listening
        if not listening.knows(worker.incarnation):
            live = tuple(worker.attempts)
            self._house.post.send((worker.name, listening), lambda: listening.hello(worker, live))
            for call in worker.unanswered() if not self.resends else ():
                self.call(worker, worker.incarnation, call)

    def call(self, worker: Worker, incarnation: str, call: Call) -> None:
        """Carry a call to the executor; it is lost when nobody listens."""
        to = self._to
        if to is not None:
            self._house.post.send((worker.name, to), lambda: to.called(worker, incarnation, call))

    def ended(self, incarnation: str) -> None:
        """Let the executor find the worker dead."""
        if self._to is not None:
            self._to.lost(incarnation)


class ServiceLink(ExecutorLink):
    """Launches come through an executor, calls go to a runtime service on the metastore."""

    def __init__(self, house: Place, name: str) -> None:
        super().__init__(house, name)
        self.resends = True
        self._services: list[tuple[RuntimeService, Storm]] = []  # free ones: each serves one call at a time

    def call(self, worker: Worker, incarnation: str, call: Call) -> None:
        """Carry a call to the service."""
        self._house.post.send((worker.name, "service"), lambda: self._serve(worker, incarnation, call))

    def _serve(self, worker: Worker, incarnation: str, call: Call) -> None:
        service, storm = self._services.pop() if self._services else self._make()
        try:
            replies = Replies(
                claims=tuple(service.claim(call.claims)),
                beats=tuple(service.heartbeat(worker.name, call.beats)) if call.beats else (),
                reports=tuple(service.report(call.reports)),
                data=service.data(call.data) if call.data is not None else None,
            )
        except MetastoreUnavailableError:
            self._services.append((service, storm))
            return
        except Killed:
            return  # another process serves the next call
        self._services.append((service, storm))
        self._house.auditor.replied(replies)
        self._house.post.send(
            (worker.name, "answer"), lambda: worker.answered(incarnation, call.sequence, replies)
        )

    def _make(self) -> tuple[RuntimeService, Storm]:
        house = self._house
        storm = Storm(house, "runtime-api", busy=3)
        store = with_weather(house.store_for("runtime-api"), storm)
        data = DataService(store, NoSecrets(), house.no_trigger)
        return RuntimeService(store, data, house.clock), storm
