"""Where the repository's own files are."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

PACKAGE_FOLDERS: Final = (
    ROOT / "core/src",
    ROOT / "webserver/src",
    *sorted(ROOT.glob("providers/*/src")),
)
"""Folders whose children are import packages that users install."""

PYTHON_PLACES: Final = (
    *PACKAGE_FOLDERS,
    ROOT / "tests",
    ROOT / "dags",
    ROOT / "plugins",
    ROOT / "noxfile.py",
)
TEXT_PLACES: Final = (
    *PYTHON_PLACES,
    ROOT / "docs",
    *sorted(ROOT.glob("*.md")),
    ROOT / "dev",
    ROOT / ".ci/run",
)
TEXT_SUFFIXES: Final = frozenset({"", ".css", ".html", ".js", ".md", ".py", ".sh", ".toml", ".txt"})
WRONG_ON_PURPOSE: Final = "broken_dags"
"""Folders with this name hold DAG files that tests need to be bad."""


def files_below(place: Path) -> list[Path]:
    """Return the files of a place: itself, or all below it that no tool has made."""
    if place.is_file():
        return [place]
    return sorted(
        path
        for path in place.rglob("*")
        if path.is_file() and not {"__pycache__", WRONG_ON_PURPOSE} & set(path.relative_to(place).parts)
    )


def python_files() -> list[Path]:
    """Return every Python file that people of this project write."""
    return [path for place in PYTHON_PLACES for path in files_below(place) if path.suffix == ".py"]


def text_files() -> list[Path]:
    """Return every file of ours that a person reads."""
    return [path for place in TEXT_PLACES for path in files_below(place) if path.suffix in TEXT_SUFFIXES]


def module_name(path: Path, folder: Path) -> str:
    """Return the dotted name by which a file below the folder is imported."""
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def installed_modules() -> dict[str, Path]:
    """Return the modules that users install, by their dotted names."""
    return {
        module_name(path, folder): path
        for folder in PACKAGE_FOLDERS
        for path in files_below(folder)
        if path.suffix == ".py"
    }


def relative(path: Path) -> str:
    """Return the path as people of this project say it."""
    return path.relative_to(ROOT).as_posix()
