"""Plugins: found in this package, in installed distributions and in the plugins folder, all by the same hooks.

:class:`Registry` answers who offers what; :func:`load_registry` makes one. Modules of a folder of drop-in files are
called ``tradewind_plugin_<name>``. ``plugins.check`` tries one out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.plugins.manager import PluginInfo, PluginManager, PluginState
    from tradewind.plugins.registry import Registry, load_registry

__all__ = [
    "PluginInfo",
    "PluginManager",
    "PluginState",
    "Registry",
    "load_registry",
]

# Loaded when asked for: task processes use only what lets them import a plugin.
_HOMES = {
    "PluginInfo": "tradewind.plugins.manager",
    "PluginManager": "tradewind.plugins.manager",
    "PluginState": "tradewind.plugins.manager",
    "Registry": "tradewind.plugins.registry",
    "load_registry": "tradewind.plugins.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
