"""A database URL as Tradewind understands it: parsed without a driver, printed without its password."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from tradewind.errors import ConfigError

Kind = Literal["sqlite", "postgresql", "mysql"]

_SCHEMES: Final[dict[str, Kind]] = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
    "mysql": "mysql",
    "mysql+pymysql": "mysql",
    "mariadb": "mysql",
    "mariadb+pymysql": "mysql",
}
_PORTS: Final[dict[Kind, int]] = {"sqlite": 0, "postgresql": 5432, "mysql": 3306}
_EXAMPLES: Final = (
    "sqlite:///tradewind.db, postgresql://user:password@host/db or mysql://user:password@host/db"
)


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where a metastore lies. ``str()`` never shows the password."""

    kind: Kind
    database: str  # the file's path for SQLite
    host: str = ""
    port: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{self.database}"
        return f"{self.kind} at {self.place}/{self.database}"

    @property
    def place(self) -> str:
        """The server's address for people: ``host:port`` or the socket's path."""
        unix_socket = dict(self.options).get("unix_socket")
        return unix_socket or f"{self.host}:{self.port}"


def parse_url(url: str) -> DatabaseUrl:
    """Return the parts of ``url``; ``ConfigError`` when it is not one of the forms Tradewind can use."""
    scheme, separator, _rest = url.partition("://")
    kind = _SCHEMES.get(scheme.lower())
    if not separator or kind is None:
        shown = f"{scheme!r} is not a database Tradewind knows" if separator else "there is no '://' in it"
        raise ConfigError(f"The metastore's URL cannot be read: {shown}. Use {_EXAMPLES}.")
    if kind == "sqlite":
        return _sqlite(url.partition("://")[2])
    return _server(url, kind)


def _sqlite(rest: str) -> DatabaseUrl:
    path, _question, query = rest.partition("?")
    if path and not path.startswith("/"):
        raise ConfigError(
            "A SQLite URL has three slashes before a relative path and four before an absolute one: "
            "sqlite:///tradewind.db or sqlite:////var/lib/tradewind.db."
        )
    file = unquote(path[1:])
    if file in {"", ":memory:"} or query:
        raise ConfigError(
            "The metastore needs a SQLite file that several processes can open, without options: "
            "sqlite:///tradewind.db. Tests that want no file use tradewind.testing.memory."
        )
    return DatabaseUrl("sqlite", str(Path(file).absolute()))


def _server(url: str, kind: Kind) -> DatabaseUrl:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[kind]
    except ValueError:
        raise ConfigError(
            f"The metastore's URL cannot be read: host or port is malformed. Use {_EXAMPLES}."
        ) from None  # its text can hold parts of the password
    database = unquote(parts.path.lstrip("/"))
    if not database:
        raise ConfigError(f"The metastore's URL names no database after the host. Use {_EXAMPLES}.")
    return DatabaseUrl(
        kind,
        database,
        host=parts.hostname or "127.0.0.1",
        port=port,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        options=tuple(parse_qsl(parts.query, keep_blank_values=True)),
    )
