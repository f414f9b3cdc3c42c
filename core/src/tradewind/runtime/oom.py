"""Tells whether the kernel killed for lack of memory: its counters, looked at before and after a death."""

from __future__ import annotations

from pathlib import Path


class OomWatch:
    """Compares out-of-memory counters over time, and gives each kill to one death.

    It reads those of this process' own memory cgroup (v2 ``memory.events``, v1 ``memory.oom_control``) and,
    as a task may live in a cgroup of its own, the machine's (``/proc/vmstat``). :meth:`rebase` often, so
    that an old kill of a stranger is not taken for the reason of a new death.
    """

    def __init__(self, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> None:
        self._files = [(proc / "vmstat", "oom_kill"), *_cgroup_files(proc, cgroup)]
        self._seen = self._read()
        self._kills = 0  # that no death has been given yet

    def rebase(self) -> None:
        """Forget kills up to now."""
        self._seen = self._read()
        self._kills = 0

    def take(self) -> bool:
        """Return whether a process was killed for memory that no earlier call has been told of."""
        now = self._read()
        before, self._seen = self._seen, now
        self._kills += max((now[file] - before.get(file, now[file]) for file in now), default=0)
        if self._kills <= 0:
            return False
        self._kills -= 1
        return True

    def _read(self) -> dict[Path, int]:
        return {path: value for path, name in self._files if (value := _counter(path, name)) is not None}


def _cgroup_files(proc: Path, cgroup: Path) -> list[tuple[Path, str]]:
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found.append((cgroup / path.lstrip("/") / "memory.events", "oom_kill"))
        elif "memory" in controllers.split(","):
            found.append((cgroup / "memory" / path.lstrip("/") / "memory.oom_control", "oom_kill"))
    return found


def _counter(path: Path, name: str) -> int | None:
    try:
        with path.open(encoding="ascii") as file:
            for line in file:
                key, _, value = line.partition(" ")
                if key == name:
                    return int(value)
    except (OSError, ValueError):
        return None
    return None
