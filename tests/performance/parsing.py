"""How long it takes until many changed DAG files are known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from time import perf_counter

from tests.performance import dag_texts
from tests.performance.figures import Figure
from tests.performance.installation import installed, settle
from tests.performance.limits import Limits

FILES = 500
SCAN_SECONDS = 2.5  # a little more than the pause between two looks at the folder
PROCESSES = 2  # the default of [dags] parse_processes

# What parsing costs by itself: each file imported and compiled, in one process that has everything loaded.
ALONE = """
import sys, time
from pathlib import Path
from tradewind.authoring.compile import compile_dag
from tradewind.authoring.registry import collecting
paths = sorted(Path(sys.argv[1]).glob("*.py"))
def known(path):
    with collecting(str(path)) as dags:
        exec(compile(path.read_text(), str(path), "exec"), {"__name__": path.stem, "__file__": str(path)})
    for dag in dags:
        compile_dag(dag)
known(paths[0])
start = time.process_time()
for path in paths:
    known(path)
print(time.process_time() - start)
"""


def parse(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """500 files of ten tasks, all changed at once."""
    count = 50 if quick else FILES
    names = [f"parsed_{number:03}" for number in range(count)]
    with installed(folder, {name: dag_texts.small(name) for name in names}) as house, house.running():
        store = house.parts.store
        house.wait_for("all files", lambda: len(store.files()) == count)
        settle(SCAN_SECONDS)  # so that all the new texts fall between two looks, or just into one
        changed = {name: dag_texts.small(name, salt=1) for name in names}
        wanted = {f"{name}.py": sha256(text.encode()).hexdigest() for name, text in changed.items()}
        house.write(changed)
        start = perf_counter()
        house.wait_for("all changes", lambda: store.files() == wanted)
        taken = perf_counter() - start
        yield Figure(
            f"{count} changed files × 10 tasks known",
            taken,
            "s",
            goal=5,
            limit=_alone(house.settings.dags_path) / min(PROCESSES, len(os.sched_getaffinity(0))),
            note="from the last file's change, the pause between two looks at the folder included;"
            " the limit is the processor time of importing and compiling them, shared by two processes",
        )


def _alone(dags: Path) -> float:
    command = [sys.executable, "-c", ALONE, str(dags)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
