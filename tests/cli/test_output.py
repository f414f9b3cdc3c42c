"""What is printed for people: tables, YAML, redrawing, durations; colours only where they may be."""

from __future__ import annotations

import io
import json
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind import config
from tradewind.cli.output import terminal
from tradewind.cli.output.live import Live
from tradewind.cli.output.table import table_lines
from tradewind.cli.output.words import age, instant, lasted
from tradewind.cli.output.yaml_text import to_yaml
from tradewind.cli.settings_text import commented_settings
from tradewind.domain.spec import DagSpec, TaskSpec


def lines(rows: list[list[str]], **more: Any) -> list[str]:
    plain = {"right": [False] * len(rows[0]), "styles": [[""] * len(rows[0])] * (len(rows) - 1)}
    return table_lines(rows[0], rows[1:], **{**plain, **more})


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert lines([["Name", "N"], ["a", "1"], ["longer", "22"]], right=[False, True]) == [
        "Name     N",
        "a        1",
        "longer  22",
    ]


def test_the_widest_column_gives_way_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "width", lambda: 24)
    drawn = lines([["Name", "Message"], ["load", "the quick brown fox jumps"]])
    assert drawn == ["Name  Message", "load  the quick brown f…"]
    assert max(map(len, drawn)) == 24


def test_wide_letters_take_two_columns() -> None:
    assert lines([["A", "B"], ["日本", "x"], ["ab", "y"]]) == ["A     B", "日本  x", "ab    y"]


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.styled("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert terminal.styled("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.styled("x", "red", Terminal()) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.styled("x", "red", Terminal()) == "x"


def test_a_log_line_cannot_drive_the_terminal() -> None:
    assert terminal.harmless("a\x1b[2Jb\x07c\x9bd") == "a\ufffd[2Jb\ufffdc\ufffdd"


def test_a_live_picture_replaces_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "width", lambda: 10)
    monkeypatch.setattr(terminal, "height", lambda: 4)
    stream = io.StringIO()
    live = Live(stream)
    live.draw(["one", "two"])
    live.draw(["one", "two"])
    live.draw(["three", "a line that is too long", "x", "not shown"])
    assert stream.getvalue() == "one\ntwo\n\x1b[2F\x1b[Jthree\na line th…\nx\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def read_yaml(text: str) -> Any:
    """Read the YAML that this program writes: block lists and maps, and scalars that are JSON or plain words."""
    found, rest = _block(text.splitlines(), 0)
    assert rest == []
    return found


def _block(rows: list[str], depth: int) -> tuple[Any, list[str]]:
    pad = " " * depth
    body = rows[0][depth:]
    if body.startswith("- ") and not body.startswith('"'):
        items = []
        while rows and rows[0].startswith(f"{pad}- "):
            inner = [" " * (depth + 2) + rows[0][depth + 2 :], *rows[1:]]
            item, rows = _block(inner, depth + 2)
            items.append(item)
        return items, rows
    found = re.match(r'("(?:[^"\\]|\\.)*"|[A-Za-z][^":]*):( |$)', body)
    if found is None:
        return _scalar(body), rows[1:]
    pairs = {}
    while (
        rows
        and rows[0].startswith(pad)
        and (found := re.match(r'("(?:[^"\\]|\\.)*"|[A-Za-z][^":]*):( |$)', rows[0][depth:]))
    ):
        key, rest = _scalar(found[1]), rows[0][depth + found.end() :]
        if rest or found[2]:
            pairs[key], rows = _scalar(rest), rows[1:]
        else:
            below = rows[1:]
            deeper = depth if below[0][depth:].startswith("- ") else depth + 2
            pairs[key], rows = _block(below, deeper)
    return pairs, rows


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@given(JSON)
def test_yaml_keeps_every_value(value: Any) -> None:
    assert read_yaml(to_yaml(value)) == value


def test_words_that_yaml_would_take_for_something_else_are_quoted() -> None:
    assert to_yaml(["no", "1", "2026-01-01", "a: b", "- x", "", "plain text", "null", "é"]) == (
        '- "no"\n- "1"\n- "2026-01-01"\n- "a: b"\n- "- x"\n- ""\n- plain text\n- "null"\n- "é"\n'
    )


def test_durations_and_instants() -> None:
    now = datetime(2026, 1, 1, 6, tzinfo=UTC)
    assert [lasted(value) for value in (None, 0.4, 12.6, 185, 7300)] == [
        "",
        "0.40 s",
        "13 s",
        "3 min 5 s",
        "2 h 1 min",
    ]
    assert (age(now - timedelta(minutes=4), now), age(now + timedelta(hours=3), now)) == (
        "4 min ago",
        "in 3 h",
    )
    assert instant("2026-01-01T07:00:00+01:00") == "2026-01-01 06:00:00"


def test_the_settings_of_a_new_project_are_the_defaults() -> None:
    text = "\n".join(
        line.removeprefix("# ") if re.match(r"# \w+ = ", line) else line
        for line in commented_settings().splitlines()
    )
    defaults = {
        section: {
            field.name: list(field.default) if isinstance(field.default, tuple) else field.default
            for field in msgspec.structs.fields(kind)
            if field.default is not None
        }
        for section, kind in config.sections().items()
    }
    assert tomllib.loads(text) == defaults
    assert tomllib.loads(commented_settings()) == {section: {} for section in defaults}


def test_graphs_escape_what_the_tools_would_read() -> None:
    from tradewind.cli.graph_text import draw

    spec = DagSpec(
        dag_id="d",
        file="d.py",
        tasks=(TaskSpec(task_id="a", operator="Op"), TaskSpec(task_id="b", operator="Op", upstream=("a",))),
        labels=(("a", "b", "only on Mondays"),),
    )
    assert draw(spec, "mermaid", left_to_right=True) == (
        'flowchart LR\n    t0["a"]\n    t1["b"]\n    t0 -- only on Mondays --> t1\n'
    )
    assert '"a" -> "b" [label="only on Mondays"];' in draw(spec, "dot")


def test_pipes_that_end_early_are_no_error(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m tradewind config list | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={"TRADEWIND_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_help_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    script = (
        "import sys; from tradewind.cli.main import main; main(['--help']);"
        "heavy = {'msgspec', 'sqlalchemy', 'jsonschema', 'jinja2', 'cryptography', 'pluggy', 'tradewind.domain',"
        " 'tradewind.bootstrap', 'tradewind.config'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
