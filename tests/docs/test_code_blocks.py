"""Every block of code in the documentation is run, compiled or compared; none is only text."""

import configparser
import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import Block, blocks
from tests.tidy.source import ROOT
from tradewind.authoring.registry import collecting
from tradewind.config import load_settings
from tradewind.domain.spec import DagSpec, TaskSpec
from tradewind.domain.timetable import parse_schedule
from tradewind.plugins.check import check

PYTHON = blocks("python")
KNOWN_NOTES = ("", "fails")
LANGUAGES = {"python", "sh", "toml", "ini", "text", "mermaid"}


def named(block: Block) -> str:
    return block.place


def test_every_block_is_in_a_language_that_is_tested() -> None:
    from tests.docs.blocks import blocks_of, pages

    assert {block.language for page in pages() for block in blocks_of(page)} <= LANGUAGES


@pytest.mark.parametrize("block", [one for one in PYTHON if one.note in KNOWN_NOTES], ids=named)
def test_a_dag_does_what_its_page_says(block: Block) -> None:
    with collecting(file=block.place) as dags:
        exec(compile(block.text, block.place, "exec"), {"__name__": "documentation"})  # noqa: S102 - our own text
    assert dags, "a block without a DAG needs a note that says how it is tested"
    for dag in dags:
        expected = "failed" if block.note == "fails" else "success"
        result = dag.test(quiet=True)
        assert (dag.dag_id, result.state, result.reasons()) == (dag.dag_id, expected, result.reasons())


@pytest.mark.parametrize("block", [one for one in PYTHON if one.note.startswith("as ")], ids=named)
def test_a_shown_file_is_the_tested_one(block: Block) -> None:
    assert block.text == (ROOT / block.note.removeprefix("as ")).read_text(encoding="utf-8")


def test_the_test_of_a_dag_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [one for one in PYTHON if one.note.startswith("a test of ")]
    names: dict[str, Any] = {"__name__": "documentation"}
    exec(compile(block.text, block.place, "exec"), names)  # noqa: S102 - our own text
    monkeypatch.chdir(ROOT)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    for one in tests:
        assert inspect.isfunction(one)
        one()
    assert len(tests) == 1


def plugin_block() -> Block:
    (block,) = [one for one in PYTHON if one.note.startswith("a plugin: ")]
    return block


def test_the_plugin_passes_its_check(tmp_path: Path) -> None:
    block = plugin_block()
    file = tmp_path / Path(block.note.removeprefix("a plugin: ")).name
    file.write_text(block.text, encoding="utf-8")
    report = check(str(file))
    assert report.ok, report


def test_the_plugin_keeps_the_rules_of_the_house() -> None:
    names: dict[str, Any] = {"__name__": "house_rules"}
    exec(compile(plugin_block().text, "house_rules.py", "exec"), names)  # noqa: S102 - our own text
    task = TaskSpec(task_id="load", operator="PythonOperator")
    dag = DagSpec(dag_id="sales", file="sales.py", tasks=(task,))
    limited = names["task_policy"](task, dag)
    assert (limited.timeout_seconds, names["task_policy"](limited, dag)) == (6 * 3600.0, None)
    scheduled = DagSpec(
        dag_id="sales",
        file="sales.py",
        tasks=(task,),
        schedule=parse_schedule("@daily", timezone="UTC", anchor=None),
    )
    assert names["dag_policy"](dag) is None
    with pytest.raises(ValueError, match='DAG "sales" has a schedule but no owner'):
        names["dag_policy"](scheduled)
    assert names["thousands"](1234567) == "1,234,567"


@pytest.mark.parametrize("block", blocks("toml"), ids=named)
def test_settings_are_accepted(block: Block, tmp_path: Path) -> None:
    (tmp_path / "tradewind.toml").write_text(block.text, encoding="utf-8")
    shown = load_settings({}, tmp_path)
    assert shown != load_settings({}, tmp_path / "elsewhere")


def test_the_unit_starts_what_there_is() -> None:
    (block,) = blocks("ini")
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block.text)
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    assert service["ExecStart"].split()[0].endswith("/bin/tradewind")
    assert service["ExecStart"].split()[1:] == ["standalone"]
    home = service["Environment"].removeprefix("TRADEWIND_HOME=")
    assert (service["WorkingDirectory"], service["ReadWritePaths"]) == (home, home)
    grace = load_settings({}, Path(home)).executor.grace_seconds
    assert float(service["TimeoutStopSec"]) > grace + 10


def test_what_is_not_run_says_why() -> None:
    notes = [block.note for block in blocks("sh") if block.note.startswith("not run")]
    assert [note for note in notes if not note.startswith("not run: ")] == []
    known = ("as ", "a test of ", "a plugin: ")
    assert [
        one.place for one in PYTHON if one.note not in KNOWN_NOTES and not one.note.startswith(known)
    ] == []
