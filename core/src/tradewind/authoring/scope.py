"""What is open while a DAG file is executed: the DAG, the group and the setup block that new tasks fall into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field

from tradewind.authoring.graph import GroupNode, Node, Structure


@dataclass(slots=True)
class Collected:
    """The DAGs made while a file is imported, and the ``@dag`` functions it forgot to call."""

    file: str | None = None  # the DAG file; its DAGs belong to it even when a helper module makes them
    dags: list[Structure] = field(default_factory=list)
    uncalled: dict[str, int | None] = field(default_factory=dict)  # function name -> line


@dataclass(frozen=True, slots=True)
class Scope:
    """The DAG and group that new nodes belong to; ``made`` notes them for an open setup/teardown block."""

    dag: Structure | None = None
    group: GroupNode | None = None
    made: tuple[list[Node], ...] = ()


_scope: ContextVar[Scope] = ContextVar("tradewind_authoring_scope", default=Scope())  # noqa: B039 - frozen
_collected: ContextVar[Collected | None] = ContextVar("tradewind_collected", default=None)


def current_scope() -> Scope:
    """Return what is open now."""
    return _scope.get()


def enter(scope: Scope) -> Token[Scope]:
    """Open ``scope``; give the token to :func:`leave`."""
    return _scope.set(scope)


def leave(token: Token[Scope]) -> None:
    """Go back to what was open before."""
    _scope.reset(token)


@contextmanager
def detached() -> Iterator[None]:
    """Nothing is open: nodes made here belong to no DAG."""
    token = _scope.set(Scope())
    try:
        yield
    finally:
        _scope.reset(token)


def note_made(node: Node) -> None:
    """Tell the open setup blocks of a new node."""
    for made in _scope.get().made:
        made.append(node)


def collected() -> Collected | None:
    """Return the open collection, None outside :func:`open_collection`."""
    return _collected.get()


@contextmanager
def open_collection(collection: Collected) -> Iterator[Collected]:
    """Collect the DAGs made here."""
    token = _collected.set(collection)
    try:
        yield collection
    finally:
        _collected.reset(token)
