"""Imports: each module alone and without warnings, no cycles, nothing heavy before it is needed."""

import subprocess
import sys

import pytest

from tests.tidy import exceptions
from tests.tidy.cycles import cycles, import_graph
from tests.tidy.source import ROOT, installed_modules

HEAVY = ("alembic", "asyncio", "cryptography", "flask", "jinja2", "jsonschema", "rich", "sqlalchemy")


def test_every_module_imports_alone_and_without_a_warning() -> None:
    names = sorted(set(installed_modules()) - set(exceptions.IMPORTED_BY_THEIR_TOOL))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.tidy.import_each", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert (result.stdout.splitlines(), result.stderr, result.returncode) == ([], "", 0)


def test_modules_import_each_other_in_one_direction() -> None:
    assert cycles(import_graph(installed_modules())) == []


@pytest.mark.parametrize("statement", ["import tradewind", "from tradewind import *"])
def test_importing_tradewind_loads_nothing_heavy(statement: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    ).stdout.split()
    assert "tradewind" in loaded
    assert sorted({"sqlalchemy", "alembic"} & set(loaded)) == []
    if statement == "import tradewind":
        assert sorted(set(HEAVY) & set(loaded)) == []
