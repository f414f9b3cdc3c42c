"""Every command line in the documentation is one that the program accepts."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from tests.docs.blocks import blocks, pages
from tests.tidy.source import ROOT
from tradewind.cli.main import cli

# A line that runs the program, as another user or from another folder, too.
PROGRAM = re.compile(r"^(?:sudo -u \w+ )?(?:\w+=\S+ )*(?:\S+/)?tradewind (.+)$")
STAND_INS = {"DAG": "sales", "RUN": "latest", "TASK": "load", "N": "1"}


def shown_commands() -> Iterator[tuple[str, str, bool]]:
    """Yield place and arguments of each command, and whether it has to be whole, as lines of shell blocks are."""
    for block in blocks("sh"):
        for number, line in enumerate(block.text.splitlines()):
            match = PROGRAM.match(line)
            if match:
                yield f"{block.page}:{block.line + number}", match[1], True
    for page in [*pages(), ROOT / "README.md"]:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for match in re.finditer(r"`tradewind ([^`]+)`", text):
            yield page.name, match[1], False


COMMANDS = sorted(set(shown_commands()))


def parse(line: str) -> click.Context:
    """Parse a command line as far as its last command, running nothing."""
    given = [STAND_INS.get(word, word) for word in shlex.split(line, comments=True)]
    context = click.Context(cli, info_name="tradewind")
    command: click.Command = cli
    while isinstance(command, click.Group) and given:
        found = command.get_command(context, given[0])
        assert found is not None, f"there is no command {context.command_path} {given[0]}"
        context = click.Context(found, info_name=given[0], parent=context)
        command, given = found, given[1:]
    if isinstance(command, click.Group):
        return context
    return command.make_context(context.info_name, given, parent=context.parent)


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 40


@pytest.mark.parametrize(("place", "line", "whole"), COMMANDS, ids=str)
def test_a_shown_command_is_accepted(
    place: str, line: str, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    monkeypatch.chdir(ROOT)
    try:
        parse(line)
    except click.MissingParameter:
        assert not whole, f"{place}: {line}"
