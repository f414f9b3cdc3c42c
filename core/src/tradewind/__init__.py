"""Tradewind, a workflow orchestrator: the names that DAG files import, each loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.authoring.assets import Asset, AssetOrTime
    from tradewind.authoring.chains import chain, chain_linear, cross_downstream
    from tradewind.authoring.context import Context, get_current_context
    from tradewind.authoring.dag import DAG, dag
    from tradewind.authoring.decorators import setup, task, teardown
    from tradewind.authoring.graph import Label
    from tradewind.authoring.group import TaskGroup
    from tradewind.authoring.group_decorator import task_group
    from tradewind.authoring.limits import limit
    from tradewind.authoring.operator import ActionOperator, Operator, TransferOperator
    from tradewind.authoring.options import TaskOptions
    from tradewind.authoring.params import Param
    from tradewind.authoring.steps import step
    from tradewind.authoring.xcom import XComRef
    from tradewind.domain.spec import Overlap, TriggerRule, WeightRule
    from tradewind.domain.timetable import Cron
    from tradewind.sensors.waiting import SensorOperator

__version__ = "0.1.0"

__all__ = [
    "DAG",
    "ActionOperator",
    "Asset",
    "AssetOrTime",
    "Context",
    "Cron",
    "Label",
    "Operator",
    "Overlap",
    "Param",
    "SensorOperator",
    "TaskGroup",
    "TaskOptions",
    "TransferOperator",
    "TriggerRule",
    "WeightRule",
    "XComRef",
    "chain",
    "chain_linear",
    "cross_downstream",
    "dag",
    "get_current_context",
    "limit",
    "setup",
    "step",
    "task",
    "task_group",
    "teardown",
]

# Name -> the module that has it. Loading all of them at once would cost each command line call what only DAGs need.
_HOMES = {
    "DAG": "tradewind.authoring.dag",
    "ActionOperator": "tradewind.authoring.operator",
    "Asset": "tradewind.authoring.assets",
    "AssetOrTime": "tradewind.authoring.assets",
    "Context": "tradewind.authoring.context",
    "Cron": "tradewind.domain.timetable",
    "Label": "tradewind.authoring.graph",
    "Operator": "tradewind.authoring.operator",
    "Overlap": "tradewind.domain.spec",
    "Param": "tradewind.authoring.params",
    "SensorOperator": "tradewind.sensors.waiting",
    "TaskGroup": "tradewind.authoring.group",
    "TaskOptions": "tradewind.authoring.options",
    "TransferOperator": "tradewind.authoring.operator",
    "TriggerRule": "tradewind.domain.spec",
    "WeightRule": "tradewind.domain.spec",
    "XComRef": "tradewind.authoring.xcom",
    "chain": "tradewind.authoring.chains",
    "chain_linear": "tradewind.authoring.chains",
    "cross_downstream": "tradewind.authoring.chains",
    "dag": "tradewind.authoring.dag",
    "get_current_context": "tradewind.authoring.context",
    "limit": "tradewind.authoring.limits",
    "setup": "tradewind.authoring.decorators",
    "step": "tradewind.authoring.steps",
    "task": "tradewind.authoring.decorators",
    "task_group": "tradewind.authoring.group_decorator",
    "teardown": "tradewind.authoring.decorators",
}


def __getattr__(name: str) -> Any:
    """Load one of the names on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tradewind' has no attribute {name!r}. It has: {', '.join(__all__)}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
