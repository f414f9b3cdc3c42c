"""Starts the base fork server on a descriptor it inherited."""

from __future__ import annotations

from tradewind.runtime.forkserver import hooks

hooks.keep_aside()  # before any import below registers some

import importlib  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

import setproctitle  # noqa: E402

from tradewind.runtime import processes  # noqa: E402
from tradewind.runtime.clock import SystemClock  # noqa: E402
from tradewind.runtime.forkserver import ending  # noqa: E402
from tradewind.runtime.forkserver.engine import Engine, default_engine  # noqa: E402
from tradewind.runtime.forkserver.messages import Ready, encode  # noqa: E402
from tradewind.runtime.forkserver.server import ForkServer, freeze  # noqa: E402


def main(arguments: list[str]) -> None:
    """Serve on descriptor ``arguments[0]`` and hold ``arguments[1]``, the lock file, open while anyone lives.

    ``arguments[2]`` is how many descriptors tasks may have. ``arguments[3]`` may name a module whose ``engine()``
    makes another engine; tests use it.
    """
    os.set_inheritable(int(arguments[1]), False)  # forks keep it, programs they start do not
    sock = socket.socket(fileno=int(arguments[0]))
    sock.set_inheritable(False)
    engine: Engine = importlib.import_module(arguments[3]).engine() if arguments[3:] else default_engine()
    engine.prepare()
    ending.note_base()
    setproctitle.setproctitle("tradewind fork server")
    processes.become_subreaper()
    # A broadcast is for the supervisor, it drains. Attempts unblock these.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(arguments[2]), hard))
    freeze()
    sock.send(encode(Ready(threads=False)))
    ForkServer(sock, engine, SystemClock()).run()


if __name__ == "__main__":
    main(sys.argv[1:])
