"""Hold the installation around this interpreter to the budgets of the core: run it with that interpreter.

It uses the standard library only, because it measures what a plain `pip install tradewind` brings.
"""

import importlib.metadata
import subprocess
import sys
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


def megabytes() -> tuple[float, float]:
    """Return the millions of bytes that the wheels bring, and those with the bytecode made from them.

    The budget holds for the first: an installer is free to compile bytecode (pip does, uv does not), and how
    large that is depends on the version of Python.
    """
    unpacked = compiled = 0
    for found in importlib.metadata.distributions():
        if found.metadata["Name"] not in TOOLS:
            for file in found.files or ():
                path = Path(str(found.locate_file(file)))
                size = path.stat().st_size if path.exists() else 0
                compiled += size
                unpacked += 0 if path.suffix == ".pyc" else size
    return unpacked / 1e6, compiled / 1e6


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
    size, with_bytecode = megabytes()
    print(
        f"installed: {len(names)} distributions (≤ {DISTRIBUTIONS_MAX}), {size:.1f} MB (≤ {MEGABYTES_MAX}),"
        f" {with_bytecode:.1f} MB with bytecode"
    )
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
