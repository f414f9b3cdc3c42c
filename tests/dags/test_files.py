"""The example files are right as files: they parse without warnings, explain themselves and hash stably."""

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dags.examples import FOLDER, example_files
from tests.tidy.source import ROOT
from tradewind.dagbag import CheckError, check_paths

LINES_MAX = 75
LONGER = {"seattle_weather.py"}  # the main example shows how the parts work together

PRINT_HASHES = """
import sys
from pathlib import Path
from tradewind.authoring.compile import compile_dag
from tradewind.dagbag import load_dag_in_process
folder = Path(sys.argv[1])
for path in sorted(folder.glob("*.py")):
    dag = load_dag_in_process(path, path.stem, folder=folder)
    print(path.stem, compile_dag(dag)[1], len(dag.warnings))
"""


def test_every_file_is_right_and_nothing_is_warned_of() -> None:
    warnings: list[CheckError] = []
    assert (check_paths([FOLDER], warn=warnings.append), warnings) == ((True, []), [])


def test_each_file_makes_one_dag_of_its_name_with_a_hash_that_no_process_changes() -> None:
    printed = [hashes(seed) for seed in ("0", "4711")]
    assert printed[0] == printed[1]
    named = [line.split() for line in printed[0].splitlines()]
    assert [(dag_id, warnings) for dag_id, _hash, warnings in named] == [
        (path.stem, "0") for path in example_files()
    ]


def hashes(seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HASHES, str(FOLDER)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("path", example_files(), ids=lambda path: path.stem)
def test_a_file_is_short_and_says_its_idea_first(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first, _, rest = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")
    assert first.endswith((".", ":"))
    assert "\n" not in first
    assert len(rest) > 60
    assert len(text.splitlines()) <= LINES_MAX or path.name in LONGER


def test_every_example_is_run_by_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/dags").glob("test_*.py"))
    run = set(re.findall(r"\brun\(\s*\"(\w+)\"", tests))
    assert run == {path.stem for path in example_files()}


def test_carried_data_is_what_its_readme_says() -> None:
    readme = (FOLDER / "data/README.md").read_text(encoding="utf-8")
    data = (FOLDER / "data/seattle-weather.csv").read_bytes()
    assert hashlib.sha256(data).hexdigest() in readme
    assert len(data.splitlines()) == 1 + 1461
