"""A fake executor: carries launches to fake workers and their calls to the leader, and judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tradewind.ports.executor import ApiCall, Capacity, CapacityChanged, ExecutorSignal, Gone, LaunchFailed
from tradewind.ports.runtime_api import Launch
from tradewind.runtime.wire import Call, decode_replies
from tradewind.testing.simulation.chance import Chance

if TYPE_CHECKING:
    from tradewind.testing.simulation.auditor import Auditor
    from tradewind.testing.simulation.post import Post
    from tradewind.testing.simulation.worker import Worker

Key = tuple[int, int]


class Switchboard:
    """Which executor of a name is listening: the one that was started last. Workers look here to connect."""

    def __init__(self) -> None:
        self.listening: dict[str, FakeExecutor] = {}
        self.sent: set[Key] = set()  # launches that may have reached a worker


class FakeExecutor:
    """One scheduler process's end of an executor. Fulfils :class:`tradewind.ports.executor.Executor`.

    A launch goes to any connected worker whenever it is dispatched, and is kept while there is none.
    """

    def __init__(
        self,
        name: str,
        switchboard: Switchboard,
        post: Post,
        chance: Chance,
        auditor: Auditor,
        wake: Callable[[], None],
        slots: int,
    ) -> None:
        self.name = name
        self.open = False
        self._switchboard = switchboard
        self._post = post
        self._chance = chance
        self._auditor = auditor
        self._wake = wake
        self._slots = slots
        self._workers: dict[str, Worker] = {}  # by incarnation
        self._claimed: dict[str, dict[Key, None]] = {}  # by incarnation: user code may run there
        self._asked: dict[int, tuple[Worker, str, int, tuple[Key, ...]]] = {}  # channel of each call
        self._kept: dict[Key, Launch] = {}
        self._signals: list[ExecutorSignal] = []
        self._channels = 0

    # ---- the port ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self.open = True
        self._switchboard.listening[self.name] = self

    def capacity(self) -> Capacity:
        return Capacity(slots=self._slots * len(self._workers), workers=len(self._workers))

    def dispatch(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            self._auditor.dispatched(launch.instance_id, launch.token)
            key = (launch.instance_id, launch.token)
            if key not in self._switchboard.sent and self._chance.happens(0.01):
                self._auditor.gone(key)
                self._tell(
                    LaunchFailed(instance_id=key[0], token=key[1], reason="the broker did not take it")
                )
            else:
                self._switchboard.sent.add(key)
                self._kept[key] = launch
        self._send_kept()

    def cancel(self, attempts: Sequence[Key], grace_seconds: float) -> None:
        keys = tuple(attempts)
        for key in keys:
            self._kept.pop(key, None)
        for worker in self._workers.values():
            self._post.send((self, worker.name), lambda worker=worker: worker.cancelled(keys, grace_seconds))  # type: ignore[misc]

    def filenos(self) -> Iterable[int]:
        return ()

    def poll(self) -> list[ExecutorSignal]:
        signals, self._signals = self._signals, []
        return signals

    def reply(self, channel: int, sequence: int, payload: bytes) -> None:
        asked = self._asked.pop(channel, None)
        if asked is None:
            return
        worker, incarnation, asked_as, reported = asked
        replies = decode_replies(payload)
        self._auditor.replied(replies)
        for key in reported:
            self._claimed.get(incarnation, {}).pop(key, None)
        self._post.send((self, worker.name), lambda: worker.answered(incarnation, asked_as, replies))

    def stop(self, *, kill_workers: bool) -> None:
        self.open = False
        for known in (self._workers, self._claimed, self._asked, self._kept, self._signals):
            known.clear()

    @property
    def waiting(self) -> bool:
        """Whether there is something to :meth:`poll`."""
        return bool(self._signals)

    # ---- from workers -----------------------------------------------------------------------------------

    def hello(self, worker: Worker, live: Iterable[Key]) -> None:
        """Take a worker on; ``live`` are the attempts it holds."""
        if self.open and worker.incarnation not in self._workers:
            self._workers[worker.incarnation] = worker
            self._claimed.setdefault(worker.incarnation, {}).update(dict.fromkeys(live))
            self._tell(CapacityChanged(detail=f"{worker.name} is connected"))
            self._send_kept()

    def knows(self, incarnation: str) -> bool:
        """Whether a worker is connected."""
        return incarnation in self._workers

    def called(self, worker: Worker, incarnation: str, call: Call) -> None:
        """Take a call; it is answered through :meth:`reply`."""
        if not self.open or incarnation not in self._workers:
            return
        self._channels += 1
        reported = tuple((report.instance_id, report.token) for report in call.reports)
        self._asked[self._channels] = (worker, incarnation, call.sequence, reported)
        self._claimed[incarnation].update(dict.fromkeys((c.instance_id, c.token) for c in call.claims))
        self._tell(
            ApiCall(
                channel=self._channels,
                sequence=call.sequence,
                claims=call.claims,
                beats=call.beats,
                reports=call.reports,
                data=call.data,
                worker=worker.name,
            )
        )

    def lost(self, incarnation: str) -> None:
        """Learn that every process of a worker is dead."""
        if self._workers.pop(incarnation, None) is None:
            return
        for key in self._claimed.pop(incarnation, {}):
            if self._auditor.runs(key) or any(key in worker.attempts for worker in self._workers.values()):
                continue  # the same launch went to another worker too, and may run there
            self._auditor.gone(key)
            self._tell(Gone(instance_id=key[0], token=key[1], reason=f"worker {incarnation} ended"))
        self._tell(CapacityChanged(detail=f"{incarnation} ended"))

    def _tell(self, signal: ExecutorSignal) -> None:
        if self.open:
            self._signals.append(signal)
            self._wake()

    def _send_kept(self) -> None:
        workers = list(self._workers.values())
        if not workers:
            return
        kept, self._kept = self._kept, {}
        for launch in kept.values():
            worker = self._chance.pick(workers)
            self._post.send((self, worker.name), lambda worker=worker, launch=launch: worker.launched(launch))  # type: ignore[misc]
