"""Every check of this folder finds a small bad sample, and lets a good one pass."""

from pathlib import Path

import pytest

from tests.tidy import checks, import_each
from tests.tidy.cycles import cycles, import_graph, imports
from tests.tidy.source import ROOT, files_below, module_name


def test_a_file_may_have_500_lines_but_not_501() -> None:
    assert checks.long_file("x\n" * 500) == []
    assert checks.long_file("x\n" * 501) == ["has 501 lines, over 500"]


def test_a_function_may_have_60_lines_but_not_61() -> None:
    text = (
        "class A:\n    async def fits(self):\n"
        + "        x\n" * 59
        + "    def long(self):\n"
        + "        x\n" * 60
    )
    assert checks.long_functions(text) == {"A.long": 61}


def test_a_function_inside_another_is_measured_too() -> None:
    text = "def outer():\n    def inner():\n" + "        x\n" * 60
    assert checks.long_functions(text) == {"outer": 62, "outer.inner": 61}


def test_vague_names_are_found_in_folders_and_files() -> None:
    assert checks.vague_name("core/src/tradewind/utils/text.py") == [
        "is called 'utils', which does not say what it is for"
    ]
    assert checks.vague_name("core/src/tradewind/manager.py") == [
        "is called 'manager', which does not say what it is for"
    ]
    assert checks.vague_name("core/src/tradewind/basement.py") == []


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["is empty; say in a docstring what the package holds"]),
        ("x = 1\n", ["has no docstring that says why it exists"]),
        ('"""Does a thing\nand more."""\n', ["starts with half a sentence: 'Does a thing'"]),
        ('"""Does a thing."""\n', []),
    ],
)
def test_docstrings(text: str, problems: list[str]) -> None:
    assert checks.docstring(text) == problems


def test_machine_paths() -> None:
    home = "/" + "home/ann"
    text = (
        f"fine: /usr/bin/env, $HOME/x, ~/work/x, https://host/work/x\n"
        f"bad: {home}/x and 'C:{chr(92)}Users{chr(92)}ann'\n"
    )
    assert checks.machine_paths(text) == [f"line 2 names {home}", "line 2 names C:\\Users\\"]


def test_postponed_work() -> None:
    word = "TO" + "DO"
    assert checks.postponed(f"a\nb  # {word}: later\ntodo lists are fine\n") == [
        f"line 2 postpones work: {word}"
    ]


BROAD = "try:\n    x\nexcept {}:{}\n    {}\n"


@pytest.mark.parametrize(
    ("clause", "comment", "body", "problems"),
    [
        ("Exception", "", "pass", 1),
        ("(ValueError, Exception)", "", "pass", 1),
        ("BaseException", "  # noqa: BLE001", "pass", 1),
        ("", "", "pass", 1),
        ("Exception", "  # noqa: BLE001 - a plugin may raise anything", "pass", 0),
        ("Exception", "", "raise", 0),
        ("ValueError", "", "pass", 0),
    ],
)
def test_broad_handlers_say_why(clause: str, comment: str, body: str, problems: int) -> None:
    assert len(checks.broad_handlers(BROAD.format(clause, comment, body))) == problems


def test_public_names_of_a_package() -> None:
    text = (
        "import os\nfrom typing import TYPE_CHECKING, Final\n"
        "from tradewind.domain.graph import Graph as Net, _private\n"
        "if TYPE_CHECKING:\n    from tradewind.domain.rules import Rule\n"
        "LIMIT: Final = 3\n__version__ = '1'\n"
        "def order(): ...\nclass Path: ...\n"
        "__all__ = ['LIMIT', 'Gone']\n"
    )
    assert checks.public_names(text) == ({"Net", "Rule", "LIMIT", "order", "Path"}, {"LIMIT", "Gone"})


def test_imports_are_found_wherever_they_stand() -> None:
    known = frozenset({"t", "t.a", "t.a.x", "t.b", "t.c", "t.c.y", "t.d", "t.e"})
    text = (
        "import os, t.b\nfrom t.c import y, other\nfrom . import z\nfrom .x import X\n"
        "def f():\n    from t import d\nif TYPE_CHECKING:\n    from ..e import E\n"
    )
    assert imports("t.a", True, text, known) == {"t.a.x", "t.b", "t.c", "t.c.y", "t.d", "t.e"}
    assert imports("t.a.x", False, text, known) == {"t.b", "t.c", "t.c.y", "t.d", "t.e"}


def test_the_import_graph_is_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/__init__.py").write_text('"""P."""\n')
    (tmp_path / "p/a.py").write_text("from p import b\n")
    (tmp_path / "p/b.py").write_text("def f():\n    import p.a\n")
    modules = {module_name(path, tmp_path): path for path in files_below(tmp_path)}
    graph = import_graph(modules)
    assert graph == {"p": set(), "p.a": {"p.b"}, "p.b": {"p.a"}}
    assert cycles(graph) == [["p.a", "p.b"]]


def test_every_cycle_is_found_as_one_group() -> None:
    ring = {str(n): {str((n + 1) % 5)} for n in range(5)}
    bridge = {"in": {"0"}, "3": {"4", "out"}, "out": {"a"}, "a": {"b"}, "b": {"c", "out2"}, "c": {"a"}}
    assert cycles({**ring, **bridge}) == [["0", "1", "2", "3", "4"], ["a", "b", "c"]]
    assert cycles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []


def test_a_chain_of_thousands_needs_no_recursion() -> None:
    size = 3000
    assert cycles({str(n): {str(n + 1)} for n in range(size)}) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import warnings\nwarnings.warn('old', DeprecationWarning)\n", "DeprecationWarning: old"),
        ("import sample_gone\n", "ModuleNotFoundError: No module named 'sample_gone'"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("import os\nos._exit(4)\n", "the import ended the process with status 1024"),
        (
            "from threading import *\nThread(target=Event().wait, name='idle', daemon=True).start()\n",
            "starts threads at import: idle",
        ),
        ("import sys\n", ""),
    ],
)
def test_a_module_that_does_not_import_alone_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    (tmp_path / "sample.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = import_each.problem_in_a_fork("sample")
    assert found.split(" (")[0] == (f"sample: {problem}" if problem else "")


def test_places_exist() -> None:
    assert [
        place for place in ("core/src/tradewind", "tests", "dev", ".ci/run") if not (ROOT / place).exists()
    ] == []
