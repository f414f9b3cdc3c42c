"""What counts as a DAG file, and what a look at a folder survives."""

import os
from pathlib import Path

import pytest

from tradewind.dagbag.discover import FolderGoneError, look, parse_pattern, read


def found(folder: Path) -> list[str]:
    return sorted(look(str(folder)).files)


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import tradewind\n")


def test_python_files_at_any_depth_are_found(folder: Path) -> None:
    make(folder, "a.py", "team/b.py", "team/deep/c.py", "d.txt", "e.pyc", "f.py.bak", "py")
    assert found(folder) == ["a.py", "team/b.py", "team/deep/c.py"]


def test_hidden_things_and_caches_are_left_out(folder: Path) -> None:
    make(
        folder, ".a.py", ".git/b.py", "__pycache__/c.py", "team/__pycache__/d.py", "node_modules/e.py", "f.py"
    )
    assert found(folder) == ["f.py"]


def test_what_is_no_plain_file_is_left_out(folder: Path) -> None:
    make(folder, "a.py")
    os.mkfifo(folder / "pipe.py")
    (folder / "folder.py").mkdir()
    (folder / "nowhere.py").symlink_to(folder / "gone.py")
    (folder / "null.py").symlink_to("/dev/null")
    listing = look(str(folder))
    assert (sorted(listing.files), listing.problems, listing.complete) == (["a.py"], [], True)


def test_reading_a_pipe_fails_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")
    with pytest.raises(OSError, match="is no plain file"):
        read(str(folder / "pipe.py"), 10)


def test_links_are_followed_and_loops_end(folder: Path, tmp_path: Path) -> None:
    make(folder, "a.py", "team/b.py")
    make(tmp_path, "elsewhere/c.py")
    (folder / "team" / "up").symlink_to(folder)
    (folder / "team" / "self").symlink_to(folder / "team")
    (folder / "other").symlink_to(tmp_path / "elsewhere")
    (folder / "twin.py").symlink_to(folder / "a.py")
    (folder / "round.py").symlink_to(folder / "round.py")
    listing = look(str(folder))
    assert sorted(listing.files) == ["a.py", "other/c.py", "team/b.py", "twin.py"]
    assert [
        problem for problem in listing.problems if not problem.startswith("round.py cannot be read")
    ] == []


def test_a_name_that_is_not_utf8_is_a_problem_and_no_file(folder: Path) -> None:
    make(folder, "a.py")
    with open(os.fsencode(folder) + b"/caf\xe9.py", "wb"):  # noqa: PTH123 - pathlib takes no bytes
        pass
    listing = look(str(folder))
    assert sorted(listing.files) == ["a.py"]
    assert listing.problems == ["'caf\\udce9.py' has a name that is not UTF-8; rename it"]


def test_a_folder_that_is_not_there_says_so(folder: Path) -> None:
    make(folder, "a.py")
    with pytest.raises(FolderGoneError, match="No such file or directory"):
        look(str(folder / "nothing"))
    with pytest.raises(FolderGoneError, match="it is no folder"):
        look(str(folder / "a.py"))


def test_ignore_files_count_from_their_folder(folder: Path) -> None:
    make(
        folder,
        "a.py",
        "old/b.py",
        "old/keep.py",
        "team/a.py",
        "team/x_test.py",
        "team/deep/y_test.py",
        "test.py",
    )
    (folder / ".tradewindignore").write_text("# a comment\n\n*_test.py\n/test.py\nold/*\n!keep.py\n")
    (folder / "team" / ".tradewindignore").write_text("/a.py\n")
    assert found(folder) == ["a.py", "old/keep.py"]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.py", "a.py", True),
        ("a?.py", "ab.py", True),
        ("[ab].py", "c.py", False),
        ("/drafts/*.py", "drafts/a.py", True),
        ("/drafts/*.py", "drafts/deep/a.py", False),
        ("drafts/*.py", "team/drafts/a.py", False),
        ("**/drafts/*.py", "drafts/a.py", True),
        ("**/drafts/*.py", "x/y/drafts/a.py", True),
        ("x/**/a.py", "x/a.py", True),
        ("x/**/a.py", "x/y/z/a.py", True),
        ("a.b", "aXb", False),
        ("[!ab].py", "c.py", True),
        ("[!ab].py", "a.py", False),
        ("[^a].py", "^.py", True),
        ("a[.py", "a[.py", True),
    ],
)
def test_a_pattern_matches(pattern: str, path: str, matches: bool) -> None:
    parsed = parse_pattern(pattern)
    assert (parsed.text.fullmatch(path) is not None) == matches


def test_a_pattern_for_folders_leaves_files_alone(folder: Path) -> None:
    make(folder, "old/a.py", "x/old/b.py", "x/old.py")
    (folder / ".tradewindignore").write_text("old/\n")
    assert found(folder) == ["x/old.py"]


def test_a_broken_ignore_file_is_a_problem(folder: Path) -> None:
    make(folder, "a.py")
    (folder / ".tradewindignore").write_bytes(b"\xff\xfe")
    listing = look(str(folder))
    assert (sorted(listing.files), listing.complete) == (["a.py"], False)


def test_a_line_that_is_no_pattern_is_a_problem(folder: Path) -> None:
    make(folder, "a.py", "b.py")
    (folder / ".tradewindignore").write_text("[z-a].py\nb.py\n")
    listing = look(str(folder))
    assert (sorted(listing.files), listing.problems) == (
        ["a.py"],
        [f"line 1 of {folder}/.tradewindignore is no pattern: [z-a].py"],
    )
