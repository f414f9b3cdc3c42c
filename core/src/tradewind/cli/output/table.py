"""Tables of text: columns as wide as what is in them, the widest cut when the terminal is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from tradewind.cli.output import terminal

GAP = "  "
CELL_MIN = 8  # a column is not cut below that


def table_lines(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[bool],
    styles: Sequence[Sequence[str]],
) -> list[str]:
    """Return the lines of a table. ``styles`` names the style of each cell, empty for none."""
    widths = _widths(titles, rows)
    lines = [terminal.styled(_line(titles, widths, right).rstrip(), "bold")]
    for row, row_styles in zip(rows, styles, strict=True):
        cells = []
        for place, cell in enumerate(row):
            text = _padded(terminal.cut(cell, widths[place]), widths[place], right=right[place])
            cells.append(terminal.styled(text, row_styles[place]))
        lines.append(GAP.join(cells).rstrip())
    return lines


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    widths = [
        max([terminal.visible(title), *(terminal.visible(row[place]) for row in rows)])
        for place, title in enumerate(titles)
    ]
    room = terminal.width() - len(GAP) * (len(widths) - 1)
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda place: widths[place])
        if widths[widest] <= CELL_MIN:
            break
        widths[widest] = max(CELL_MIN, widths[widest] - (sum(widths) - room))
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return GAP.join(
        _padded(terminal.cut(cell, width), width, right=to_right)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )


def _padded(text: str, columns: int, *, right: bool) -> str:
    fill = " " * (columns - terminal.visible(text))
    return fill + text if right else text + fill
