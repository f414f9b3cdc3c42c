"""The checks and jobs of this repository; `./dev nox --list` shows them, `./dev nox` runs the usual ones."""

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "contracts", "tests"]
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
DISTRIBUTIONS = ["core", "webserver"]
CORE_WITH_DRIVERS = ["-e", "core[postgres,mysql]"]
TEST_PROCESSES = "2"


def install(session: nox.Session, group: str, *packages: str) -> None:
    """Install a dependency group of pyproject.toml beside the given packages."""
    session.install("--quiet", *packages, *nox.project.dependency_groups(PROJECT, group))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    install(session, "lint")
    session.run("ruff", "check", *(session.posargs or ["."]))
    session.run("ruff", "format", "--check", *(session.posargs or ["."]))


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly; tests too."""
    install(session, "types", *CORE_WITH_DRIVERS, "-e", "webserver")
    session.run("mypy", *session.posargs)


@nox.session
def contracts(session: nox.Session) -> None:
    """Check which part may import which."""
    install(session, "contracts", *CORE_WITH_DRIVERS, "-e", "webserver")
    session.run("lint-imports", "--no-cache", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests in two processes; arguments go to pytest, which then runs in one."""
    install(session, "test", *CORE_WITH_DRIVERS, "-e", "webserver")
    in_parallel = ["--numprocesses", TEST_PROCESSES, "--dist", "loadfile", "--quiet"]
    session.run("pytest", *(session.posargs or in_parallel))


@nox.session
def simulation(session: nox.Session) -> None:
    """Run the real scheduler code against seeded faults on a virtual clock: `-- --seconds 120`."""
    install(session, "test", *CORE_WITH_DRIVERS)
    session.run("python", "-m", "tradewind.testing.simulation", *(session.posargs or ["--seconds", "120"]))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the budgets, each beside the limit of this machine."""
    install(session, "test", *CORE_WITH_DRIVERS)
    session.run("python", "-m", "tests.performance", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build every distribution into dist/, then check what installing the core alone brings."""
    session.install("--quiet", "build")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for distribution in DISTRIBUTIONS:
        session.run("python", "-m", "build", "--outdir", str(dist), distribution, silent=True)
    check_installed(session, dist)


@nox.session(python=PYTHONS)
def packaging(session: nox.Session) -> None:
    """Build and install the core with each supported Python that this machine has."""
    session.install("--quiet", "build")
    dist = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--wheel", "--outdir", str(dist), "core", silent=True)
    check_installed(session, dist)


def check_installed(session: nox.Session, dist: Path) -> None:
    """Install the core's wheel into a new environment with plain pip, and hold it to its budgets."""
    environment = Path(session.create_tmp()).resolve() / "installed"
    session.run("python", "-m", "venv", "--clear", str(environment))
    python = str(environment / "bin" / "python")
    wheel = next(dist.glob("tradewind-*.whl"))
    session.run(python, "-m", "pip", "install", "--quiet", str(wheel), external=True)
    session.run(python, "-m", "pip", "check", external=True)
    session.run(python, "tests/packaging/installed.py", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into build/docs; a warning is an error."""
    install(session, "docs", *CORE_WITH_DRIVERS)
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", "build/docs", *session.posargs)
    session.log(f"open {os.path.relpath(ROOT / 'build' / 'docs' / 'index.html')}")
