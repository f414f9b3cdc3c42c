"""The operators that come with the core, each loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.authoring.callables import PythonOperator
    from tradewind.authoring.operator import ActionOperator, Operator, TransferOperator
    from tradewind.operators.bash import BashOperator
    from tradewind.operators.branch import BranchOperator, BranchPythonOperator, ShortCircuitOperator
    from tradewind.operators.empty import EmptyOperator
    from tradewind.operators.fail import FailOperator
    from tradewind.operators.latest import LatestOnlyOperator
    from tradewind.operators.trigger import TriggerDagRunOperator
    from tradewind.operators.virtualenv import ExternalPythonOperator, PythonVirtualenvOperator

__all__ = [
    "ActionOperator",
    "BashOperator",
    "BranchOperator",
    "BranchPythonOperator",
    "EmptyOperator",
    "ExternalPythonOperator",
    "FailOperator",
    "LatestOnlyOperator",
    "Operator",
    "PythonOperator",
    "PythonVirtualenvOperator",
    "ShortCircuitOperator",
    "TransferOperator",
    "TriggerDagRunOperator",
]

_HOMES = {
    "ActionOperator": "tradewind.authoring.operator",
    "BashOperator": "tradewind.operators.bash",
    "BranchOperator": "tradewind.operators.branch",
    "BranchPythonOperator": "tradewind.operators.branch",
    "EmptyOperator": "tradewind.operators.empty",
    "ExternalPythonOperator": "tradewind.operators.virtualenv",
    "FailOperator": "tradewind.operators.fail",
    "LatestOnlyOperator": "tradewind.operators.latest",
    "Operator": "tradewind.authoring.operator",
    "PythonOperator": "tradewind.authoring.callables",
    "PythonVirtualenvOperator": "tradewind.operators.virtualenv",
    "ShortCircuitOperator": "tradewind.operators.branch",
    "TransferOperator": "tradewind.authoring.operator",
    "TriggerDagRunOperator": "tradewind.operators.trigger",
}


def __getattr__(name: str) -> Any:
    """Load one of the names on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}. It has: {', '.join(__all__)}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
