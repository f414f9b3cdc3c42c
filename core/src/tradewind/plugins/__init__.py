"""Plugins: found in this package, in installed distributions and in the plugins folder, all by the same hooks.

:class:`Registry` answers who offers what; :func:`load_registry` makes one. Modules of a folder of drop-in files are
called ``tradewind_plugin_<name>``.
"""

from __future__ import annotations

from tradewind.plugins.check import CheckReport, check, trace
from tradewind.plugins.manager import PluginInfo, PluginManager, PluginState
from tradewind.plugins.registry import Registry, load_registry

__all__ = [
    "CheckReport",
    "PluginInfo",
    "PluginManager",
    "PluginState",
    "Registry",
    "check",
    "load_registry",
    "trace",
]
