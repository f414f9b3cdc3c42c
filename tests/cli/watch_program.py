"""A program that runs a Watch over children named on its command line; the tests of the watchdog start it.

``python -m tests.cli.watch_program FOLDER NAME=BEHAVIOUR …``. Each child appends its process id to FOLDER/NAME when it
starts. Behaviours: ``stay`` until SIGTERM; ``stubborn`` ignores SIGTERM; ``die`` at once with status 1; ``wrong``
ends with wrong use; ``first`` dies in its first life and stays in its second; ``decide`` ends with status 7 when
FOLDER/decide exists; ``orphan`` leaves a process behind that ignores SIGTERM, then stays.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tradewind.cli.standalone.watch import Child, Watch
from tradewind.errors import ConfigError


def stay() -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    while not ended:
        select.select([], [], [], 0.02)


def body(folder: Path, name: str, behaviour: str) -> Callable[[Callable[[], None]], object]:
    def run(ready: Callable[[], None]) -> object:
        lives = folder / name
        with lives.open("a") as file:
            file.write(f"{os.getpid()}\n")
        life = len(lives.read_text().splitlines())
        if behaviour == "wrong":
            raise ConfigError("the setting is wrong")
        if behaviour == "die" or (behaviour == "first" and life == 1):
            raise OSError(5, "I die", "of it")
        if behaviour == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if behaviour == "orphan":
            program = (
                "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
                "print(1, flush=True); signal.pause()"
            )
            orphan = subprocess.Popen(
                [sys.executable, "-c", program], start_new_session=True, stdout=subprocess.PIPE
            )
            assert orphan.stdout is not None
            orphan.stdout.readline()
            (folder / "orphan.pid").write_text(str(orphan.pid))
        ready()
        if behaviour == "decide":
            while not (folder / "decide").exists():
                select.select([], [], [], 0.02)
            return 7
        if behaviour == "stubborn":
            while True:
                signal.pause()
        stay()
        return 0

    return run


def main() -> int:
    folder = Path(sys.argv[1])
    pairs = [argument.partition("=")[::2] for argument in sys.argv[2:]]
    children = [
        Child(name, body(folder, name, behaviour), again=behaviour != "decide", decides=behaviour == "decide")
        for name, behaviour in pairs
    ]
    watch = Watch(
        children,
        time.monotonic,
        lambda text: print(text, flush=True),
        on_ready=lambda: print("all ready", flush=True),
        grace_seconds=0.5,
    )
    return watch.run()


if __name__ == "__main__":
    sys.exit(main())
