"""The entry of the worker process: ``python -m tradewind.runtime.worker --home … --slots N``."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import sys
from pathlib import Path

import msgspec
import setproctitle

from tradewind.runtime import processes
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.supervisor.options import WorkerOptions
from tradewind.runtime.supervisor.process import WorkerProcess, hold_alive_file

EXIT_BROKEN = 1  # no attempt can be run
EXIT_WRONG_USE = 2
EXIT_TAKEN = 3  # a worker of that name runs already


def main(arguments: list[str] | None = None) -> int:
    """Be a worker until told to end; return the exit status."""
    options = _options(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(levelname)s %(message)s")
    options.run_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = take_name(options)
    if lock is None:
        print(f'A worker "{options.name}" of {options.home} runs already.', file=sys.stderr)  # noqa: T201
        return EXIT_TAKEN
    end_remains(options)
    alive_file = alive_path(options)
    setproctitle.setproctitle(f"tradewind worker {options.name}")
    process = WorkerProcess(
        options, SystemClock(), os.environ, alive_fd=hold_alive_file(alive_file), alive_file=alive_file
    )
    worked = process.run()
    Path(alive_file).unlink(missing_ok=True)
    return 0 if worked else EXIT_BROKEN


def lock_path(options: WorkerOptions) -> Path:
    """Return the file that the one worker of a name holds locked; its process id is in it."""
    return options.run_path / f"worker-{options.name}.lock"


def alive_path(options: WorkerOptions) -> str:
    """Return the file that this process and all forks below it hold locked."""
    return str(options.run_path / f"worker-{options.name}.{os.getpid()}.alive")


def end_remains(options: WorkerOptions) -> None:
    """End what earlier workers of this name left behind when they died of SIGKILL."""
    for path in options.run_path.glob(f"worker-{options.name}.*.alive"):
        processes.kill_holders(str(path))
        path.unlink(missing_ok=True)
    processes.kill_marked(options.mark)


def take_name(options: WorkerOptions) -> int | None:
    """Return the descriptor of the name's lock, None when another process holds it."""
    fd = os.open(lock_path(options), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd


def command_line(options: WorkerOptions) -> list[str]:
    """Return the command that starts a worker with these options."""
    command = [sys.executable, "-m", "tradewind.runtime.worker"]
    for field in msgspec.structs.fields(WorkerOptions):
        value = getattr(options, field.encode_name)
        if value != field.default and value is not None:
            command += [f"--{field.name.replace('_', '-')}", str(value)]
    return command


def _options(arguments: list[str]) -> WorkerOptions:
    parser = argparse.ArgumentParser(prog="tradewind worker")
    for field in msgspec.structs.fields(WorkerOptions):
        required = field.default is msgspec.NODEFAULT
        parser.add_argument(f"--{field.name.replace('_', '-')}", required=required, default=None)
    given = {name: text for name, text in vars(parser.parse_args(arguments)).items() if text is not None}
    try:
        options = msgspec.convert(given, WorkerOptions, strict=False)
    except msgspec.ValidationError as error:
        parser.error(str(error))
    if options.slots <= 0:
        parser.error(f"--slots is {options.slots}; it must be greater than 0.")
    return options


if __name__ == "__main__":
    sys.exit(main())
