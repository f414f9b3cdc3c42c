"""A scheduler's half of the runtime, small enough to see through: grants claims, accepts outcomes, keeps notes."""

from __future__ import annotations

import hashlib
import os
import select
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tradewind.executors.local import LocalExecutor
from tradewind.ports.executor import ApiCall, Gone, Launched
from tradewind.ports.runtime_api import (
    Beat,
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataReply,
    DataRequest,
    Launch,
    OutcomeReport,
    ReportReply,
    TaskContext,
)
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.logs import FileLogStore, log_key
from tradewind.runtime.supervisor.options import WorkerOptions
from tradewind.runtime.wire import Replies, encode_replies

DEADLINE_SECONDS = 20.0
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

Key = tuple[int, int]


class House:
    """A home folder with an executor, its worker and a scheduler that says yes."""

    def __init__(self, home: Path, *, start: bool = True, **options: Any) -> None:
        self.home = home
        self.dags = home / "dags"
        self.dags.mkdir(parents=True, exist_ok=True)
        options.setdefault("engine", "tests.runtime.stub_engine")
        self.options = WorkerOptions(home=str(home), **options)
        self.environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.contexts: dict[Key, TaskContext] = {}
        self.refused: dict[Key, str] = {}
        self.stops: dict[Key, str] = {}
        self.outcomes: dict[Key, OutcomeReport] = {}
        self.claimants: dict[Key, set[str]] = {}
        self.reports: Counter[Key] = Counter()
        self.launched: list[Key] = []
        self.gone: dict[Key, str] = {}
        self.questions: list[DataRequest] = []
        self.answers: Callable[[DataRequest], DataReply] = lambda _request: DataReply()
        self.mute = False  # polls, but answers nothing
        self.mute_beats = False
        self.beats = 0
        self.calls = 0
        self._ids = 0
        if start:
            self.executor = self.open()

    def open(self) -> LocalExecutor:
        """Start the next scheduler's executor."""
        executor = LocalExecutor(self.options, clock=SystemClock(), environment=self.environment)
        executor.start()
        return executor

    # ---- what a test does

    def file(self, text: str, name: str = "flow.py") -> str:
        """Write a DAG file; return its hash."""
        path = self.dags / name
        path.write_text(text)
        return hashlib.sha256(text.encode()).hexdigest()

    def launch(self, task: str, sha: str, *, file: str = "flow.py", **context: Any) -> Launch:
        """Make a launch that will be granted."""
        self._ids += 1
        common: dict[str, Any] = {
            "instance_id": self._ids,
            "token": 1,
            "dag_id": "flow",
            "run_id": "manual__1",
            "task_id": task,
            "version_id": 1,
            "file": file,
            "source_sha": sha,
        }
        launch = Launch(**common, map_index=context.get("map_index", ()))
        self.contexts[launch.instance_id, launch.token] = TaskContext(
            **common,
            run_pk=1,
            run_type="manual",
            logical_date=NOON,
            run_after=NOON,
            interval_start=NOON,
            interval_end=NOON,
            **context,
        )
        return launch

    def run(self, task: str, sha: str, **more: Any) -> OutcomeReport:
        """Launch one and wait for its outcome."""
        launch = self.launch(task, sha, **more)
        self.executor.dispatch([launch])
        return self.outcome_of(launch)

    def outcome_of(self, launch: Launch) -> OutcomeReport:
        """Wait for an outcome."""
        key = (launch.instance_id, launch.token)
        self.until(lambda: key in self.outcomes, f"the outcome of {launch.task_id}")
        return self.outcomes[key]

    def until(self, done: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Be the scheduler until ``done()``; fail after the deadline."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"Waited {seconds:g} s for {what}.\n{self.worker_log()}")
            self.turn(0.02)

    def turn(self, timeout: float) -> None:
        """Do one turn of the scheduler's loop."""
        select.select(list(self.executor.filenos()), [], [], timeout)
        for signal in self.executor.poll():
            if isinstance(signal, ApiCall):
                self._answer(signal)
            elif isinstance(signal, Launched):
                self.launched.append((signal.instance_id, signal.token))
            elif isinstance(signal, Gone):
                self.gone[signal.instance_id, signal.token] = signal.reason

    def restart_scheduler(self) -> None:
        """Let a new process take over from one that is gone."""
        self.executor.stop(kill_workers=False)
        self.executor = self.open()

    def close(self) -> None:
        """End everything."""
        self.executor.stop(kill_workers=True)

    def log(self, launch: Launch) -> list[dict[str, Any]]:
        """Return the attempt's log lines."""
        import msgspec

        key = log_key(launch.dag_id, launch.run_id, launch.task_id, launch.map_index, launch.token)
        data = FileLogStore(self.options.logs_path).read(key, 0, 1 << 30)
        return [msgspec.json.decode(line) for line in data.splitlines()]

    def messages(self, launch: Launch) -> list[str]:
        """Return the texts of the attempt's log."""
        return [line["message"] for line in self.log(launch)]

    def worker_log(self) -> str:
        """Return what the worker itself said."""
        path = self.options.run_path / f"worker-{self.options.name}.log"
        return path.read_text() if path.exists() else "(no worker log)"

    def worker_pid(self) -> int:
        """Return the connected worker's process id."""
        self.until(lambda: self.executor.capacity().workers > 0, "a worker")
        (worker,) = (w for w in self.executor._workers.values() if w.main is not None)
        return worker.hello.pid

    # ---- the scheduler's answers

    def _answer(self, call: ApiCall) -> None:
        self.calls += 1
        if self.mute or (self.mute_beats and call.beats):
            return
        self.beats += bool(call.beats)
        replies = Replies(
            claims=tuple(self._claim(request) for request in call.claims),
            beats=tuple(self._beat(beat) for beat in call.beats),
            reports=tuple(self._report(report) for report in call.reports),
            data=self._data(call.data),
        )
        self.executor.reply(call.channel, call.sequence, encode_replies(replies))

    def _claim(self, request: ClaimRequest) -> ClaimReply:
        key = (request.instance_id, request.token)
        self.claimants.setdefault(key, set()).add(request.claimant)
        if key in self.refused or len(self.claimants[key]) > 1 or key in self.outcomes:
            return ClaimReply(instance_id=key[0], token=key[1], refused=self.refused.get(key, "taken"))
        return ClaimReply(instance_id=key[0], token=key[1], context=self.contexts[key])

    def _beat(self, beat: Beat) -> BeatReply:
        return BeatReply(
            instance_id=beat.instance_id,
            token=beat.token,
            stop=self.stops.get((beat.instance_id, beat.token)),
        )

    def _report(self, report: OutcomeReport) -> ReportReply:
        key = (report.instance_id, report.token)
        self.reports[key] += 1
        self.outcomes.setdefault(key, report)
        return ReportReply(instance_id=key[0], token=key[1], verdict="accepted")

    def _data(self, request: DataRequest | None) -> DataReply | None:
        if request is None:
            return None
        self.questions.append(request)
        return self.answers(request)
