"""Types what the documentation shows into a shell, as its readers do."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.docs.blocks import Block

SECONDS_MAX: Final = 60.0
CHANGING: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00)?"), "DATE"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b"), "TIME"),
    (re.compile(r"\s+"), " "),
)
"""What differs each time, and what is put in its place."""


def steady(line: str) -> str:
    """Return a line without what differs each time."""
    for pattern, text in CHANGING:
        line = pattern.sub(text, line)
    return line.strip()


class Shell:
    """A terminal of a reader who has just installed Tradewind: it remembers the folder, and what was printed."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.folder = folder
        self.printed = ""
        self.servers: list[subprocess.Popen[bytes]] = []
        program = Path(sys.executable).parent
        kept = {name: text for name, text in os.environ.items() if not name.startswith("TRADEWIND")}
        self.environment: Mapping[str, str] = {
            **kept,
            "PATH": f"{program}:{os.environ['PATH']}",
            "HOME": str(folder),
        }

    def type(self, block: Block) -> int:
        """Run a block's lines; return the exit status of the last one that ran."""
        where = self.home / ".folder"
        script = f"set -e\ntrap 'pwd >{where}' EXIT\n{block.text}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        self.printed += done.stdout
        self.folder = Path(where.read_text(encoding="utf-8").strip())
        return done.returncode

    def start(self, block: Block) -> None:
        """Run a block in another terminal, until the end of the test."""
        with (self.home / "server.log").open("ab") as log:
            self.servers.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {block.text}"],
                    cwd=self.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def stop(self) -> list[int]:
        """Press Ctrl-C in the other terminals; return their exit statuses."""
        for server in self.servers:
            server.send_signal(signal.SIGINT)
        try:
            return [server.wait(SECONDS_MAX) for server in self.servers]
        finally:
            for server in self.servers:
                if server.poll() is None:
                    os.killpg(server.pid, signal.SIGKILL)

    def dags(self) -> dict[str, dict[str, Any]]:
        """Return what `tradewind dags list` tells, by dag_id; nothing while there is no database."""
        done = subprocess.run(
            ["tradewind", "dags", "list", "-o", "json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return {dag["dag_id"]: dag for dag in json.loads(done.stdout)} if done.returncode == 0 else {}

    def wait_for(self, so: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Ask for the DAGs until ``so`` is true of them; every question takes its time."""
        deadline = time.monotonic() + SECONDS_MAX
        while not so(self.dags()):
            assert time.monotonic() < deadline, (self.home / "server.log").read_text(encoding="utf-8")

    def expect(self, block: Block) -> None:
        """Compare a block of output: its lines were printed in this order since the last one, others between them."""
        lines = [steady(line) for line in self.printed.splitlines()]
        for wanted in map(steady, block.text.splitlines()):
            place = next((number for number, line in enumerate(lines) if wanted in line), None)
            assert place is not None, f"{block.place}: {wanted!r} was not printed by:\n{self.printed}"
            del lines[: place + 1]
        self.printed = ""
