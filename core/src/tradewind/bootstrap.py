"""The composition root: the only module that knows all the parts and puts them together.

Everything below takes what it needs as arguments; here the real ones are made from the settings. A function that
runs a part until it is told to end takes ``ready``, called once when the part does its work.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tradewind.api.data import DataService
from tradewind.api.secret_keys import open_keys
from tradewind.api.secrets import SecretsStore, anything_stored
from tradewind.api.trigger import trigger_run
from tradewind.config import Settings
from tradewind.domain.decide import Decision
from tradewind.domain.records import RunRow, RunType
from tradewind.errors import ConfigError, MetastoreUnavailableError
from tradewind.metastore import connect, downgrade, migrate
from tradewind.metastore.wakeup import wakeup_for
from tradewind.plugins.registry import Registry, load_registry
from tradewind.ports.executor import Executor
from tradewind.ports.metastore import Metastore
from tradewind.ports.wakeup import Wakeup
from tradewind.runtime.clock import SystemClock
from tradewind.scheduler.engine import Engine
from tradewind.scheduler.leadership import Leadership
from tradewind.scheduler.loop import Scheduler
from tradewind.scheduler.maintenance import Maintenance

__all__ = ["Parts", "downgrade", "migrate", "prepare_home", "run_dag_processor", "run_scheduler", "stop_pipe"]

Ready = Callable[[], None]


def prepare_home(settings: Settings) -> None:
    """Make the folders an installation needs; ``ConfigError`` names the one that cannot be made."""
    for folder in (settings.home_path, settings.run_path, settings.dags_path, settings.logs_path):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"Cannot make the folder {folder}: {error.strerror}. Make its parent writable, or set TRADEWIND_HOME"
                " to a folder that is."
            ) from None
    with contextlib.suppress(OSError):
        settings.run_path.chmod(0o700)


class Parts:
    """What commands and daemons need, each made when first asked for and all closed together."""

    def __init__(self, settings: Settings, *, listen: bool = False) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self._listen = listen
        self._store: Metastore | None = None
        self._wakeup: Wakeup | None = None
        self._registry: Registry | None = None
        self._secrets: SecretsStore | None = None

    @property
    def wakeup(self) -> Wakeup:
        """The hint channel: sends, and with ``listen`` also hears."""
        if self._wakeup is None:
            name = f"scheduler-{os.getpid()}" if self._listen else None
            self._wakeup = wakeup_for(self.settings.metastore_url, self.settings.run_path, name)
        return self._wakeup

    @property
    def store(self) -> Metastore:
        """The metastore, its schema checked."""
        if self._store is None:
            self._store = connect(self.settings.metastore_url, wakeup=self.wakeup)
        return self._store

    @property
    def registry(self) -> Registry:
        """All plugins."""
        if self._registry is None:
            self._registry = load_registry(
                self.settings.plugins_path, disabled=self.settings.plugins.disabled
            )
        return self._registry

    @property
    def secrets(self) -> SecretsStore:
        """Connections and variables."""
        if self._secrets is None:
            self._secrets = self.secrets_on(self.store)
        return self._secrets

    def secrets_on(self, store: Metastore) -> SecretsStore:
        """Return the connections and variables of one store."""
        keys = open_keys(self.settings.key_path, anything_stored=anything_stored(store))
        backends = [(name, factory(self.settings)) for name, factory in self.registry.secrets_backends()]
        types = {kind.name: kind for kind in self.registry.connection_types()}
        return SecretsStore(store, keys, backends, types=types)

    def data_service(self) -> DataService:
        """Return what answers task processes."""

        def trigger(
            dag_id: str,
            *,
            run_id: str | None,
            logical_date: datetime | None,
            conf: dict[str, Any],
            note: str,
            actor: str,
        ) -> tuple[RunRow, bool]:
            return trigger_run(
                self.store,
                dag_id,
                now=self.clock.now(),
                actor=actor,
                run_id=run_id,
                logical_date=logical_date,
                conf=conf,
                note=note,
                run_type=RunType.DAG,
            )

        return DataService(self.store, self.secrets, trigger)

    def executors(self) -> dict[str, Executor]:
        """Return the executors that the settings name, by name."""
        names = {self.settings.executor.default, "local"}
        return {name: self.registry.executor_factory(name)(self.settings) for name in sorted(names)}

    def close(self) -> None:
        """Release connections and channels."""
        if self._store is not None:
            self._store.close()
        if self._wakeup is not None:
            self._wakeup.close()


def log_line(part: str) -> Callable[[str], None]:
    """Return a function that writes one line about ``part`` to stderr."""
    clock = SystemClock()

    def log(text: str) -> None:
        stamp = clock.now().strftime("%Y-%m-%d %H:%M:%S")
        print(f"{stamp} {part}: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the daemon's own log

    return log


@contextlib.contextmanager
def stop_pipe(on_stop: Callable[[], None]) -> Iterator[int]:
    """Call ``on_stop`` on SIGTERM and SIGINT; yield a descriptor that then becomes readable."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def handle(_number: int, _frame: object) -> None:
        on_stop()
        with contextlib.suppress(BlockingIOError):
            os.write(writing, b"x")

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield reading
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def run_scheduler(
    settings: Settings, *, ready: Ready | None = None, name: str | None = None, end_workers: bool = False
) -> None:
    """Be a scheduler until SIGTERM or SIGINT: leader, or standby while another leads.

    The workers it started go on without it, unless ``end_workers`` says that they end with it.
    """
    prepare_home(settings)
    parts = Parts(settings, listen=True)
    holder = name or f"{socket.gethostname()}:{os.getpid()}"
    log = log_line("scheduler")
    leadership = Leadership(
        parts.store,
        parts.clock,
        shard=settings.scheduler.shard,
        holder=holder,
        lease_seconds=settings.scheduler.term_seconds,
    )
    executors = parts.executors()
    beat = _Beat(parts, holder, executors)
    scheduler = Scheduler(
        parts.store,
        executors,
        parts.clock,
        leadership,
        lambda held: _make_engine(parts, executors, held, log, beat),
        wakeup=parts.wakeup,
        poll_seconds=settings.scheduler.poll_seconds,
        beat=beat,
        log=log,
        maintenance=_maintenance(parts, log),
        ready=ready,
        end_workers=end_workers,
    )
    try:
        with stop_pipe(scheduler.stop) as fileno:
            scheduler.run(fileno)
        parts.store.forget_component(f"scheduler:{holder}")
    finally:
        parts.close()


def _make_engine(
    parts: Parts,
    executors: Mapping[str, Executor],
    leadership: Leadership,
    log: Callable[[str], None],
    beat: _Beat,
) -> Engine:
    term = leadership.term
    assert term is not None, "an engine is made for a leader"
    registry = parts.registry

    def on_commit(decision: Decision) -> None:
        beat.renew()
        if registry.observes():
            registry.observe(decision.batch.events, at=parts.clock.now())

    return Engine(
        parts.store,
        executors,
        parts.data_service(),
        term,
        default_executor=parts.settings.executor.default,
        on_trouble=lambda what, error: log(f"{what}: {type(error).__name__}: {error}"),
        on_commit=on_commit,
        timetables=registry.timetables(),
        grace_seconds=parts.settings.executor.grace_seconds,
    )


class _Beat:
    """Tells the others that this scheduler is alive and, while it leads, what its executors can take."""

    def __init__(self, parts: Parts, holder: str, executors: Mapping[str, Executor]) -> None:
        self._parts = parts
        self._name = f"scheduler:{holder}"
        self._executors = executors
        self._told: dict[str, Any] = {}

    def __call__(self, *, leads: bool) -> None:
        """Beat now. The executors of a standby are closed; `why` wants to know those of the leader."""
        self._told = self._capacity() if leads else {}
        data = {"leads": leads, "executors": self._told}
        self._parts.store.beat_component(self._name, "scheduler", socket.gethostname(), os.getpid(), data)

    def renew(self) -> None:
        """Beat if the executors can take more or less than was told: explanations must not be five seconds old."""
        if self._told and self._capacity() != self._told:
            with contextlib.suppress(MetastoreUnavailableError):  # the next beat tells it
                self(leads=True)

    def _capacity(self) -> dict[str, Any]:
        return {name: msgspec.structs.asdict(one.capacity()) for name, one in self._executors.items()}


def _maintenance(parts: Parts, log: Callable[[str], None]) -> Maintenance | None:
    settings = parts.settings.scheduler
    if settings.keep_days is None:
        return None
    return Maintenance(
        parts.store, keep=timedelta(days=settings.keep_days), keep_last=settings.keep_last_runs, log=log
    )


def run_dag_processor(settings: Settings, *, ready: Ready | None = None) -> None:
    """Read the DAG folder until SIGTERM or SIGINT."""
    from tradewind.dagbag import processor

    prepare_home(settings)
    parts = Parts(settings)
    stopping: list[bool] = []
    try:
        with stop_pipe(lambda: stopping.append(True)) as fileno:
            processor.run(
                parts.store,
                settings,
                parts.registry,
                stop=lambda: bool(stopping),
                stop_fileno=fileno,
                clock=parts.clock,
                log=log_line("dag-processor"),
                ready=ready,
            )
    finally:
        parts.close()
