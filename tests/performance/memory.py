"""How much memory one running task takes for itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.performance import dag_texts, processes
from tests.performance.figures import Figure
from tests.performance.installation import installed
from tests.performance.limits import Limits


def memory(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """A no-op task, held in the middle of its code."""
    said, gate = folder / "pid.txt", folder / "gate"
    os.mkfifo(gate)
    with installed(folder, {"held": dag_texts.HELD.format(said=str(said), gate=str(gate))}) as house:
        with house.running():
            house.know("held")
            row = house.trigger("held")
            house.wait_for("the task", lambda: said.exists() and said.read_text(encoding="ascii"))
            pid = int(said.read_text(encoding="ascii"))
            uss, pss = processes.uss_mb(pid), processes.pss_mb(pid)
            gate.write_text("", encoding="ascii")  # opens, as the task waits at the other end
            house.ended(row)
        yield Figure("memory of one running no-op task (USS)", uss, "MB", goal=8, note=f"PSS {pss:.1f} MB")
    said.unlink()
    gate.unlink()
