"""Which client opens a database, and how it is told the password without showing it to others."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit


def client_command(url: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and its environment; the password is in the environment, never among the arguments."""
    scheme, _, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if kind == "sqlite":
        return ["sqlite3", unquote(rest.removeprefix("/"))], {}
    parts = urlsplit(url)
    host, user, database = (
        parts.hostname or "127.0.0.1",
        unquote(parts.username or ""),
        unquote(parts.path.lstrip("/")),
    )
    password = unquote(parts.password or "")
    if kind in {"postgres", "postgresql"}:
        names = {"PGHOST": host, "PGPORT": str(parts.port or 5432), "PGUSER": user, "PGPASSWORD": password}
        return ["psql", database], {name: value for name, value in names.items() if value}
    command = ["mysql", f"--host={host}", f"--port={parts.port or 3306}", database]
    if user:
        command.insert(1, f"--user={user}")
    return command, {"MYSQL_PWD": password} if password else {}
