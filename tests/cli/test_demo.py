"""The demo of a clone: the main example runs on the real data, in a copy of the clone's folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.house import House
from tests.tidy.source import ROOT
from tradewind.cli.demo import find_clone, write_settings
from tradewind.config import load_settings
from tradewind.errors import ConfigError


def test_a_clone_is_found_from_below(tmp_path: Path) -> None:
    (tmp_path / "dags" / "deep").mkdir(parents=True)
    (tmp_path / "dags" / "seattle_weather.py").touch()
    assert find_clone(tmp_path / "dags" / "deep") == tmp_path
    with pytest.raises(ConfigError, match="The demo needs a clone of the repository"):
        find_clone(Path("/proc"))


def test_its_home_points_to_the_examples_and_keeps_what_a_person_changed(tmp_path: Path) -> None:
    home = tmp_path / ".demo"
    write_settings(home)
    settings = load_settings({}, home)
    assert (settings.dags_path.resolve(), settings.plugins_path.resolve()) == (
        tmp_path / "dags",
        tmp_path / "plugins",
    )
    (home / "tradewind.toml").write_text("[executor]\nparallelism = 2\n")
    write_settings(home)
    assert load_settings({}, home).executor.parallelism == 2


@pytest.mark.acceptance
@pytest.mark.slow
def test_demo_once(tmp_path: Path) -> None:
    for folder in ("dags", "plugins"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    house = House(tmp_path / ".demo")
    done = subprocess.run(
        [sys.executable, "-m", "tradewind", "demo", "--once"],
        cwd=tmp_path,
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done
    assert "seattle_weather ended as success" in done.stdout
    assert str(tmp_path / ".demo" / "seattle_weather" / "report.html") in done.stdout
    assert (tmp_path / ".demo" / "seattle_weather" / "report.html").stat().st_size > 0
    assert house.processes() == []
    assert house.call("runs", "list", "seattle_weather", "--state", "success", "-o", "plain").out
