"""What commands print: one value, as a table for people or as JSON, YAML or plain text for programs."""

from tradewind.cli.output.shown import (
    Column,
    done,
    emit,
    formatted,
    note,
    output_option,
    rows_table,
    show_rows,
)

__all__ = ["Column", "done", "emit", "formatted", "note", "output_option", "rows_table", "show_rows"]
