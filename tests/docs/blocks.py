"""Finds the code blocks of the documentation, each with the comment before it that says how it is to be tested."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.tidy.source import ROOT

DOCS: Final = ROOT / "docs"
BLOCK: Final = re.compile(
    r"^(?:<!-- (?P<note>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A code block. ``note`` is the comment right before it: ``fails``, ``as FILE``, or ``not run: why``."""

    page: str
    line: int
    language: str
    note: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return the pages that people wrote; the decisions describe what is not there yet, too."""
    return [path for path in sorted(DOCS.rglob("*.md")) if path.parent.name not in {"decisions", "reference"}]


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield a page's blocks in their order."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        yield Block(
            page=page.relative_to(DOCS).as_posix(),
            line=text.count("\n", 0, match.start("text")) + 1,
            language=match["language"],
            note=match["note"] or "",
            text=match["text"],
        )


def blocks(language: str) -> list[Block]:
    """Return all blocks in a language."""
    return [block for page in pages() for block in blocks_of(page) if block.language == language]
