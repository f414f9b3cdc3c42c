"""Looks at the DAG folder by stat alone: which files could hold DAGs, and when each of them last changed."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

IGNORE_FILE = ".tradewindignore"
FILES_MAX = 100_000  # a folder with more is something else, such as a home folder
DEPTH_MAX = 50
IGNORED_NAMES = frozenset({"__pycache__", "node_modules"})
MARK = b"tradewind"  # a file without this word cannot make a DAG


class Stamp(NamedTuple):
    """What the file system says of a file's content; equal stamps mean equal content, but for the last moments."""

    changed_ns: int
    size: int
    inode: int


class Pattern(NamedTuple):
    """One line of an ignore file: like .gitignore, without its rarer forms."""

    text: re.Pattern[str]
    negated: bool
    folders_only: bool
    anywhere: bool  # it names a file or folder at any depth, not a path


@dataclass(slots=True)
class Listing:
    """One look at the folder. ``complete`` is False when a part of it could not be read."""

    files: dict[str, Stamp] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)  # absolute, all that were entered
    problems: list[str] = field(default_factory=list)
    entries: int = 0  # of any kind, in all folders

    @property
    def complete(self) -> bool:
        """Say whether what is not listed is not there."""
        return not self.problems


class FolderGoneError(Exception):
    """The DAG folder itself is not there, or is no folder."""


def look(folder: str) -> Listing:
    """Return the Python files below a folder, by their names relative to it.

    Hidden files and folders, ``__pycache__``, what ``.tradewindignore`` files name, and everything that is no plain
    file (pipes, sockets, devices) are left out. Links are followed; a folder that is reached twice is entered once.

    Raises:
        FolderGoneError: the folder is not there.
    """
    listing = Listing()
    try:
        seen = {_identity(Path(folder).stat())}
    except OSError as error:
        raise FolderGoneError(error.strerror or "it cannot be read") from None
    waiting: list[tuple[str, int, tuple[tuple[str, list[Pattern]], ...]]] = [("", 0, ())]
    while waiting:
        prefix, depth, rules = waiting.pop()
        path = f"{folder}/{prefix}".rstrip("/")
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except FileNotFoundError:
            if not prefix:
                raise FolderGoneError("it is not there") from None
            continue  # deleted since it was listed
        except NotADirectoryError:
            raise FolderGoneError("it is no folder") from None
        except OSError as error:
            listing.problems.append(f"{path} cannot be read: {error.strerror}")
            continue
        listing.folders.append(path)
        listing.entries += len(entries)
        if any(entry.name == IGNORE_FILE for entry in entries):
            rules = (*rules, (prefix, _read_patterns(f"{path}/{IGNORE_FILE}", listing)))
        for entry in entries:
            name = f"{prefix}{entry.name}"
            found = _kind(entry, name, rules, listing)
            if isinstance(found, Stamp):
                listing.files[name] = found
            elif found is not None and found not in seen and depth < DEPTH_MAX:
                seen.add(found)
                waiting.append((f"{name}/", depth + 1, rules))
        if len(listing.files) > FILES_MAX:
            listing.problems.append(
                f"{folder} has more than {FILES_MAX:,} Python files; the rest is not looked at"
            )
            return listing
    return listing


def stamp_of(path: str) -> Stamp | None:
    """Return the stamp of a file or folder; None when there is none."""
    try:
        return _stamp(Path(path).stat())
    except OSError:
        return None


def read(path: str, bytes_max: int) -> tuple[bytes, Stamp]:
    """Return a file's content, cut after ``bytes_max`` + 1 bytes, with its stamp; raises ``OSError``.

    Never waits: what has become a pipe since it was listed raises.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no plain file")
        return file.read(bytes_max + 1), _stamp(status)


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(max(status.st_mtime_ns, status.st_ctime_ns), status.st_size, status.st_ino)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _kind(
    entry: os.DirEntry[str], name: str, rules: tuple[tuple[str, list[Pattern]], ...], listing: Listing
) -> Stamp | tuple[int, int] | None:
    """Return the stamp of a Python file, the identity of a folder, None for what is left out."""
    if entry.name.startswith(".") or entry.name in IGNORED_NAMES:
        return None
    python = entry.name.endswith(".py")
    try:
        folder = entry.is_dir()
        if (not folder and not python) or _ignored(name, rules, folder=folder):
            return None
        name.encode()
        status = entry.stat()
    except FileNotFoundError:
        return None  # deleted since it was listed, or a link to nowhere
    except UnicodeEncodeError:
        listing.problems.append(f"{name!r} has a name that is not UTF-8; rename it")
        return None
    except OSError as error:
        listing.problems.append(f"{name} cannot be read: {error.strerror}")
        return None
    if folder:
        return _identity(status)
    return _stamp(status) if stat.S_ISREG(status.st_mode) else None


def _read_patterns(path: str, listing: Listing) -> list[Pattern]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        listing.problems.append(f"{path} cannot be read: {error}")
        return []
    patterns = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                patterns.append(parse_pattern(line))
            except re.error:
                listing.problems.append(f"line {number} of {path} is no pattern: {line.strip()}")
    return patterns


def parse_pattern(line: str) -> Pattern:
    """Return one line of an ignore file: ``*.py``, ``old/``, ``/drafts/*.py``, ``**/tests``, ``!keep.py``.

    Raises ``re.error`` for one that means nothing.
    """
    text = line.strip()
    negated = text.startswith("!")
    text = text[1:] if negated else text
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anywhere = "/" not in text
    parts = [r"(?:.*/)?" if part == "**" else _glob(part) + "/" for part in text.lstrip("/").split("/")]
    return Pattern(re.compile("".join(parts).removesuffix("/")), negated, folders_only, anywhere)


def _glob(part: str) -> str:
    """Return the expression for one name: ``*``, ``?`` and ``[…]`` stay within it."""
    pieces = re.split(r"(\*|\?|\[[^]/]+\])", part)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if piece in {"*", "?"}:
        return "[^/]*" if piece == "*" else "[^/]"
    if piece.startswith("[") and piece.endswith("]"):
        negated = "^" if piece[1] == "!" else ""
        letters = piece[2:-1] if negated else piece[1:-1]
        escaped = re.sub(r"[\\^&~|[]", r"\\\g<0>", letters)  # what would mean something else in an expression
        return f"[{negated}{escaped}]"
    return re.escape(piece)


def _ignored(name: str, rules: tuple[tuple[str, list[Pattern]], ...], *, folder: bool) -> bool:
    ignored = False
    for prefix, patterns in rules:
        path = name.removeprefix(prefix)
        for pattern in patterns:
            if pattern.folders_only and not folder:
                continue
            subject = path.rpartition("/")[2] if pattern.anywhere else path
            if pattern.text.fullmatch(subject):
                ignored = not pattern.negated
    return ignored
