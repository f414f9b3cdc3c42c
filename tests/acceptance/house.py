"""An installation in a temporary home with its real processes; nothing of it outlives the test."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.bootstrap import Parts, migrate, prepare_home
from tradewind.config import load_settings
from tradewind.domain.records import AttemptRow, MapIndex, RunSnapshot
from tradewind.ports.metastore import Metastore
from tradewind.runtime import processes

REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "tradewind")
SECONDS_MAX = 60.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.out)

    def message(self) -> str:
        """Return the one message of a command that ended with 1 or 2; a traceback is no message."""
        assert self.code in {1, 2}, self
        assert "Traceback" not in self.err, self.err
        assert self.out == "", self
        lines = self.err.strip().splitlines()
        assert sum("Error" in line for line in lines) == 1, self.err
        return self.err.strip()


class House:
    """A home folder, a database, and processes on them. ``url`` empty: SQLite in the home."""

    def __init__(self, home: Path, url: str = "", settings: str = "") -> None:
        self.home = home
        self._started: list[subprocess.Popen[bytes]] = []
        self._parts: Parts | None = None
        (home / "dags").mkdir(parents=True)
        lines = f'[metastore]\nurl = "{url}"\n' if url else ""
        (home / "tradewind.toml").write_text(lines + settings, encoding="utf-8")

    # ---- files

    def write(self, name: str, text: str) -> None:
        """Put a DAG file into the folder, whole or not at all."""
        part = self.home / "dags" / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(self.home / "dags" / f"{name}.py")

    def copy_example(self, name: str) -> None:
        """Take an example of the repository with its data."""
        shutil.copy(REPOSITORY / "dags" / f"{name}.py", self.home / "dags")
        if not (self.home / "dags" / "data").exists():
            shutil.copytree(REPOSITORY / "dags" / "data", self.home / "dags" / "data")

    def log(self, name: str) -> str:
        """Return what a started process has written; the worker's log is called ``worker``."""
        path = self.home / "run" / "worker-local.log" if name == "worker" else self.home / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def logs(self) -> str:
        """Return what all of them have written."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.home.glob("**/*.log")))

    # ---- the database

    @property
    def store(self) -> Metastore:
        """The metastore, opened by this process."""
        if self._parts is None:
            self._parts = Parts(load_settings({}, self.home))
        return self._parts.store

    def create(self) -> None:
        """Make the database, as the first start would."""
        settings = load_settings({}, self.home)
        prepare_home(settings)
        migrate(settings.metastore_url)

    def snapshot(self, dag_id: str, run_id: str) -> RunSnapshot:
        run = self.store.find_run(dag_id, run_id)
        assert run is not None, f"there is no run {run_id}"
        found = self.store.run(run.pk)
        assert found is not None
        return found

    def state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state; "absent" when there is no such run."""
        run = self.store.find_run(dag_id, run_id)
        return run.state.value if run is not None else "absent"

    def task_states(self, dag_id: str, run_id: str) -> dict[str, int]:
        """Return how many instances are in which state."""
        return Counter(row.state.value for row in self.snapshot(dag_id, run_id).instances)

    def attempts(self, dag_id: str, run_id: str) -> dict[tuple[str, MapIndex], list[AttemptRow]]:
        """Return every archived attempt of a run, by task instance."""
        return {
            (row.task_id, row.map_index): self.store.attempts(row.id)
            for row in self.snapshot(dag_id, run_id).instances
        }

    def knows(self, *dag_ids: str) -> bool:
        """Say whether the DAG files were read."""
        return set(dag_ids) <= {dag.dag_id for dag in self.store.dags()}

    # ---- commands

    @property
    def environment(self) -> dict[str, str]:
        keep = {name: text for name, text in os.environ.items() if not name.startswith("TRADEWIND")}
        ledger = str(self.home / "ledger.txt")
        return {**keep, "TRADEWIND_HOME": str(self.home), "NO_COLOR": "1", "SEATTLE_WEATHER_LEDGER": ledger}

    def popen(self, *arguments: str, more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command whose answer is wanted later: see :func:`answer`."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**self.environment, **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=functools.partial(processes.die_with_parent, os.getpid()),  # noqa: PLW1509 - the same
        )
        self._started.append(process)  # type: ignore[arg-type]
        return process

    def run(
        self, *arguments: str, more: Mapping[str, str] | None = None, seconds: float = SECONDS_MAX
    ) -> Answer:
        """Call a command and wait for it."""
        return answer(self.popen(*arguments, more=more), seconds)

    def json(self, *arguments: str, seconds: float = SECONDS_MAX) -> Any:
        """Call a command that succeeds; return what it says to programs."""
        return self.run(*arguments, "-o", "json", seconds=seconds).json()

    def trigger(self, dag_id: str, run_id: str, *more: str) -> None:
        """Start a run."""
        self.json("dags", "trigger", dag_id, "--run-id", run_id, *more)

    def why(self, dag_id: str, run_id: str, task_id: str, *more: str) -> list[dict[str, Any]]:
        """Return the reasons of the one instance of a task."""
        (told,) = self.json("tasks", "why", dag_id, run_id, task_id, *more)
        reasons: list[dict[str, Any]] = told["reasons"]
        return reasons

    # ---- processes

    def start(
        self, *arguments: str, name: str, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a part in the background; what it writes is ``log(name)``."""
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, *arguments],
                env={**self.environment, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=functools.partial(processes.die_with_parent, os.getpid()),  # noqa: PLW1509 - a test run that is killed leaves nobody
            )
        self._started.append(process)
        return process

    def standalone(self) -> subprocess.Popen[bytes]:
        """Start everything and wait until it is ready."""
        before = self.log("standalone").count("is ready")
        process = self.start("standalone", name="standalone")
        self.until(lambda: self.log("standalone").count("is ready") > before, "standalone", alive=process)
        return process

    def dag_processor(self, *dag_ids: str) -> subprocess.Popen[bytes]:
        """Start a DAG processor and wait until it has read these DAGs."""
        process = self.start("dag-processor", name="dag-processor")
        self.until(lambda: self.knows(*dag_ids), "the DAGs", alive=process)
        return process

    def scheduler(self, name: str, *, leads: bool = True) -> subprocess.Popen[bytes]:
        """Start a scheduler and wait until it leads, or stands by."""
        process = self.start("scheduler", "--name", name, name=name)

        def stands() -> bool:
            said = {row[0]: row[5]["leads"] for row in self.store.components() if row[1] == "scheduler"}
            return said.get(f"scheduler:{name}") is leads

        self.until(stands, f"scheduler {name}", alive=process)
        return process

    def until(
        self,
        met: Callable[[], object],
        what: str,
        seconds: float = SECONDS_MAX,
        alive: subprocess.Popen[bytes] | None = None,
    ) -> None:
        """Wait for something to be so; fail with all logs when it takes too long, or when ``alive`` is not."""
        deadline = time.monotonic() + seconds
        while not met():
            assert alive is None or alive.poll() is None, f"ended while waiting for {what}\n{self.logs()}"
            assert time.monotonic() < deadline, f"no {what} within {seconds} s\n{self.logs()}"
            select.select([], [], [], LOOK_SECONDS)

    def ends(self, dag_id: str, run_id: str, seconds: float = SECONDS_MAX) -> str:
        """Wait for a run's end and return its state."""
        terminal = {"success", "failed", "cancelled"}
        self.until(lambda: self.state(dag_id, run_id) in terminal, f"end of {dag_id}/{run_id}", seconds)
        return self.state(dag_id, run_id)

    def worker_pid(self) -> int:
        """Return the worker's process id, 0 when there is none."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.home / "run" / "worker-local.lock").read_text())
            if pid in processes.holders_of(str(self.home / "run" / "worker-local.lock")):
                return pid
        return 0

    def pids(self, title: str, below: int | None = None) -> list[int]:
        """Return the processes of this installation whose title begins so."""
        roots = [below] if below is not None else [p.pid for p in self._started if p.poll() is None]
        if below is None and (worker := self.worker_pid()):
            roots.append(worker)
        found = {pid for root in roots for pid in (root, *processes.descendants_of(root))}
        return sorted(pid for pid in found if _title(pid).startswith(title))

    def pid(self, title: str) -> int:
        """Wait for exactly one process with that title, and return it."""
        self.until(lambda: len(self.pids(title)) == 1, f"one {title}")
        return self.pids(title)[0]

    def strays(self) -> list[str]:
        """Return the titles of all processes that still belong to this home, whoever is their parent."""
        return sorted(_title(pid) for pid in self._all_pids())

    def _all_pids(self) -> set[int]:
        found = {
            pid
            for p in self._started
            if p.poll() is None
            for pid in (p.pid, *processes.descendants_of(p.pid))
        }
        for pattern in ("worker-*.lock", "worker-*.alive", "standalone.lock"):
            for path in (self.home / "run").glob(pattern):
                for pid in processes.holders_of(str(path)):
                    found |= {pid, *processes.descendants_of(pid)}
        found |= {pid for pid, _attempt in processes.marked_processes(f"local@{self.home}#")}
        return {pid for pid in found if _title(pid) and pid != os.getpid()}

    def close(self) -> None:
        """End everything, whatever state it is in."""
        if self._parts is not None:
            self._parts.close()
        for _round in range(20):  # what is killed last may have started something first
            pids = self._all_pids()
            if not pids:
                break
            for pid in pids:
                processes.send_signal(pid, signal.SIGSTOP)
            for pid in pids:
                processes.send_signal(pid, signal.SIGKILL)
            self.until(lambda: not any(map(_title, pids)), "end of what was killed", 10)  # noqa: B023 - called here
        for process in self._started:
            process.wait(10)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def answer(process: subprocess.Popen[str], seconds: float = SECONDS_MAX) -> Answer:
    """Wait for a command that was started with :meth:`House.popen`."""
    out, err = process.communicate(timeout=seconds)
    return Answer(process.returncode, out, err)


def kinds(reasons: Sequence[Mapping[str, Any]]) -> list[str]:
    return [reason["kind"] for reason in reasons]


def _title(pid: int) -> str:
    """Return a process' command line; empty when it is gone or only waits to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
        if state in b"ZX":
            return ""
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
