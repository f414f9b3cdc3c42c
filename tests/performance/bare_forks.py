"""What forking alone costs: a program of its own, so that it is as small as a fork server is.

``python -I -S bare_forks.py MB COUNT`` prints milliseconds per fork + report over a pipe + wait, one at a time,
and how many tasks a second a minimal fork-per-task executor does with one process per task, several at a time.
"""

import os
import select
import sys
from time import perf_counter

PIECE_BYTES = 200
ABREAST = 8  # processes at once in the executor; more change nothing on few cores


def grow(megabytes: float) -> list[bytes]:
    """Make this process that large, of small objects as programs are; returns what must be kept."""
    ballast: list[bytes] = []
    while resident_bytes() < megabytes * 2**20:
        ballast += [bytes(PIECE_BYTES) for _ in range(1_000)]
    return ballast


def resident_bytes() -> int:
    """Return the memory of this process that is present."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - as few imports as can be
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def one() -> None:
    """Fork, hear a byte, wait."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writing, b"x")
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    os.waitpid(pid, 0)
    os.close(reading)


def executor(count: int) -> None:
    """Run ``count`` tasks, a process each: own session, one report, reaped."""
    poller = select.poll()
    pids: dict[int, int] = {}
    started = 0
    while started < count or pids:
        while started < count and len(pids) < ABREAST:
            started += 1
            reading, writing = os.pipe()
            pid = os.fork()
            if not pid:
                os.setsid()
                os.write(writing, b"done")
                os._exit(0)
            os.close(writing)
            pids[reading] = pid
            poller.register(reading, select.POLLIN)
        for fd, _events in poller.poll():
            os.read(fd, 64)
            poller.unregister(fd)
            os.close(fd)
            os.waitpid(pids.pop(fd), 0)


def main() -> None:
    """Measure and print."""
    kept = grow(float(sys.argv[1]))
    count = int(sys.argv[2])
    times = []
    for _ in range(count // 2):
        start = perf_counter()
        one()
        times.append(perf_counter() - start)
    start = perf_counter()
    executor(count)
    rate = count / (perf_counter() - start)
    print(sorted(times)[len(times) // 2] * 1000, rate)
    del kept


if __name__ == "__main__":
    main()
