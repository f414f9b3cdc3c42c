"""The source keeps its shape: sizes, names, docstrings, paths, promises."""

import ast
import importlib
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tidy import checks, exceptions
from tests.tidy.source import (
    PACKAGE_FOLDERS,
    ROOT,
    files_below,
    installed_modules,
    module_name,
    python_files,
    relative,
    text_files,
)


def problems(files: list[Path], check: Callable[[str], list[str]]) -> list[str]:
    return [
        f"{relative(path)} {found}" for path in files for found in check(path.read_text(encoding="utf-8"))
    ]


def test_no_file_is_longer_than_500_lines_without_a_reason() -> None:
    long = {relative(path) for path in python_files() if checks.long_file(path.read_text(encoding="utf-8"))}
    assert long == set(exceptions.LONG_FILES)


def test_no_function_is_longer_than_60_lines_without_a_reason() -> None:
    long = {
        f"{relative(path)}::{name}"
        for path in python_files()
        for name in checks.long_functions(path.read_text(encoding="utf-8"))
    }
    assert long == set(exceptions.LONG_FUNCTIONS)


def test_every_name_says_what_it_is_for() -> None:
    vague = {relative(path) for path in python_files() if checks.vague_name(relative(path))}
    assert vague - set(exceptions.MEANT_NAMES) == set()


def test_every_module_says_why_it_exists() -> None:
    assert problems(python_files(), checks.docstring) == []


def test_no_path_of_one_machine() -> None:
    assert problems(text_files(), checks.machine_paths) == []


def test_no_work_is_postponed_in_the_source() -> None:
    assert problems(text_files(), checks.postponed) == []


def test_whoever_catches_everything_says_why() -> None:
    files = [path for folder in PACKAGE_FOLDERS for path in files_below(folder) if path.suffix == ".py"]
    assert problems(files, checks.broad_handlers) == []


def package_inits() -> list[Path]:
    return [path for path in installed_modules().values() if path.name == "__init__.py"]


@pytest.mark.parametrize("path", package_inits(), ids=relative)
def test_a_package_promises_exactly_what_it_shows(path: Path) -> None:
    visible, promised = checks.public_names(path.read_text(encoding="utf-8"))
    folder = next(folder for folder in PACKAGE_FOLDERS if path.is_relative_to(folder))
    package = importlib.import_module(module_name(path, folder))
    kept = {name for name in promised if hasattr(package, name)}
    assert (kept, visible - promised) == (promised, set())


@pytest.mark.parametrize("folder", PACKAGE_FOLDERS, ids=relative)
def test_a_distribution_is_complete(folder: Path) -> None:
    (package,) = (path.parent for path in folder.glob("*/__init__.py"))
    settings = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (package / "py.typed").exists()
    assert (folder.parent / "README.md").exists()
    assert (folder.parent / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert settings["name"].replace("-", "_") == package.name
    assert settings["license"] == "Apache-2.0"
    assert settings["requires-python"] == ">=3.11,<3.15"


@pytest.mark.parametrize("folder", PACKAGE_FOLDERS, ids=relative)
def test_a_distribution_knows_its_version(folder: Path) -> None:
    (init,) = folder.glob("*/__init__.py")
    settings = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert importlib.import_module(init.parent.name).__version__ == settings["version"]


def test_every_python_file_parses_with_the_oldest_supported_python() -> None:
    for path in python_files():
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 11))
