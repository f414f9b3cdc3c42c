"""What the local executor knows of a worker, and how it makes sure that a dead one is dead."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from collections.abc import Mapping

from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import Launch
from tradewind.runtime import processes
from tradewind.runtime.environment import clean_environment
from tradewind.runtime.frames import FrameReader, Outbox
from tradewind.runtime.supervisor.options import WorkerOptions
from tradewind.runtime.wire import AttemptKey, Hello
from tradewind.runtime.worker import command_line, lock_path

PATIENCE_SECONDS = 6.0  # a fork server needs at most 5 to end what is below it
SPAWN_SECONDS_MIN = 1.0  # between two starts of a worker that does not come up
SPAWN_SECONDS_MAX = 30.0


class Channel:
    """One connection of a worker; ``number`` is never used again."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.reader = FrameReader()
        self.outbox = Outbox()
        self.role = ""
        self.worker: WorkerState | None = None
        self.reported: dict[int, tuple[AttemptKey, ...]] = {}  # call -> attempts whose outcome it told


class WorkerState:
    """One worker process, from its first hello until it is verifiably gone."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.main: Channel | None = None
        self.held: dict[AttemptKey, Launch | None] = {}  # sent to it, or said to live there
        self.claimed: set[AttemptKey] = set()  # it asked for: user code may have run
        self.versions: set[str] = set()  # sources it has had: probably warm
        self.pidfds: dict[int, int] = {}  # pid -> pidfd
        self.mourned = False  # its main process is known to be dead
        self.patience_until = 0.0  # for its fork server to tidy up

    @property
    def free(self) -> int:
        """Slots that nothing was sent for."""
        return self.hello.slots - len(self.held)

    def is_gone(self, now: float) -> bool:
        """Return whether every process of this worker has ended, what its attempts started included.

        Its own processes and all their forks hold the lock of its alive file; programs that attempts started
        carry a mark. Its fork server ends them; what that could not end is killed here.
        """
        if not self.mourned:
            return False
        if not _lock_is_free(self.hello.alive_file):
            if not self.pidfds or now > self.patience_until:
                processes.kill_holders(self.hello.alive_file)
            return False
        return processes.kill_marked(self.hello.mark) == 0

    def end(self) -> None:
        """SIGKILL the worker; its fork server ends what is below."""
        processes.send_signal(self.hello.pid, signal.SIGKILL)

    def forget(self, key: AttemptKey) -> None:
        """Note that the worker holds an attempt no more."""
        self.held.pop(key, None)
        self.claimed.discard(key)

    def close(self) -> None:
        """Close the descriptors that watch its processes."""
        for fd in self.pidfds.values():
            os.close(fd)
        self.pidfds.clear()


class WorkerStarter:
    """Starts a worker in a session of its own when none is there; never two of one name."""

    def __init__(self, options: WorkerOptions, clock: Clock, environment: Mapping[str, str]) -> None:
        self._options = options
        self._clock = clock
        self._environment = environment
        self._pid = 0  # of the worker this process has started
        self._next_at = 0.0
        self._pause = SPAWN_SECONDS_MIN
        self.problem = ""

    def ensure(self) -> None:
        """Start a worker unless one runs or one has just been started."""
        now = self._clock.monotonic()
        self.reap()
        if self._pid or now < self._next_at or self._name_is_taken():
            return
        self._next_at = now + self._pause
        self._pause = min(self._pause * 2, SPAWN_SECONDS_MAX)
        self._options.run_path.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = self._options.run_path / f"worker-{self._options.name}.log"
        try:
            with log.open("ab") as output:
                command = command_line(self._options)
                self._pid = os.posix_spawn(
                    command[0],
                    command,
                    clean_environment(self._environment),
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                        (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
                    ],
                    setsid=True,
                )
        except OSError as error:
            self.problem = f"the worker could not be started: {error}"

    def came(self) -> None:
        """A worker said hello: the next loss is answered at once."""
        self._pause = SPAWN_SECONDS_MIN
        self._next_at = 0.0
        self.problem = ""

    def end(self) -> None:
        """SIGTERM the worker that this process has started, and wait for it; one that said hello is gone by now."""
        self.reap()
        if self._pid:
            processes.send_signal(self._pid, signal.SIGTERM)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def reap(self) -> None:
        """Take the exit status of a worker that has ended, so that no zombie stays."""
        if not self._pid:
            return
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._pid = 0
            log = self._options.run_path / f"worker-{self._options.name}.log"
            code = os.waitstatus_to_exitcode(status)
            self.problem = f"the worker ended with status {code}; see {log}" if code else ""

    def _name_is_taken(self) -> bool:
        return not _lock_is_free(str(lock_path(self._options)))


def _lock_is_free(path: str) -> bool:
    """Return whether nobody holds a lock on the file; one that does not exist is free."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
