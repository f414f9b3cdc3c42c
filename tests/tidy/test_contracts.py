"""The import contracts bite: each planted import that an architecture rule forbids is found."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PARTS = re.findall(r"\w+", " ".join(CONTRACTS[0]["layers"]))


def broken_contracts(house: Path) -> list[str]:
    """Run the repository's contracts on another source folder; return the names of the broken ones."""
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
            "--no-cache",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = result.stdout.splitlines()
    assert any(line.startswith("Contracts: ") for line in lines), result.stdout + result.stderr
    return sorted(line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN"))


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a source folder with every part the layers name, empty but for the metastore's toolkit."""
    for part in PARTS:
        (tmp_path / "tradewind" / part).mkdir(parents=True)
        (tmp_path / "tradewind" / part / "__init__.py").touch()
    (tmp_path / "tradewind/__init__.py").touch()
    (tmp_path / "tradewind/metastore/__init__.py").write_text("import alembic\nimport sqlalchemy\n")
    (tmp_path / "tradewind_webserver").mkdir()
    (tmp_path / "tradewind_webserver/__init__.py").touch()
    return tmp_path


def test_the_shape_alone_breaks_nothing(house: Path) -> None:
    assert broken_contracts(house) == []


LAYERS = "Each layer imports only those below it, and every module has its layer"
PURE = "The domain decides without I/O, clock, chance or frameworks"
METASTORE = "Only the composition root and the testing package know the metastore"
SQL = "Only the metastore knows the database toolkit"
TASKS = "What runs in a task process or is imported by a DAG file reaches no database"
ALONE = "The core imports no other distribution of ours"


@pytest.mark.parametrize(
    ("planted", "broken"),
    [
        ({"domain/decide.py": "def decide():\n    import time\n"}, [PURE]),
        ({"domain/decide.py": "from uuid import uuid4\n"}, [PURE]),
        ({"domain/decide.py": "from tradewind.ports import clock\n", "ports/clock.py": ""}, [LAYERS]),
        ({"errors/tree.py": "import logging\n"}, [PURE]),
        ({"scheduler/loop.py": "import sqlalchemy\n"}, [SQL]),
        ({"scheduler/loop.py": "from tradewind import metastore\n"}, [METASTORE]),
        ({"cli/runs.py": "def run():\n    import tradewind.metastore\n"}, [METASTORE]),
        (
            {"runtime/claim.py": "from typing import TYPE_CHECKING as T\nif T:\n    import sqlalchemy\n"},
            [SQL, TASKS],
        ),
        ({"api/trigger.py": "from tradewind.scheduler import loop\n", "scheduler/loop.py": ""}, [LAYERS]),
        ({"newcomer/__init__.py": ""}, [LAYERS]),
        ({"newcomer.py": ""}, [LAYERS]),
        ({"cli/web.py": "import tradewind_webserver\n"}, [ALONE]),
    ],
)
def test_a_planted_import_breaks_its_contract(
    house: Path, planted: dict[str, str], broken: list[str]
) -> None:
    for name, text in planted.items():
        path = house / "tradewind" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert broken_contracts(house) == sorted(broken)
