"""Run parameters: a default and a JSON schema, and the reference to a parameter inside a DAG function."""

from __future__ import annotations

from typing import Any, Final, Self

from tradewind.authoring.place import author_place


class _Missing:
    def __repr__(self) -> str:
        return "no default"


NO_DEFAULT: Final = _Missing()


class Param:
    """A parameter of a DAG's runs: ``Param("eu", enum=["eu", "us"], description="where")``.

    The keywords are JSON schema (``type``, ``enum``, ``minimum``, ``format`` …); ``schema=`` gives one whole.
    Without a default a run must give the value, so a DAG with a schedule needs one.
    """

    def __init__(
        self,
        default: Any = NO_DEFAULT,
        *,
        description: str | None = None,
        schema: dict[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        self.default = default
        self.description = description
        self.schema: dict[str, Any] = {**(schema or {}), **keywords}
        self.place = author_place()

    @property
    def has_default(self) -> bool:
        """Whether a run may leave the value out."""
        return self.default is not NO_DEFAULT

    def __repr__(self) -> str:
        return f"Param({self.default!r}, schema={self.schema!r})"


class DagParam(str):
    """What a ``@dag`` function gets for a parameter: in templated arguments the run's value, with its type.

    It is the text ``{{ params.name }}``, so it also works inside longer strings. The task process replaces an argument
    that is exactly a DagParam by ``resolve(context)``.
    """

    __slots__ = ("name",)

    name: str

    def __new__(cls, name: str) -> Self:
        made = super().__new__(cls, f"{{{{ params.{name} }}}}")
        made.name = name
        return made

    def resolve(self, context: Any) -> Any:
        """Return the run's value, with its JSON type."""
        return context.params[self.name]
