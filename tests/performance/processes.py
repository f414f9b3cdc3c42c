"""What a tree of processes takes: memory and processor time, from /proc."""

from __future__ import annotations

import os
import re
from pathlib import Path

HASH = re.compile("[0-9a-f]{8}")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """Return a process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields after the name: state, parent …; none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    except OSError:
        return []


def name(pid: int) -> str:
    """Return the command line, which is the title our processes give themselves, without folders and hashes."""
    try:
        words = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
        )
    except OSError:
        return ""
    return " ".join(word for word in words if "/" not in word and word != "-m" and not HASH.fullmatch(word))


def _rollup(pid: int) -> dict[str, int]:
    """Return the kB of each kind of memory; empty when the process is gone."""
    found = {}
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
            key, _, rest = line.partition(":")
            found[key] = int(rest.split()[0])
    except OSError:
        return {}
    return found


def pss_mb(pid: int) -> float:
    """Return the proportional set size: shared pages divided by those who share them."""
    return _rollup(pid).get("Pss", 0) / 1024


def uss_mb(pid: int) -> float:
    """Return the unique set size: what would be free if the process ended."""
    sizes = _rollup(pid)
    return (sizes.get("Private_Clean", 0) + sizes.get("Private_Dirty", 0)) / 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far, its reaped children included."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND if fields else 0.0


def own_cpu_seconds(pid: int) -> float:
    """Return the processor time of a process' own first thread so far, in the kernel's finest grain."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except OSError:
        fields = _stat(pid)
        return sum(map(int, fields[11:13])) / TICKS_PER_SECOND if fields else 0.0
