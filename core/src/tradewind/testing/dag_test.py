"""Run a DAG once in this process, without server and database: the same decisions, on a clock that can jump."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from tradewind.authoring.compile import compile_dag
from tradewind.domain.actions import create_run
from tradewind.domain.decide import Dispatch, decide
from tradewind.domain.graph import Graph
from tradewind.domain.records import Batch, DagRow, InstanceRow, PoolRow, RunRow, RunSnapshot
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import TERMINAL_RUN_STATES, RunState
from tradewind.domain.world import World
from tradewind.executors.inline import InlineExecutor
from tradewind.ports.clock import Clock
from tradewind.runtime.attempt_context import build_context, lengths_by_name, mapped_over
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.task.local_data import LocalData, LocalStore
from tradewind.runtime.task.values import Types
from tradewind.testing.dag_result import DagTestResult
from tradewind.testing.environment import connection_from_environment, variable_from_environment

RUN_PK = 1
VERSION_ID = 1
SLOTS = 1_000_000  # no pool and no limit of an installation stands in the way of a test
STALLS_MAX = 1_000  # decisions in a row that neither start nor end anything: a loop, not a wait
WORKER = "this process"

_log = logging.getLogger("tradewind.test")


class VirtualClock:
    """A clock that runs as the real one does and can be moved forward."""

    def __init__(self, real: Clock) -> None:
        self._real = real
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the virtual time."""
        return self._real.now() + self._ahead

    def monotonic(self) -> float:
        """Return virtual seconds that never go backwards."""
        return self._real.monotonic() + self._ahead.total_seconds()

    def wait(self, seconds: float) -> None:
        """Let virtual seconds pass at once."""
        self._ahead += timedelta(seconds=max(0.0, seconds))

    def wait_until(self, at: datetime) -> None:
        """Let the time until ``at`` pass at once."""
        self.wait((at - self.now()).total_seconds())


class RealClock(SystemClock):
    """The system's clock; waits really wait."""

    def wait(self, seconds: float) -> None:
        """Let real seconds pass."""
        threading.Event().wait(max(0.0, seconds))

    def wait_until(self, at: datetime) -> None:
        """Wait until ``at``."""
        self.wait((at - self.now()).total_seconds())


def run_dag(
    dag: Any,
    *,
    at: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    clock: Literal["virtual", "real"] | VirtualClock | RealClock = "virtual",
    quiet: bool = False,
) -> DagTestResult:
    """Run ``dag`` once and return how it went; tasks are executed one by one in this process.

    ``at`` is the logical date (default: now; without zone: UTC). With the virtual clock retries and waits pass at
    once. Connections come from ``TRADEWIND_CONN_<ID>``, variables from ``TRADEWIND_VAR_<KEY>``. The tasks' log goes to
    standard error unless ``quiet``. Other DAGs are not run: triggering one and waiting for one are taken as done.
    Raises what ``compile_dag`` raises, and ``ParamError`` when ``conf`` breaks the DAG's params.
    """
    if isinstance(clock, str):
        clock = VirtualClock(SystemClock()) if clock == "virtual" else RealClock()
    logical = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    trial = _Trial(dag, clock)
    with _logging(quiet=quiet):
        trial.start(logical, conf)
        trial.run()
    return trial.result()


class _Trial:
    """One run: the world that decides, the rows it wrote, and the executor that does."""

    def __init__(self, dag: Any, clock: VirtualClock | RealClock) -> None:
        self.dag = dag
        self.spec, _hash = compile_dag(dag)
        self.clock = clock
        self.executor = InlineExecutor(clock, clock.wait)
        self.world = World(default_executor="inline")
        self.graph = Graph(self.spec)
        self.tasks = {task.task_id: task for task in self.spec.tasks}
        self.run_row: RunRow | None = None
        self.rows: dict[int, InstanceRow] = {}
        self.ids: dict[str, set[int]] = {}  # of each task's rows
        self.waiting: deque[Dispatch] = deque()
        self.store = LocalStore(
            connection=connection_from_environment,
            variable=variable_from_environment,
            trigger=self._trigger,
            run_state=self._run_state,
        )

    # ---- the loop ---------------------------------------------------------------------------------------

    def start(self, logical_date: datetime | None, conf: Mapping[str, Any] | None) -> None:
        """Queue the run."""
        now = self.clock.now()
        row = DagRow(
            dag_id=self.spec.dag_id,
            file=self.spec.file,
            version_id=VERSION_ID,
            version_number=1,
            first_seen_at=now,
            paused=True,  # its schedule makes no runs here
        )
        self.world.put_dag(row, self.graph)
        pools = {"default", *(task.pool for task in self.spec.tasks)}
        self.world.set_pools(PoolRow(name=pool, slots=SLOTS) for pool in sorted(pools))
        for executor in sorted({"inline", *(task.executor or "inline" for task in self.spec.tasks)}):
            self.world.set_capacity(executor, SLOTS, 1)
        batch = create_run(
            row,
            self.spec,
            pk=RUN_PK,
            now=now,
            actor="test",
            logical_date=logical_date or now.replace(microsecond=0),
            conf=conf,
        )
        self._apply(batch)
        assert self.run_row is not None, "a batch that creates a run has its row"
        self.world.load_run(RunSnapshot(run=self.run_row, instances=()))

    def run(self) -> None:
        """Decide and do until the run has ended."""
        stalls = 0
        while not self.ended:
            wake_at = self._decide()
            if self.waiting:
                stalls = 0
                self._attempt(self.waiting.popleft())
            elif self.ended:
                return
            else:
                stalls += 1
                if wake_at is None or stalls > STALLS_MAX:
                    raise RuntimeError(
                        f"the run of DAG {self.spec.dag_id!r} stands still: {self._unfinished()}"
                    )
                self.clock.wait_until(wake_at)

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.run_row is not None and self.run_row.state in TERMINAL_RUN_STATES

    def _decide(self) -> datetime | None:
        decision = decide(self.world, self.clock.now())
        self._apply(decision.batch)
        self.waiting += decision.dispatches
        for run_pk in decision.need_previous:
            self.world.set_previous(run_pk, None)
        return decision.wake_at

    def _attempt(self, dispatch: Dispatch) -> None:
        claimed = self.world.claim(
            dispatch.instance_id, dispatch.token, WORKER, str(dispatch.token), self.clock.now()
        )
        if not claimed.granted:
            return
        self._decide()  # the claim is written, and the last try's XComs are gone, before user code runs
        row = self.rows[dispatch.instance_id]
        data = LocalData(self.store, row.task_id, row.map_index)
        with _named(row):
            report = self.executor.run(self.dag, self._context(row), data)
        self.world.report(report, self.clock.now())

    def _context(self, row: InstanceRow) -> Any:
        assert self.run_row is not None, "an attempt belongs to a run"
        task = self.tasks[row.task_id]
        wanted = mapped_over(self.spec, task)
        return build_context(
            self.run_row,
            row,
            self.spec,
            task,
            source=(self.spec.file, ""),
            lengths=lengths_by_name(self.rows[one] for name in wanted for one in self.ids.get(name, ())),
            previous_success=None,
        )

    def _apply(self, batch: Batch) -> None:
        for write in batch.runs:
            self.run_row = write.row
        for removed, _guard in batch.removed:
            gone = self.rows.pop(removed, None)
            if gone is not None:
                self.ids[gone.task_id].discard(removed)
        for instance in batch.instances:
            self.rows[instance.row.id] = instance.row
            self.ids.setdefault(instance.row.task_id, set()).add(instance.row.id)
        for _pk, task_id, index in batch.xcoms_cleared:
            self.store.clear(task_id, index)
        for xcom in batch.xcoms:
            self.store.put(xcom.task_id, xcom.map_index, {xcom.key: xcom.value})

    def _unfinished(self) -> str:
        return ", ".join(f"{row.task_id} is {row.state}" for row in self.rows.values()) or "it has no tasks"

    # ---- other DAGs -------------------------------------------------------------------------------------

    def _trigger(self, asked: dict[str, Any]) -> dict[str, Any]:
        run_id = asked.get("run_id") or f"dag__{self.clock.now().isoformat()}"
        _log.warning(
            'a test starts no other runs: DAG "%s" is taken as triggered (%s)', asked["dag_id"], run_id
        )
        return {"run_id": run_id, "created": True}

    def _run_state(self, asked: dict[str, Any]) -> dict[str, Any]:
        _log.warning('a test knows no other runs: that of DAG "%s" is taken as a success', asked["dag_id"])
        return {"state": str(RunState.SUCCESS), "tasks": _Successes()}

    # ---- the result -------------------------------------------------------------------------------------

    def result(self) -> DagTestResult:
        """Return what happened."""
        assert self.run_row is not None, "a run was started"
        folder = Path(self.dag.file).parent if self.dag.file else None
        return DagTestResult(
            run=self.run_row,
            rows=_in_order(self.spec, self.rows.values()),
            spec=self.spec,
            pushed=self.store.xcoms,
            types=Types(folder=folder),
        )


class _Successes(dict[str, list[str]]):
    """Every task one asks for has succeeded."""

    def __missing__(self, task_id: str) -> list[str]:
        return ["success"]

    def __contains__(self, task_id: object) -> bool:
        return True

    def get(self, key: str, default: Any = None) -> Any:
        return self[key]


def _in_order(spec: DagSpec, rows: Any) -> tuple[InstanceRow, ...]:
    place = {task.task_id: number for number, task in enumerate(spec.tasks)}
    return tuple(sorted(rows, key=lambda row: (place[row.task_id], row.map_index)))


class _Name(logging.Filter):
    """Puts the running task before each line."""

    def __init__(self) -> None:
        super().__init__()
        self.task = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.task = self.task
        return True


_FORMAT = "%(levelname)-7s %(task)s%(message)s"


@contextmanager
def _logging(*, quiet: bool) -> Iterator[None]:
    """Send the tasks' log to standard error while the block runs."""
    if quiet:
        yield
        return
    root = logging.getLogger()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT, defaults={"task": ""}))
    handler.addFilter(_Name())
    level = root.level
    root.addHandler(handler)
    if root.getEffectiveLevel() > logging.INFO:
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextmanager
def _named(row: InstanceRow) -> Iterator[None]:
    """Name the running task in the log lines of the block."""
    index = f"[{'.'.join(map(str, row.map_index))}]" if row.map_index else ""
    again = f" try {row.try_number}" if row.try_number > 1 else ""
    names = [
        one for handler in logging.getLogger().handlers for one in handler.filters if isinstance(one, _Name)
    ]
    for name in names:
        name.task = f"[{row.task_id}{index}{again}] "
    try:
        yield
    finally:
        for name in names:
            name.task = ""
