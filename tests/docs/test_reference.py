"""The reference is what the code says, and nothing the code has is missing from it."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import tradewind.errors
import tradewind.operators
import tradewind.sensors
from tests.docs.blocks import DOCS
from tests.tidy.source import ROOT
from tradewind import config
from tradewind.authoring.options import TaskOptions
from tradewind.domain.reasons import ReasonKind
from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import RunEvent, RunState, TaskEvent, TaskState

REFERENCE = DOCS / "reference"


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


def text_of(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(GENERATOR.PAGES))
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert text_of(name) == GENERATOR.PAGES[name](), "run: python docs/generate.py"


def test_every_setting_stands_there_with_a_meaning() -> None:
    for section, kind in config.sections().items():
        said = GENERATOR.notes(kind)
        assert f"## `[{section}]`" in text_of("settings.md")
        assert [name for name in kind.__struct_fields__ if not said.get(name)] == []
        assert [
            name for name in kind.__struct_fields__ if f"| `{name}` |" not in text_of("settings.md")
        ] == []


@pytest.mark.parametrize("kind", [TaskState, RunState, TaskEvent, RunEvent, ReasonKind])
def test_every_state_event_and_reason_stands_there_with_a_meaning(kind: type[TaskState]) -> None:
    said = GENERATOR.notes(kind)
    assert [member for member in kind if not said.get(member.name)] == []
    assert [member for member in kind if f"| `{member}` |" not in text_of("states.md")] == []


def test_no_meaning_is_kept_for_what_is_gone_or_said_in_the_code() -> None:
    kinds = {kind.__name__: kind for kind in (TaskState, RunState, TaskEvent, RunEvent, ReasonKind)}
    sections = {kind.__name__: kind for kind in config.sections().values()}
    known = {f"{name}.{member.name}" for name, kind in kinds.items() for member in kind}
    known |= {f"{name}.{field}" for name, kind in sections.items() for field in kind.__struct_fields__}
    assert set(GENERATOR.MEANINGS) - known == set()


def test_every_error_operator_and_argument_stands_there() -> None:
    errors, operators = text_of("errors.md"), text_of("operators.md")
    assert [name for name in tradewind.errors.__all__ if f"| `{name}` |" not in errors] == []
    names = [*tradewind.operators.__all__, *tradewind.sensors.__all__]
    assert [name for name in names if f"### `{name}`" not in operators] == []
    assert set(GENERATOR.OPTIONS) == set(TaskOptions.__annotations__)
    assert set(GENERATOR.RULES) == set(TriggerRule)


def test_every_command_stands_there_and_each_says_what_it_does() -> None:
    headings = re.findall(r"^## `(.+)`$", text_of("cli.md"), re.MULTILINE)
    assert headings == [context.command_path for _command, context in GENERATOR.commands()]
    assert [context.command_path for command, context in GENERATOR.commands() if not command.help] == []


def test_every_page_is_reached_from_an_index() -> None:
    def listed(folder: Path) -> set[str]:
        text = (folder / "index.md").read_text(encoding="utf-8")
        entries = re.findall(r"^([\w*-]+)$", text.partition("```{toctree}")[2], re.MULTILINE)
        return {path.stem for entry in entries for path in folder.glob(f"{entry}.md")}

    for folder in (DOCS / "how-to", DOCS / "concepts", REFERENCE):
        assert listed(folder) >= {path.stem for path in folder.glob("*.md")} - {"index"}


def test_the_readers_are_not_sent_to_files_that_are_not_there() -> None:
    named = {
        name
        for page in DOCS.rglob("*.md")
        if page.parent.name != "decisions"
        for name in re.findall(r"`((?:dags|plugins)/\w+\.py)`", page.read_text(encoding="utf-8"))
    }
    own = {"dags/first_steps.py", "plugins/mine.py"}
    assert {name for name in named - own if not (ROOT / name).exists()} == set()
