"""Plugins of a deployment: one-file modules and packages in the plugins folder.

``plugins/slow_tasks.py`` is imported as ``tradewind_plugin_slow_tasks``: no such file can hide a module of its name.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from tradewind.plugins.candidates import Candidate, Origin

MODULE_PREFIX = "tradewind_plugin_"


def module_name(stem: str) -> str:
    """Return the name by which a file or package of the plugins folder is imported."""
    return MODULE_PREFIX + "".join(letter if letter.isalnum() else "_" for letter in stem)


def folder_candidates(folder: Path) -> list[Candidate]:
    """Return the plugins in a folder, by name; none when there is no such folder.

    Names that start with ``_`` or ``.`` are left out: they are parts of others.
    """
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for entry in entries:
        file = _source_file(entry)
        if file is not None:
            load = functools.partial(load_file, entry.stem, file)
            found.append(Candidate(entry.stem, Origin.FOLDER, str(entry), load))
    return found


def _source_file(entry: Path) -> Path | None:
    if entry.name.startswith((".", "_")):
        return None
    if entry.is_dir():
        init = entry / "__init__.py"
        return init if init.is_file() else None
    return entry if entry.suffix == ".py" and entry.is_file() else None


def load_file(stem: str, file: Path) -> ModuleType:
    """Import a plugin by its path and return it; raises what it raises, and then leaves no half-made module.

    The same file is imported once in a process.
    """
    name = module_name(stem)
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(file):
        return known
    spec = _spec(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        assert spec.loader is not None, "a spec made from a file has a loader"
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _spec(name: str, file: Path) -> ModuleSpec:
    inside = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    assert spec is not None, "a path that ends in .py has a loader"
    return spec


class FolderFinder:
    """Lets ``import tradewind_plugin_…`` find the plugins folder, in processes that load no plugins themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a plugin in the folder; part of Python's import protocol."""
        if not fullname.startswith(MODULE_PREFIX) or "." in fullname:
            return None
        for candidate in sorted(self.folder.glob("*")):
            file = _source_file(candidate)
            if file is not None and module_name(candidate.stem) == fullname:
                return _spec(fullname, file)
        return None


def make_importable(folder: Path) -> None:
    """Let this process import the plugins of ``folder`` by their names; doing it again changes nothing."""
    known = [finder.folder for finder in sys.meta_path if isinstance(finder, FolderFinder)]
    if folder not in known:
        sys.meta_path.append(FolderFinder(folder))
