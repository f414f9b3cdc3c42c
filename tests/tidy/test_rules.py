"""The lint rules of this project bite where they should, and nowhere are they switched off in silence."""

import json
import re
import subprocess
import sys

import pytest

from tests.tidy.source import PACKAGE_FOLDERS, ROOT, files_below, relative

ADAPTERS = {"core/src/tradewind/runtime/clock.py"}
"""The files that touch the real clock, ids and chance, so that nothing else has to."""


def rules_broken(text: str, path: str) -> list[str]:
    """Check a text with the repository's rules, as if it stood at the path."""
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format=json", "--stdin-filename", path, "-"],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return sorted({found["code"] for found in json.loads(result.stdout)})


@pytest.mark.parametrize(
    "call",
    [
        "import time\n\nSTART = time.time()\n",
        "import time\n\ntime.sleep(1)\n",
        "from datetime import UTC, datetime\n\nSTART = datetime.now(UTC)\n",
        "import uuid\n\nIDENTITY = uuid.uuid4()\n",
        "import random\n\nprint_width = random\n",
        "import os\n\nTOKEN = os.urandom(8)\n",
        "from secrets import token_hex\n\nTOKEN = token_hex()\n",
    ],
)
def test_time_ids_and_chance_are_refused_outside_the_adapters(call: str) -> None:
    text = f'"""Sample."""\n\n{call}'
    assert "TID251" in rules_broken(text, "core/src/tradewind/scheduler/sample.py")
    assert "TID251" not in rules_broken(text, "core/src/tradewind/runtime/clock.py")


def test_a_monotonic_clock_is_allowed() -> None:
    text = '"""Sample."""\n\nimport time\n\nSTART = time.monotonic()\n'
    assert rules_broken(text, "core/src/tradewind/scheduler/sample.py") == []


def test_no_file_but_the_adapters_switches_the_ban_off() -> None:
    switched_off = {
        relative(path)
        for folder in PACKAGE_FOLDERS
        for path in files_below(folder)
        if path.suffix == ".py"
        and re.search(r"noqa:[^#]*TID251|ruff: noqa", path.read_text(encoding="utf-8"))
    }
    assert switched_off - ADAPTERS == set()
