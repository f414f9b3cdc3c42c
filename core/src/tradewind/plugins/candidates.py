"""Where plugins come from before they are loaded: a name, a place, and how to get the module."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from types import ModuleType
from typing import NamedTuple


class Origin(StrEnum):
    """Who brought a plugin, in the order of loading."""

    BUILT_IN = "built-in"  # part of Tradewind
    INSTALLED = "installed"  # an entry point of a distribution
    FOLDER = "folder"  # a file or package in the plugins folder


class Candidate(NamedTuple):
    """A plugin that could be loaded. ``place`` is for people: a distribution with its version, or a path."""

    name: str
    origin: Origin
    place: str
    load: Callable[[], ModuleType]  # raises whatever the plugin's module raises
