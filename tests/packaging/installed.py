"""Hold the installation around this interpreter to the budgets of the core: run it with that interpreter.

It uses the standard library only, because it measures what a plain `pip install tradewind` brings.
"""

import importlib.metadata
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

DISTRIBUTIONS_MAX: Final = 30
MEGABYTES_MAX: Final = 60
TOOLS: Final = frozenset({"pip", "setuptools", "wheel"})
"""What a new virtual environment holds before anything is installed."""


def distributions() -> list[str]:
    """Return the names of the installed distributions, without the installer itself."""
    names = {found.metadata["Name"] for found in importlib.metadata.distributions()}
    return sorted(names - TOOLS, key=str.lower)


def megabytes(folder: Path) -> float:
    """Return the size of all files in the folder, without the installer's, in millions of bytes."""
    total = 0
    for path in folder.rglob("*"):
        top = path.relative_to(folder).parts[0]
        if path.is_file() and top.partition("-")[0] not in {*TOOLS, "_distutils_hack", "pkg_resources"}:
            total += path.stat().st_size
    return total / 1e6


def failures(names: list[str], size: float) -> list[str]:
    """Return what goes over its budget, one sentence each."""
    found = []
    if len(names) > DISTRIBUTIONS_MAX:
        found.append(f"{len(names)} distributions, over the limit of {DISTRIBUTIONS_MAX}: {', '.join(names)}")
    if size > MEGABYTES_MAX:
        found.append(f"{size:.1f} MB, over the limit of {MEGABYTES_MAX}")
    return found


def main() -> int:
    """Print what is installed and try it; return the exit status."""
    names = distributions()
    size = megabytes(Path(sysconfig.get_path("purelib")))
    print(f"installed: {len(names)} distributions (≤ {DISTRIBUTIONS_MAX}), {size:.1f} MB (≤ {MEGABYTES_MAX})")
    for line in failures(names, size):
        print(f"too much: {line}", file=sys.stderr)
    tries = [
        [sys.executable, "-W", "error", "-c", "import tradewind"],
        [str(Path(sys.executable).with_name("tradewind")), "--help"],
    ]
    for command in tries:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1 if failures(names, size) else 0


if __name__ == "__main__":
    sys.exit(main())
