"""The one struct that the steps of an attempt carry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tradewind.domain.spec import TaskSpec
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import TaskContext
from tradewind.runtime.task.context import AttemptContext
from tradewind.runtime.task.data import DataClient
from tradewind.runtime.task.failure import Terminated
from tradewind.runtime.task.mapping import MappedArguments
from tradewind.runtime.task.mask import Masker
from tradewind.runtime.task.render import Renderer
from tradewind.runtime.task.scopes import Scopes
from tradewind.runtime.task.xcoms import XComs

log = logging.getLogger("tradewind.task")


class Termination:
    """A SIGTERM handler: lets the operator stop what it started, then ends the attempt. Install it as the handler."""

    def __init__(self) -> None:
        self.operator: Any = None

    def __call__(self, _signal: int, _frame: object) -> None:
        operator, self.operator = self.operator, None
        if operator is not None:
            log.warning("SIGTERM: the attempt ends; on_kill is called")
            operator.on_kill()
        raise Terminated


@dataclass(slots=True)
class Attempt:
    """What the steps know so far."""

    dag: Any
    facts: TaskContext
    data: DataClient
    clock: Clock
    spec: TaskSpec | None
    masker: Masker
    termination: Termination
    wait: Callable[[float], None]
    task: Any = None  # as written in the DAG
    operator: Any = None  # of this index, resolved
    context: AttemptContext | None = None
    scopes: Scopes | None = None
    xcoms_of_run: XComs | None = None
    renderer: Renderer | None = None
    mapped: MappedArguments | None = None
    result: Any = None
    xcoms: dict[str, str] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    label: str | None = None
