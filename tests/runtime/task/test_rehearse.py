"""The rehearsal: it runs the whole engine, leaves nothing behind, and would notice a broken one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tradewind.authoring.registry import collecting
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.task import execute
from tradewind.runtime.task.rehearse import rehearse


def test_a_rehearsal_makes_no_dag_that_a_file_would_have_made() -> None:
    with collecting("someones.py") as dags:
        rehearse(SystemClock())
    assert dags == []


def test_an_engine_that_cannot_run_a_no_op_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_attempt: Any) -> None:
        raise ValueError("no")

    steps: tuple[Callable[[Any], None], ...] = (broken,)
    monkeypatch.setattr(execute, "STEPS", steps)
    with pytest.raises(AssertionError, match="ValueError: no"):
        rehearse(SystemClock())
