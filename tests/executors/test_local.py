"""The local executor passes the suite that every executor must pass."""

from pathlib import Path

import pytest

from tests.runtime.house import House
from tradewind.executors.local import LocalExecutor
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import Launch, TaskContext
from tradewind.runtime.clock import SystemClock
from tradewind.testing.conformance.executor import ExecutorConformance, Stage

TASKS = """
import os, time
def succeed(context, data):
    return 1
def hang(context, data):
    while not os.path.exists(context.params['gate']):
        time.sleep(0.01)
"""


class LocalStage:
    """A home with a worker of one machine."""

    def __init__(self, home: Path) -> None:
        self._house = House(home, start=False)
        self._gate = home / "gate"
        self._sha = self._house.file(TASKS)

    @property
    def clock(self) -> Clock:
        return SystemClock()

    def open(self) -> LocalExecutor:
        self._house.executor = self._house.open()
        return self._house.executor

    def launch(self, behaviour: str) -> tuple[Launch, TaskContext]:
        launch = self._house.launch(behaviour, self._sha, params={"gate": str(self._gate)})
        return launch, self._house.contexts[launch.instance_id, launch.token]

    def let_go(self) -> None:
        self._gate.touch()


class TestLocalExecutor(ExecutorConformance):
    """All cases, with real processes."""

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage:
        """Return a stage; each case ends its own workers."""
        return LocalStage(tmp_path / "home")
