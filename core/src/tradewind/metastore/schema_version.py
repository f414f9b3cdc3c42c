"""The schema revisions this program knows; the last one is the one it works with."""

from __future__ import annotations

from typing import Final

REVISIONS: Final = ("0001",)
HEAD: Final = REVISIONS[-1]
