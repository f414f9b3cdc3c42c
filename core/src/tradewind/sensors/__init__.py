"""The sensors that come with the core, each loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.sensors.external import ExternalTaskSensor
    from tradewind.sensors.python import PythonSensor
    from tradewind.sensors.time import DateTimeSensor, TimeDeltaSensor
    from tradewind.sensors.waiting import PokeReturn, SensorOperator

__all__ = [
    "DateTimeSensor",
    "ExternalTaskSensor",
    "PokeReturn",
    "PythonSensor",
    "SensorOperator",
    "TimeDeltaSensor",
]

_HOMES = {
    "DateTimeSensor": "tradewind.sensors.time",
    "ExternalTaskSensor": "tradewind.sensors.external",
    "PokeReturn": "tradewind.sensors.waiting",
    "PythonSensor": "tradewind.sensors.python",
    "SensorOperator": "tradewind.sensors.waiting",
    "TimeDeltaSensor": "tradewind.sensors.time",
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
