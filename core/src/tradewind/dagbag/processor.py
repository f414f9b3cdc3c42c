"""The DAG processor's loop: sleeps until the folder changes, keeps the metastore up to date, and says it is alive."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import socket
from collections.abc import Callable
from typing import Any

from tradewind.dagbag.bag import DagBag
from tradewind.dagbag.settings import ProcessorSettings
from tradewind.dagbag.sync import Log, Rules
from tradewind.dagbag.watch import FolderWatch
from tradewind.errors import ConfigError, MetastoreUnavailableError
from tradewind.ports.clock import Clock
from tradewind.ports.metastore import Metastore

KIND = "dag-processor"
BEAT_SECONDS = 15.0  # between two signs of life
SETTLE_SECONDS = 0.05  # after a hint: an editor writes a file in several steps
AWAKE_SHARE_MAX = 0.01  # of the time may go into looking; a folder of 100,000 files is looked at less often
STOP_SECONDS = 0.25  # between two looks at a stop that has no descriptor
SERVER_IDLE_SECONDS = (
    60.0  # then the parse server gives its memory back; it is warm again in a quarter of a second
)
READY_SECONDS_MAX = 2.0  # a file that hangs must not keep the others from being used
TROUBLE_SECONDS = 1.0  # before trying again what failed; doubled up to the next
TROUBLE_SECONDS_MAX = 30.0


def run(
    store: Metastore,
    settings: ProcessorSettings,
    plugins: Rules,
    *,
    stop: Callable[[], bool],
    clock: Clock,
    stop_fileno: int | None = None,
    log: Log | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Keep the metastore up to date with the DAG folder until ``stop`` says so.

    ``stop_fileno`` becomes readable when it does; without it, that takes a quarter of a second to be seen. ``ready``
    is called once, when all files of the first look are read; a file that takes for ever delays it by two seconds.

    Belongs into a process of its own: it starts the parse server, and holds its own connection. A metastore that
    cannot be reached and a parse server that cannot start are waited for; nothing is lost meanwhile.
    """
    say = log or logging.getLogger("tradewind.dagbag").info
    waiting = Waiting(stop, stop_fileno)
    trouble = TROUBLE_SECONDS
    while not stop():
        try:
            with contextlib.closing(Loop(store, settings, plugins, clock, waiting, say)) as loop:
                while not stop():
                    loop.work()
                    trouble = TROUBLE_SECONDS
                    if ready is not None and loop.read_all:
                        ready()
                        ready = None
                    loop.sleep()
        except (MetastoreUnavailableError, ConfigError) as error:
            say(f"{error} Trying again in {trouble:g} s.")
            waiting.wait(trouble)
            trouble = min(2 * trouble, TROUBLE_SECONDS_MAX)
    try:
        store.forget_component(component_name())
    except MetastoreUnavailableError as error:
        say(f"Could not say goodbye: {error}")  # the age of the last beat tells


def component_name() -> str:
    """Return what this processor is called among the components."""
    return f"{KIND}:{socket.gethostname()}:{os.getpid()}"


class Waiting:
    """Sleeps that end when it is time to stop."""

    def __init__(self, stop: Callable[[], bool], stop_fileno: int | None) -> None:
        self._stop = stop
        self._descriptors = [] if stop_fileno is None else [stop_fileno]
        self._step_seconds = STOP_SECONDS if stop_fileno is None else math.inf

    def wait(self, seconds: float, *descriptors: int | None) -> list[int]:
        """Sleep until a descriptor is readable, it is time to stop, or over; return what is readable."""
        watched = [*self._descriptors, *(descriptor for descriptor in descriptors if descriptor is not None)]
        left = seconds
        while not self._stop():
            step = min(left, self._step_seconds)
            readable, _, _ = select.select(watched, [], [], step)
            left -= step
            if readable or left <= 0:
                return readable
        return []


class Loop:
    """One life of the loop, with one picture of the folder."""

    def __init__(
        self,
        store: Metastore,
        settings: ProcessorSettings,
        plugins: Rules,
        clock: Clock,
        waiting: Waiting,
        log: Log,
    ) -> None:
        self._store = store
        self._clock = clock
        self._waiting = waiting
        self._scan_seconds = settings.dags.scan_seconds
        self._bag = DagBag(
            store, settings.dags_path, settings.dags, plugins, plugins_folder=settings.plugins_path, log=log
        )
        self._watch = FolderWatch()
        self._scanned_seconds = 0.0
        self._started = self._scan_at = self._beat_at = self._busy_at = clock.monotonic()

    @property
    def read_all(self) -> bool:
        """Say whether every file is read, or reading has taken so long that nobody should wait for it."""
        return not self._bag.busy or self._clock.monotonic() - self._started >= READY_SECONDS_MAX

    def close(self) -> None:
        """End the parse server, stop watching."""
        self._bag.parser.close()
        self._watch.close()

    def work(self) -> None:
        """Do what is due."""
        if self._clock.monotonic() >= self._scan_at:
            self._scan()
        self._bag.turn(self._clock.now())
        now = self._clock.monotonic()
        if self._bag.busy:
            self._busy_at = now
        elif now - self._busy_at > SERVER_IDLE_SECONDS:
            self._bag.parser.close()
        if now >= self._beat_at:
            self._beat()

    def sleep(self) -> None:
        """Wait for a result, a change, the next look or the next beat."""
        until = min(self._scan_at, self._beat_at)
        if not self.read_all:
            until = min(until, self._started + READY_SECONDS_MAX)
        hints = self._watch.fileno()
        seconds = max(0.0, until - self._clock.monotonic())
        if hints in self._waiting.wait(seconds, self._bag.parser.fileno(), hints):
            settle = max(SETTLE_SECONDS, self._scanned_seconds / AWAKE_SHARE_MAX)
            self._waiting.wait(min(settle, self._scan_seconds), self._bag.parser.fileno())
            self._scan_at = min(self._scan_at, self._clock.monotonic())

    def _scan(self) -> None:
        started = self._clock.monotonic()
        self._watch.drain()
        self._bag.scan(self._clock.now())
        self._watch.watch(self._bag.listing.folders or [self._bag.folder])
        ended = self._clock.monotonic()
        self._scanned_seconds = ended - started
        self._scan_at = ended + max(self._scan_seconds, self._scanned_seconds / AWAKE_SHARE_MAX)

    def _beat(self) -> None:
        data: dict[str, Any] = {"folder": self._bag.folder, **self._bag.counts}
        self._store.beat_component(component_name(), KIND, socket.gethostname(), os.getpid(), data)
        self._beat_at = self._clock.monotonic() + BEAT_SECONDS
