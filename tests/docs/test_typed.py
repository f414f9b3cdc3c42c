"""The tutorial and the guides' commands, typed in their order into a shell, print what the pages show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, Block, blocks_of
from tests.docs.shell import Shell
from tests.tidy.source import ROOT

GUIDES = ["how-to/pools.md", "how-to/test-dags.md", "how-to/write-a-plugin.md", "how-to/postgresql.md"]

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    assert made.stop() == [0] * len(made.servers)


def test_the_tutorial(shell: Shell) -> None:
    for block in blocks_of(DOCS / "tutorial.md"):
        if block.note.startswith("not run: "):
            continue
        if block.language == "python":
            (shell.folder / block.note.removeprefix("as ")).write_text(block.text, encoding="utf-8")
        elif block.language == "text":
            shell.expect(block)
        elif block.note == "in the background":
            shell.start(block)
            shell.wait_for(lambda dags: [dag["last_state"] for dag in dags.values()] == ["success"] * 2)
        else:
            type_block(shell, block)


def type_block(shell: Shell, block: Block) -> None:
    before = shell.dags() if block.note == "changes the DAG" else {}
    assert shell.type(block) == (1 if block.note == "fails" else 0), f"{block.place}: {shell.printed}"
    if before:
        version = before["first_steps"]["version"]
        shell.wait_for(lambda dags: dags["first_steps"]["version"] > version)


@pytest.mark.parametrize("page", GUIDES)
def test_the_commands_of_a_guide(page: str, shell: Shell) -> None:
    prepare = "tradewind init project\ncd project\ntradewind db migrate --yes\n"
    assert shell.type(Block(page="preparation", line=1, language="sh", note="", text=prepare)) == 0, (
        shell.printed
    )
    (shell.folder / "dags/retries.py").write_bytes((ROOT / "dags/retries.py").read_bytes())
    for block in blocks_of(DOCS / page):
        if block.language == "python" and block.note.startswith("a plugin: "):
            (shell.folder / block.note.removeprefix("a plugin: ")).write_text(block.text, encoding="utf-8")
        if block.language == "sh" and not block.note.startswith("not run: "):
            assert shell.type(block) == 0, f"{block.place}: {shell.printed}"
