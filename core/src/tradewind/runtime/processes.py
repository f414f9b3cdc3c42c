"""Finds and ends process trees through /proc: nothing an attempt started may outlive it.

Every attempt is a *subreaper*: what its children leave behind (daemons, whatever session they took) becomes
its own child, so a walk over ``/proc/<pid>/task/*/children`` from a stopped attempt is complete. When the
attempt is dead, its orphans become children of the fork server above it, which owns nothing else it does
not know: any unknown child is a left-over. When all of these died at once, two
traces are left: forks hold the worker's lock file open (:func:`kill_holders`), programs carry its mark in their
environment (:func:`kill_marked`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

ATTEMPT_VARIABLE = "TRADEWIND_ATTEMPT"  # "<instance id>:<token>" in the environment of all a task starts
WORKER_VARIABLE = "TRADEWIND_WORKER"  # "<worker>@<home>#<incarnation>": whose attempts these are

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOP_ROUNDS_MAX = 20  # a fork bomb is stopped in a few; never loop for ever


HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # a kernel option

# PyDLL keeps the interpreter's lock: there is nothing to wait for, and letting go costs a fork memory pages.
_libc = ctypes.PyDLL(None)
_prctl = _libc.prctl
_prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_mark = ctypes.c_char_p()


def die_with_parent(parent: int) -> None:
    """Let the kernel SIGKILL this process when ``parent`` ends; exits at once when it has ended already."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Make orphans of this process' descendants its own children."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """Return the child processes of ``pid``, zombies included; empty when it is gone."""
    if not HAS_CHILDREN_FILES:
        return children_by_parent(pid)
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found.extend(map(int, file.read().split()))
        except OSError:
            continue
    return found


def children_by_parent(pid: int) -> list[int]:
    """Return the children of ``pid`` by a look at all processes: where the kernel keeps no lists of children."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                if int(file.read().rpartition(b") ")[2].split()[1]) == pid:
                    found.append(int(name))
    return found


def descendants_of(pid: int) -> list[int]:
    """Return all processes below ``pid``, parents before children."""
    found: list[int] = []
    seen = {pid}
    waiting = [pid]
    while waiting:
        for child in children_of(waiting.pop()):
            if child not in seen:
                seen.add(child)
                found.append(child)
                waiting.append(child)
    return found


def kill_tree(pid: int) -> int:
    """SIGKILL ``pid`` and all below it; return how many were hit.

    All are stopped first, so that none can start another while the rest is being looked for. The caller is
    the parent of ``pid`` (or an ancestor of it), so the number cannot mean another process by now.
    """
    stopped: set[int] = set()
    for _ in range(_STOP_ROUNDS_MAX):
        fresh = {pid, *descendants_of(pid)} - stopped
        if not fresh:
            break
        for process in fresh:
            send_signal(process, signal.SIGSTOP)
        stopped |= fresh
    stopped.discard(pid)
    hit = sum(send_signal(process, signal.SIGKILL) for process in stopped)
    return hit + send_signal(pid, signal.SIGKILL)


def send_signal(pid: int, signum: int) -> bool:
    """Send a signal; return False when the process is gone."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # it became another user's (setuid): it is out of reach
    return True


def started_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None when it is gone or a zombie.

    Together with the pid this names a process for ever.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in {b"Z", b"X"} else int(fields[19])


def marked_processes(worker: str) -> Iterator[tuple[int, str]]:
    """Yield (pid, "<instance id>:<token>") of all processes that attempts of ``worker`` started by exec.

    A ``worker`` that ends in ``#`` stands for all incarnations.
    """
    wanted = f"{WORKER_VARIABLE}={worker}".encode()
    any_incarnation = worker.endswith("#")
    attempt = f"{ATTEMPT_VARIABLE}=".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                variables = file.read().split(b"\0")
        except OSError:
            continue
        if any(v == wanted or (any_incarnation and v.startswith(wanted)) for v in variables):
            for variable in variables:
                if variable.startswith(attempt):
                    yield int(name), variable[len(attempt) :].decode(errors="replace")


def holders_of(path: str) -> list[int]:
    """Return the processes that have the file open."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{name}/fd"):
                if os.readlink(f"/proc/{name}/fd/{fd}") == path:
                    found.append(int(name))
                    break
    return found


def kill_holders(path: str) -> int:
    """SIGKILL the forks of a dead worker, which hold its lock file open; return how many there were."""
    return sum(send_signal(pid, signal.SIGKILL) for pid in holders_of(path) if pid != os.getpid())


def kill_marked(worker: str) -> int:
    """SIGKILL all that attempts of a dead ``worker`` left behind; return how many there were."""
    hit = 0
    for pid, _ in list(marked_processes(worker)):
        hit += send_signal(pid, signal.SIGKILL)
    return hit
