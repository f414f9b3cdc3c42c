"""The DAG processor's loop: sleeps until the folder changes, keeps the metastore up to date, and says it is alive."""

from __future__ import annotations

import logging
import os
import select
import socket
from pathlib import Path
from typing import Any, Protocol

from tradewind.config import Settings
from tradewind.dagbag.bag import DagBag
from tradewind.dagbag.sync import Rules
from tradewind.dagbag.watch import FolderWatch
from tradewind.errors import ConfigError, MetastoreUnavailableError
from tradewind.ports.clock import Clock
from tradewind.ports.metastore import Metastore

KIND = "dag-processor"
BEAT_SECONDS = 15.0  # between two signs of life
SETTLE_SECONDS = 0.05  # after a hint: an editor writes a file in several steps
AWAKE_SHARE_MAX = 0.01  # of the time may go into looking; a folder of 100,000 files is looked at less often
STOP_SECONDS = 0.25  # between two looks at a stop that has no descriptor
TROUBLE_SECONDS = 1.0  # before trying again what failed; doubled up to the next
TROUBLE_SECONDS_MAX = 30.0

log = logging.getLogger("tradewind.dagbag")


class Stop(Protocol):
    """Tells the loop to end, as :class:`threading.Event` does. A ``fileno()`` that becomes readable makes it prompt."""

    def is_set(self) -> bool:
        """Say whether to end."""
        ...


def run(store: Metastore, settings: Settings, plugins: Rules, stop: Stop, clock: Clock) -> None:
    """Keep the metastore up to date with the DAG folder until ``stop`` is set.

    Belongs into a process of its own: it starts the parse server, and holds its own connection. A metastore that
    cannot be reached and a parse server that cannot start are waited for; nothing is lost meanwhile.
    """
    trouble = TROUBLE_SECONDS
    while not stop.is_set():
        loop = None
        try:
            loop = Loop(store, settings, plugins, stop, clock)
            with loop.bag:
                while not stop.is_set():
                    loop.round()
                    trouble = TROUBLE_SECONDS
        except (MetastoreUnavailableError, ConfigError) as error:
            log.warning("The DAG processor waits %g s and begins anew: %s", trouble, error)
            wait(stop, trouble)
            trouble = min(2 * trouble, TROUBLE_SECONDS_MAX)
        finally:
            if loop is not None:
                loop.watch.close()
    forget(store)


def forget(store: Metastore) -> None:
    """Say that this processor has stopped; if the metastore is away, its age will tell."""
    try:
        store.forget_component(component_name())
    except MetastoreUnavailableError as error:
        log.info("The DAG processor could not say goodbye: %s", error)


def component_name() -> str:
    """Return what this processor is called among the components."""
    return f"{KIND}@{socket.gethostname()}:{os.getpid()}"


class Loop:
    """One life of the loop, with one state of the folder."""

    def __init__(
        self, store: Metastore, settings: Settings, plugins: Rules, stop: Stop, clock: Clock
    ) -> None:
        self._store = store
        self._stop = stop
        self._clock = clock
        self._scan_seconds = settings.dags.scan_seconds
        self.watch = FolderWatch()
        plugins_folder = Path(settings.plugins_path)
        self.bag = DagBag(store, settings.dags_path, settings.dags, plugins, plugins_folder=plugins_folder)
        self._scan_at = clock.monotonic()
        self._scanned_seconds = 0.0
        self._beat_at = clock.monotonic()

    def round(self) -> None:
        """Do what is due, then sleep until something is."""
        if self._clock.monotonic() >= self._scan_at:
            self._scan()
        self.bag.turn(self._clock.now())
        if self._clock.monotonic() >= self._beat_at:
            self._beat()
        self._sleep()

    def _scan(self) -> None:
        started = self._clock.monotonic()
        self.watch.drain()
        self.bag.scan(self._clock.now())
        self.watch.watch(self.bag.listing.folders or [self.bag.folder])
        ended = self._clock.monotonic()
        self._scanned_seconds = ended - started
        self._scan_at = ended + max(self._scan_seconds, self._scanned_seconds / AWAKE_SHARE_MAX)

    def _beat(self) -> None:
        data: dict[str, Any] = {"folder": self.bag.folder, **self.bag.counts}
        self._store.beat_component(component_name(), KIND, socket.gethostname(), os.getpid(), data)
        self._beat_at = self._clock.monotonic() + BEAT_SECONDS

    def _sleep(self) -> None:
        until = min(self._scan_at, self._beat_at)
        seconds = max(0.0, until - self._clock.monotonic())
        readable = wait(self._stop, seconds, self.bag.parser.fileno(), self.watch.fileno())
        if self.watch.fileno() in readable:
            settle = max(SETTLE_SECONDS, self._scanned_seconds / AWAKE_SHARE_MAX)
            wait(self._stop, min(settle, self._scan_seconds), self.bag.parser.fileno())
            self._scan_at = min(self._scan_at, self._clock.monotonic())


def wait(stop: Stop, seconds: float, *descriptors: int | None) -> list[int]:
    """Sleep until a descriptor is readable, ``stop`` is set, or time is over; return what is readable."""
    watched = [descriptor for descriptor in descriptors if descriptor is not None]
    fileno = getattr(stop, "fileno", None)
    if fileno is not None:
        watched.append(fileno())
    left = seconds
    while not stop.is_set():
        step = left if fileno is not None else min(left, STOP_SECONDS)
        readable, _, _ = select.select(watched, [], [], step)
        left -= step
        if readable or left <= 0:
            return readable
    return []
