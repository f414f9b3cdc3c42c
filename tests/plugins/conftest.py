"""A plugins folder that tests fill, and registries on it."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradewind.plugins import Registry
from tradewind.plugins.calls import Calls
from tradewind.plugins.local import MODULE_PREFIX, folder_candidates
from tradewind.plugins.manager import PluginManager


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return an empty plugins folder; the modules loaded from it are forgotten afterwards."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    yield folder
    for name in [name for name in sys.modules if name.startswith(MODULE_PREFIX)]:
        del sys.modules[name]


@pytest.fixture
def plugin(folder: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a plugin file; its text follows the usual imports."""

    def write(name: str, text: str) -> Path:
        file = folder / f"{name}.py"
        head = "from tradewind.hookspecs import *\nfrom tradewind.hookspecs import hookimpl\n"
        file.write_text(head + textwrap.dedent(text))
        return file

    return write


@pytest.fixture
def registry(folder: Path) -> Callable[..., Registry]:
    """Return a function that makes a registry of the built-in parts and the folder."""

    def make(*, disabled: tuple[str, ...] = (), calls: Calls | None = None) -> Registry:
        manager = PluginManager(disabled=disabled, calls=calls)
        return Registry(manager, [lambda: folder_candidates(folder)])

    return make
