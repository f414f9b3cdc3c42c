"""Changes of many rows, described once; each dialect writes them in the form it is quickest with.

The parameters of a row stand in the order of ``sets`` and then ``guards``. Expressions are SQL with one ``?``
for the row's value.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Insert:
    """New rows. With ``key``, a row whose key exists is replaced in all other columns."""

    table: str
    sets: tuple[tuple[str, str], ...]
    key: tuple[str, ...] = ()
    guards: tuple[str, ...] = field(default=(), init=False)

    @property
    def columns(self) -> str:
        """The columns' names."""
        return ", ".join(name for name, _expression in self.sets)

    @property
    def replaced(self) -> tuple[str, ...]:
        """The columns that change when the key exists."""
        return tuple(name for name, _expression in self.sets if name not in self.key) if self.key else ()


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """New values for the rows whose ``guards`` are equal to the parameters and that meet the ``condition``."""

    table: str
    sets: tuple[tuple[str, str], ...]
    guards: tuple[str, ...]
    condition: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Delete:
    """Remove the rows whose ``guards`` are equal to the parameters."""

    table: str
    guards: tuple[str, ...]
    sets: tuple[tuple[str, str], ...] = field(default=(), init=False)
    condition: str = field(default="", init=False)


Statement = Insert | Update | Delete


def values(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the sets that give each column its parameter as it is."""
    return tuple((name, "?") for name in names)


def one_row(statement: Statement, conflict: str) -> str:
    """Return the statement for one row; ``conflict`` is the dialect's end of an insert that may replace."""
    if isinstance(statement, Insert):
        marks = ", ".join(expression for _name, expression in statement.sets)
        return f"INSERT INTO {statement.table} ({statement.columns}) VALUES ({marks}){conflict}"
    where = " AND ".join(f"{name} = ?" for name in statement.guards)
    where += f" AND {statement.condition}" if statement.condition else ""
    if isinstance(statement, Delete):
        return f"DELETE FROM {statement.table} WHERE {where}"
    sets = ", ".join(f"{name} = {expression}" for name, expression in statement.sets)
    return f"UPDATE {statement.table} SET {sets} WHERE {where}"
