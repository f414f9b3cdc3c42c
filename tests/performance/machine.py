"""What the machine is that the figures come from, without its name."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path


def description(folder: Path) -> str:
    """Return cores, memory, Python and where the databases lie, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{platform.system()} {platform.machine()}, {cores} cores, {memory:.0f} GB of memory,"
        f" {platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
        f" on {file_system(folder)}"
    )


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder lies on."""
    best, kind = "", "an unknown file system"
    resolved = str(folder.resolve())
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _device, point, found, *_rest = line.split(" ")
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind
