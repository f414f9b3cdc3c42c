"""A temporary installation, and the command line called in this process or as a program."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tradewind.authoring.compile import compile_dag
from tradewind.authoring.registry import collecting
from tradewind.bootstrap import Parts, migrate, prepare_home
from tradewind.cli.main import main
from tradewind.config import load_settings

READY_SECONDS = 30.0
TURN_SECONDS = 0.05


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class House:
    """A home folder with DAG files."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str] | None = None) -> None:
        self.home = home
        self._capsys = capsys
        (home / "dags").mkdir(parents=True, exist_ok=True)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.home / "dags" / f"{name}.py").write_text(text, encoding="utf-8")

    def create(self, **files: str) -> None:
        """Make the database and store the DAGs of these files, without any process."""
        self.write(**files)
        settings = load_settings({}, self.home)
        prepare_home(settings)
        migrate(settings.metastore_url)
        parts = Parts(settings)
        try:
            for name, text in files.items():
                path = self.home / "dags" / f"{name}.py"
                with collecting(str(path)) as dags:
                    exec(compile(text, str(path), "exec"), {"__name__": name, "__file__": str(path)})  # noqa: S102
                specs = [compile_dag(dag)[:2] for dag in dags]
                parts.store.save_file(f"{name}.py", text.encode(), specs, now=parts.clock.now())
        finally:
            parts.close()

    @contextmanager
    def parts(self) -> Iterator[Parts]:
        parts = Parts(load_settings({}, self.home))
        try:
            yield parts
        finally:
            parts.close()

    def run(self, *arguments: str) -> Answer:
        """Call the command in this process."""
        assert self._capsys is not None
        self._capsys.readouterr()
        code = main(list(arguments))
        told = self._capsys.readouterr()
        return Answer(code, told.out, told.err)

    @property
    def environment(self) -> dict[str, str]:
        keep = {name: text for name, text in os.environ.items() if not name.startswith("TRADEWIND_")}
        return {**keep, "TRADEWIND_HOME": str(self.home)}

    def call(self, *arguments: str, timeout: float = 60.0, more: Mapping[str, str] | None = None) -> Answer:
        """Call the command as a program."""
        done = subprocess.run(
            [sys.executable, "-m", "tradewind", *arguments],
            env={**self.environment, **(more or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def standalone(self) -> Iterator[subprocess.Popen[str]]:
        """Run a standalone that is ready; it is ended, and its strays are, when the block ends."""
        with (self.home / "standalone.err").open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "tradewind", "standalone"],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            assert process.stdout is not None
            self.until(lambda: _readable(process) or process.poll() is not None)
            line = process.stdout.readline()
            assert "ready" in line, (line, (self.home / "standalone.err").read_text())
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)

    def until(self, met: Callable[[], object], seconds: float = READY_SECONDS) -> None:
        """Wait for something to be so; fail when it takes too long."""
        deadline = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < deadline, f"did not happen within {seconds} s"
            select.select([], [], [], TURN_SECONDS)

    def processes(self, title: str = "") -> list[int]:
        """Return the processes that belong to this home and whose title begins so."""
        return sorted(
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit()
            and int(entry.name) != os.getpid()
            and _belongs(entry, str(self.home), title)
        )


def _readable(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], 0)[0])


def _belongs(entry: Path, home: str, title: str) -> bool:
    """Whether a process is one of this home: by its environment, which a title may hide, or by what it has open."""
    try:
        if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        if not command.startswith(title):
            return False
        marked = f"TRADEWIND_HOME={home}\0".encode() in (entry / "environ").read_bytes() + b"\0"
        return marked or any(str(fd.readlink()).startswith(f"{home}/") for fd in (entry / "fd").iterdir())
    except OSError:
        return False
