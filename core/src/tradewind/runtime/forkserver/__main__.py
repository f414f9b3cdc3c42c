"""Starts the base fork server on a descriptor it inherited."""

from __future__ import annotations

import gc
import importlib
import os
import resource
import socket
import sys

import setproctitle

from tradewind.runtime import processes
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.forkserver.engine import Engine, default_engine
from tradewind.runtime.forkserver.messages import Ready, encode
from tradewind.runtime.forkserver.server import ForkServer


def main(arguments: list[str]) -> None:
    """Serve on descriptor ``arguments[0]`` and hold ``arguments[1]``, the lock file, open while anyone lives.

    ``arguments[2]`` may name a module whose ``engine()`` makes another engine; tests use it.
    """
    os.set_inheritable(int(arguments[1]), False)  # forks keep it, programs they start do not
    sock = socket.socket(fileno=int(arguments[0]))
    sock.set_inheritable(False)
    engine: Engine = importlib.import_module(arguments[2]).engine() if arguments[2:] else default_engine()
    engine.prepare()
    setproctitle.setproctitle("tradewind fork server")
    processes.become_subreaper()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.collect()
    gc.freeze()
    gc.disable()
    sock.send(encode(Ready(threads=False)))
    ForkServer(sock, engine, SystemClock()).run()


if __name__ == "__main__":
    main(sys.argv[1:])
