"""An installation of its own for a benchmark: a home folder, its processes, and the use cases that a person has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from tests.performance.processes import tree
from tradewind.api.usecases import acts
from tradewind.bootstrap import Parts, migrate, prepare_home
from tradewind.config import load_settings
from tradewind.domain.records import RunRow
from tradewind.domain.states import RunState

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.05  # between two looks at a row: rare enough to disturb nothing
ACTOR = "cli:bench"


class Installation:
    """A home with DAG files; ``parts`` is this process' own way to its database."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = load_settings({}, home)
        self.parts = Parts(self.settings)
        self.clock = self.parts.clock
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, files: Mapping[str, str]) -> None:
        """Write DAG files, each whole or not at all."""
        for name, text in files.items():
            path = self.settings.dags_path / f"{name}.py"
            part = path.with_suffix(".part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)

    # ---- processes

    @contextmanager
    def running(self, *command: str) -> Iterator[int]:
        """Run the whole thing (or another command) around the block; yields the process id of its root."""
        arguments = command or (sys.executable, "-m", "tradewind", "standalone")
        with (self.home / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(arguments, env=self.environment(), stdout=log, stderr=log)
        try:
            self.wait_for("a leader", lambda: self.parts.store.leader("main") is not None)
            yield self._process.pid
        finally:
            below = tree(self._process.pid)
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None
            for pid in below:  # all gone by now, unless the installation has a bug
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def environment(self) -> dict[str, str]:
        """Return the environment of this installation's processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRADEWIND")}
        return {**kept, "TRADEWIND_HOME": str(self.home)}

    # ---- use cases

    def trigger(self, dag_id: str) -> RunRow:
        """Start a run as the command line does."""
        row, _created = acts.trigger(self.parts.store, dag_id, acts.By(ACTOR, self.clock.now()))
        return row

    def know(self, *dag_ids: str) -> None:
        """Wait until the DAGs are known."""
        store = self.parts.store
        self.wait_for(f"DAGs {dag_ids[:3]}", lambda: all(store.dag_row(dag_id) for dag_id in dag_ids))

    def ended(self, *runs: RunRow) -> list[RunRow]:
        """Wait until the runs have ended, and return them; one that failed is an error."""
        store = self.parts.store
        left = {run.pk for run in runs}
        rows: dict[int, RunRow] = {}

        def look() -> bool:
            for pk in list(left):
                row = store.run_row(pk)
                if row is not None and row.state in {RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED}:
                    rows[pk] = row
                    left.discard(pk)
                else:
                    return False
            return not left

        self.wait_for("runs to end", look)
        failed = [row for row in rows.values() if row.state is not RunState.SUCCESS]
        if failed:
            raise RuntimeError(
                f"{failed[0].dag_id}/{failed[0].run_id} ended as {failed[0].state}. {self.log_text()}"
            )
        return [rows[run.pk] for run in runs]

    def wait_for(self, what: str, holds: Callable[[], object]) -> None:
        """Look again and again until something holds; raises when it takes too long or the processes have ended."""
        until = monotonic() + PATIENCE_SECONDS
        pause = threading.Event()
        while not holds():
            if monotonic() > until:
                raise TimeoutError(f"Waited {PATIENCE_SECONDS:g} s in vain for {what}. {self.log_text()}")
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"The installation ended while waiting for {what}. {self.log_text()}")
            pause.wait(LOOK_SECONDS)

    def log_text(self) -> str:
        """Return the end of what its processes said."""
        path = self.home / "log.txt"
        return "Its log ends:\n" + path.read_text(encoding="utf-8")[-3000:] if path.exists() else ""


@contextmanager
def installed(folder: Path, files: Mapping[str, str]) -> Iterator[Installation]:
    """Make an installation with these DAG files for the block."""
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    try:
        settings = load_settings({}, home)
        prepare_home(settings)
        migrate(settings.metastore_url)
        made = Installation(home)
        made.write(files)
        yield made
        made.parts.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def settle(seconds: float) -> None:
    """Let an installation come to rest."""
    threading.Event().wait(seconds)
