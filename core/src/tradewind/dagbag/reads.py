"""Notes what a DAG file reads in the DAG folder while it is imported, so that a change of it counts as its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

READS_MAX = 10_000  # a file that reads more of the folder is not watched any closer

_IMPORT_SYSTEM = (
    "<frozen importlib._bootstrap_external>"  # lists every folder of the path: that is no reading
)


class Reads:
    """Watches this process for good: only for children that parse one file."""

    def __init__(self, folder: str) -> None:
        self._prefix = folder.rstrip("/") + "/"
        self._seen: set[str] = set()
        self._modules = len(
            sys.modules
        )  # those before are not the file's; looking at each would cost a millisecond

    def start(self) -> None:
        """Begin; Python offers no way to stop."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in {"open", "os.listdir", "os.scandir"} or len(self._seen) >= READS_MAX:
            return
        path = arguments[0]
        if event == "open":
            flags = arguments[2]
            if isinstance(flags, int) and flags & os.O_ACCMODE != os.O_RDONLY:
                return
        elif _called_by_the_import_system():
            return
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        elif isinstance(path, os.PathLike):
            path = os.fspath(path)
        if isinstance(path, str):
            self._seen.add(path if path.startswith("/") else f"{Path.cwd()}/{path}")

    def found(self, file: str) -> list[str]:
        """Return what was read below the folder but ``file`` itself, relative to the folder, sorted."""
        modules = [
            getattr(module, "__file__", None) for module in list(sys.modules.values())[self._modules :]
        ]
        paths = {*self._seen, *(path for path in modules if isinstance(path, str))}
        below = {os.path.normpath(path) for path in paths if path.startswith(self._prefix)}
        names = {path.removeprefix(self._prefix) for path in below if path.startswith(self._prefix)}
        return sorted(name for name in names if name != file and "__pycache__" not in name.split("/"))[
            :READS_MAX
        ]


def _called_by_the_import_system() -> bool:
    frame = sys._getframe(2)  # noqa: SLF001 - the caller of what is audited
    return frame.f_code.co_filename == _IMPORT_SYSTEM
