"""The set-up script finds a Python, says in one line what is missing, and installs nothing twice.

The Pythons here are shell scripts that answer its questions and write down what they are asked to do.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tidy.source import ROOT

SHELL_TOOLS = ("sh", "dirname", "sed", "cat", "cksum", "rm", "mkdir", "cp", "chmod")

FAKE_PYTHON = """#!/bin/sh
# A stand-in for Python {version}; {missing} cannot be imported.
case "$*" in
*sys.exit*) exit {unsupported} ;;
*'print("%d'*) echo {version} ;;
"-c import "*) case " {missing} " in *" ${{2#import }} "*) exit 1 ;; esac ;;
"-m pip --version") case " {missing} " in *" pip "*) exit 1 ;; esac ;;
"-m venv "*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python"; echo "$*" >>"{log}" ;;
-m*) echo "$*" >>"{log}" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What a call of the script printed and did."""

    status: int
    errors: list[str]
    actions: list[str]


@dataclass(frozen=True, slots=True)
class Machine:
    """A clone of the repository, and a PATH that holds the shell's tools and the Pythons given to it."""

    clone: Path
    path: Path
    log: Path

    def give_python(
        self, name: str, version: str = "3.12", *, missing: str = "", unsupported: int = 0
    ) -> None:
        python = self.path / name
        python.write_text(
            FAKE_PYTHON.format(version=version, missing=missing, unsupported=unsupported, log=self.log)
        )
        python.chmod(0o755)

    def dev(self, *arguments: str, cwd: Path | None = None) -> Result:
        self.log.write_text("")
        done = subprocess.run(
            [self.clone / "dev", *arguments],
            cwd=cwd or self.clone,
            env={"PATH": str(self.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        actions = self.log.read_text().replace(str(self.clone), "CLONE").splitlines()
        return Result(done.returncode, done.stderr.replace(str(self.clone), "CLONE").splitlines(), actions)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    clone, path = tmp_path / "a clone", tmp_path / "bin"
    (clone / "core").mkdir(parents=True)
    path.mkdir()
    shutil.copy(ROOT / "dev", clone)
    shutil.copy(ROOT / "core/pyproject.toml", clone / "core")
    for tool in SHELL_TOOLS:
        (path / tool).symlink_to(str(shutil.which(tool)))
    return Machine(clone, path, tmp_path / "log")


INSTALL_TOOLS = "-m pip install --quiet --disable-pip-version-check nox>=2025.5.1 uv>=0.9"


def test_without_python_it_says_so(machine: Machine) -> None:
    message = (
        "dev: python3 is missing; install Python 3.11 or newer (Debian: apt install python3 python3-venv)"
    )
    assert machine.dev("test") == Result(1, [message], [])


def test_an_old_python_is_named(machine: Machine) -> None:
    machine.give_python("python3", "3.9", unsupported=1)
    message = (
        "dev: Python 3.11 to 3.14 is needed, but python3 is 3.9; install a newer one beside it "
        "(Debian: apt install python3)"
    )
    assert machine.dev("demo") == Result(1, [message], [])


def test_a_missing_venv_module_is_named(machine: Machine) -> None:
    machine.give_python("python3", missing="venv")
    message = "dev: python3 has no venv module; install it (Debian: apt install python3-venv)"
    assert machine.dev("test") == Result(1, [message], [])


def test_without_ensurepip_the_system_pip_fills_the_environment(machine: Machine) -> None:
    machine.give_python("python3", missing="ensurepip")
    assert machine.dev("nox") == Result(
        0,
        ["dev: making .venv with python3"],
        [
            "-m venv --clear --without-pip CLONE/.venv",
            "-m pip --disable-pip-version-check --python CLONE/.venv/bin/python install --quiet pip",
            INSTALL_TOOLS,
            "-m nox",
        ],
    )


def test_without_ensurepip_and_pip_it_says_what_to_install(machine: Machine) -> None:
    machine.give_python("python3", missing="ensurepip pip")
    assert machine.dev("test") == Result(
        1,
        [
            "dev: making .venv with python3",
            "dev: python3 has neither ensurepip nor pip; install one (Debian: apt install python3-venv)",
        ],
        [],
    )


def test_the_newest_supported_python_is_taken_and_nothing_is_installed_twice(
    machine: Machine, tmp_path: Path
) -> None:
    machine.give_python("python3")
    machine.give_python("python3.14", unsupported=1)  # a shim that only complains
    machine.give_python("python3.13")
    machine.give_python("python3.12")
    run_tests = "-m nox --session tests -- tests/domain -x"
    assert machine.dev("test", "tests/domain", "-x", cwd=tmp_path) == Result(
        0, ["dev: making .venv with python3.13"], ["-m venv --clear CLONE/.venv", INSTALL_TOOLS, run_tests]
    )
    assert machine.dev("test", "tests/domain", "-x") == Result(0, [], [run_tests])


def test_the_demo_installs_the_core_again_only_when_its_settings_changed(machine: Machine) -> None:
    machine.give_python("python3")
    machine.dev("nox")
    tradewind = machine.clone / ".venv/bin/tradewind"
    tradewind.write_text(f'#!/bin/sh\necho "tradewind $*" >>"{machine.log}"\n')
    tradewind.chmod(0o755)
    install = "-m pip install --quiet --disable-pip-version-check --editable CLONE/core"
    assert machine.dev("demo", "--once") == Result(0, [], [install, "tradewind demo --once"])
    assert machine.dev("demo") == Result(0, [], ["tradewind demo"])
    (machine.clone / "core/pyproject.toml").write_text("[project]\n")
    assert machine.dev("demo") == Result(0, [], [install, "tradewind demo"])


def break_python(machine: Machine) -> None:
    machine.give_python("../a clone/.venv/bin/python", "3.9", unsupported=1)


def break_pip(machine: Machine) -> None:
    machine.give_python("../a clone/.venv/bin/python", missing="pip")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_python, "has a Python that is not 3.11 to 3.14; remove that folder and run this again"),
        (break_pip, "has no pip (was its making interrupted?); remove that folder and run this again"),
    ],
)
def test_an_unusable_environment_is_left_alone_and_named(
    machine: Machine, damage: Callable[[Machine], None], message: str
) -> None:
    machine.give_python("python3")
    machine.dev("nox")
    damage(machine)
    assert machine.dev("test") == Result(1, [f"dev: CLONE/.venv {message}"], [])


def test_an_unknown_command_is_answered_with_the_known_ones(machine: Machine) -> None:
    message = 'dev: there is no command "tset"; there are: demo, test, nox, help'
    assert machine.dev("tset") == Result(1, [message], [])


@pytest.mark.parametrize("script", ["dev", ".ci/run"])
def test_the_scripts_can_be_run(script: str) -> None:
    path = ROOT / script
    shell = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("#!").split()
    subprocess.run([*shell, "-n", path], check=True, timeout=30)
    assert os.access(path, os.X_OK)
