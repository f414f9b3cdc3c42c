"""The warm process that forks a child for each DAG file, waits for it, and kills it when it is time.

It imports what DAG files import, but no DAG file, and holds no connection and no secret. Started as
``python -m tradewind.dagbag.parse_server DESCRIPTOR``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import linecache
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import setproctitle

from tradewind.dagbag import parse_child
from tradewind.dagbag.messages import OUTPUT_BYTES_MAX, READY, RESULT_BYTES_MAX, Done, Order, Start
from tradewind.plugins.local import make_importable
from tradewind.runtime import processes
from tradewind.runtime.frames import FrameReader, frame

COUNT_SECONDS = 5.0  # between two counts of this user's processes
SWEEPS_MAX = 50  # rounds of killing left-overs; never loop for ever
WATCH_SECONDS = 0.05  # between two counts of a child's processes
LAST_WORDS_SECONDS = 0.2  # for a stuck interpreter to say where it is
READ_BYTES = 256 * 1024


@dataclass(slots=True)
class Child:
    """One file being parsed."""

    order: Order
    pid: int
    handle: int  # becomes readable when the process ends
    result: int
    output: int
    started: float
    deadline: float
    data: bytearray = field(default_factory=bytearray)
    printed: bytearray = field(default_factory=bytearray)
    asked: bool = False  # it was asked where it is stuck

    @property
    def complete(self) -> bool:
        """Say whether the answer is whole."""
        header = parse_child.HEADER.size
        return len(self.data) >= header and len(self.data) >= header + self.announced

    @property
    def announced(self) -> int:
        """Return the length of the answer; only when the header is there."""
        length: int = parse_child.HEADER.unpack_from(self.data)[0]
        return length


class ParseServer:
    """The loop."""

    def __init__(self, sock: socket.socket, start: Start, reader: FrameReader, payloads: list[bytes]) -> None:
        self._sock = sock
        self._start = start
        self._reader = reader
        self._waiting = deque(_orders(payloads))
        self._children: dict[int, Child] = {}  # by pid
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._pid = os.getpid()
        self._processes = 0  # of this user
        self._counted = -COUNT_SECONDS

    def run(self) -> None:
        """Serve until the other side hangs up; no child is alive when this returns."""
        while True:
            self._fork_waiting()
            for key, _ in self._selector.select(WATCH_SECONDS if self._children else None):
                if key.fileobj is self._sock:
                    if not self._take_orders():
                        self._end()
                        return
                else:
                    self._hear(key.data, key.fd)
            self._watch()

    def _fork_waiting(self) -> None:
        if self._waiting and time.monotonic() > self._counted + COUNT_SECONDS:
            self._counted = time.monotonic()
            self._processes = own_processes()
        while self._waiting and len(self._children) < self._start.limits.processes:
            self._fork(self._waiting.popleft())

    def _take_orders(self) -> bool:
        data = self._sock.recv(READ_BYTES)
        self._waiting.extend(_orders(self._reader.feed(data)))
        return bool(data)

    def _fork(self, order: Order) -> None:
        result, result_end = os.pipe()
        output, output_end = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            for descriptor in (result, result_end, output, output_end):
                os.close(descriptor)
            self._say(
                Done(number=order.number, death=f"the system refused another process: {error.strerror}")
            )
            return
        if pid == 0:
            self._be_child(order, result_end, output_end, (result, output))
        os.close(result_end)
        os.close(output_end)
        os.set_blocking(result, False)
        os.set_blocking(output, False)
        now = time.monotonic()
        child = Child(
            order=order,
            pid=pid,
            handle=os.pidfd_open(pid),
            result=result,
            output=output,
            started=now,
            deadline=now + self._start.limits.seconds_max,
        )
        self._children[pid] = child
        for descriptor in (child.handle, result, output):
            self._selector.register(descriptor, selectors.EVENT_READ, child)

    def _be_child(self, order: Order, result: int, output: int, others: tuple[int, int]) -> None:
        status = 1
        try:
            self._sock.close()
            self._selector.close()
            for descriptor in others:
                os.close(descriptor)
            for child in self._children.values():
                for descriptor in (child.handle, child.result, child.output):
                    os.close(descriptor)
            processes_max = self._processes + parse_child.PROCESSES_MAX
            parse_child.run(self._start, order, parse_child.Place(result, output, self._pid, processes_max))
            status = 0
        finally:
            os._exit(status)

    def _hear(self, child: Child, descriptor: int) -> None:
        if child.pid not in self._children:
            return  # it was finished by another event of this round
        if descriptor == child.handle:
            self._drain(child)
            self._finish(child)
            return
        self._read(child, descriptor)
        if child.complete or self._too_long(child):
            self._finish(child)

    def _read(self, child: Child, descriptor: int) -> int:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._selector.unregister(descriptor)
        elif descriptor == child.result:
            child.data += data
        else:
            child.printed += data
            del child.printed[: -2 * OUTPUT_BYTES_MAX]
        return len(data)

    def _drain(self, child: Child) -> None:
        """Read what a process that has ended had written."""
        for descriptor in (child.result, child.output):
            while descriptor in self._selector.get_map() and self._read(child, descriptor):
                if self._too_long(child):
                    return

    @staticmethod
    def _too_long(child: Child) -> bool:
        return len(child.data) > RESULT_BYTES_MAX + parse_child.HEADER.size

    def _watch(self) -> None:
        """Stop children that take too long or start too many processes."""
        now = time.monotonic()
        for child in list(self._children.values()):
            if now - child.started < WATCH_SECONDS:
                continue
            if now > child.deadline:
                self._overdue(child, now)
            elif len(processes.descendants_of(child.pid)) > parse_child.PROCESSES_MAX:
                self._finish(
                    child,
                    f"It started more than {parse_child.PROCESSES_MAX} processes while it was imported.",
                )

    def _overdue(self, child: Child, now: float) -> None:
        if not child.asked:
            child.asked = True
            child.deadline = now + LAST_WORDS_SECONDS
            processes.send_signal(child.pid, parse_child.STUCK_SIGNAL)
            return
        seconds = self._start.limits.seconds_max
        self._drain(child)
        self._finish(
            child,
            f"Importing it took longer than {seconds:g} s and was stopped. Move slow work into a task;"
            " [dags] parse_seconds_max raises the limit.",
        )

    def _finish(self, child: Child, death: str = "") -> None:
        """Kill what is left of a child, reap it, and answer."""
        del self._children[child.pid]
        complete = child.complete and not self._too_long(child)
        processes.kill_tree(child.pid)
        _, status = os.waitpid(child.pid, 0)
        self._sweep()
        for descriptor in (child.handle, child.result, child.output):
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            os.close(descriptor)
        header = parse_child.HEADER.size
        self._say(
            Done(
                number=child.order.number,
                parsed=bytes(child.data[header : header + child.announced])
                if complete and not death
                else b"",
                death=death or ("" if complete else describe_status(status)),
                output=child.printed[-OUTPUT_BYTES_MAX:].decode(errors="replace"),
                seconds=time.monotonic() - child.started,
            )
        )

    def _sweep(self) -> None:
        """Kill processes nobody here knows: what children that are dead left behind."""
        for _ in range(SWEEPS_MAX):
            strangers = [pid for pid in processes.children_of(self._pid) if pid not in self._children]
            if not strangers:
                return
            for pid in strangers:
                processes.kill_tree(pid)
            for pid in strangers:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def _say(self, done: Done) -> None:
        # A processor that is gone shows as an end of file in the next round.
        with contextlib.suppress(OSError):
            self._sock.sendall(frame(msgspec.msgpack.encode(done)))

    def _end(self) -> None:
        for child in list(self._children.values()):
            processes.kill_tree(child.pid)
        for child in self._children.values():
            os.waitpid(child.pid, 0)
        self._sweep()


def _orders(payloads: Iterable[bytes]) -> Iterator[Order]:
    for payload in payloads:
        yield msgspec.msgpack.decode(payload, type=Order)


def own_processes() -> int:
    """Return how many threads this user has: the system counts all of them against its limit of processes.

    For root there is no such limit; the count is 0.
    """
    uid = os.getuid()
    count = 0
    for process in Path("/proc").iterdir() if uid else ():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if process.stat().st_uid == uid:
                    count += len(list((process / "task").iterdir()))
    return count


def describe_status(status: int) -> str:
    """Return how a process ended without an answer, as a sentence about its file."""
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"Importing it crashed the interpreter: {name}."
    return f"It ended the process with exit code {os.WEXITSTATUS(status)} while it was imported."


def warm_up() -> None:
    """Import what DAG files import."""
    for package in ("tradewind", "tradewind.operators", "tradewind.sensors"):
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            with contextlib.suppress(ImportError):  # the DAG file that needs it gets the error
                getattr(module, name)
    for name in ("croniter", "datetime", "json", "pathlib"):
        importlib.import_module(name)
    sample = parse_child.parse("/nowhere", "sample.py", SAMPLE)
    assert not sample.errors, sample.errors
    for name in [name for name in sys.modules if name.startswith("tradewind_dag_")]:
        del sys.modules[name]
    sys.path.remove("/nowhere")
    linecache.clearcache()


SAMPLE = b"""
from datetime import datetime
from tradewind import DAG, task
with DAG("sample", schedule="0 6 * * *", start_date=datetime(2026, 1, 1)):
    @task(retries=1)
    def load(x: int) -> int:
        return x
    load(load(1)) >> load.expand(x=[1, 2])
"""
"""Parsed once before the first fork: what that computes for good need not be computed in each child."""


def main(descriptor: int, parent: int) -> None:
    """Serve on an inherited socket whose first frame is :class:`Start`; end with the process ``parent``."""
    processes.die_with_parent(parent)
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # a broadcast is for the processor: it hangs up
    reader = FrameReader()
    payloads: list[bytes] = []
    while not payloads:
        data = sock.recv(READ_BYTES)
        if not data:
            return
        payloads = list(reader.feed(data))
    start = msgspec.msgpack.decode(payloads[0], type=Start)
    setproctitle.setproctitle(f"tradewind parse server {start.folder}")
    processes.become_subreaper()
    if start.plugins_folder is not None:
        make_importable(Path(start.plugins_folder))
    warm_up()
    gc.collect()
    gc.freeze()
    gc.disable()
    sock.sendall(frame(msgspec.msgpack.encode(Done(number=READY))))
    ParseServer(sock, start, reader, payloads[1:]).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
