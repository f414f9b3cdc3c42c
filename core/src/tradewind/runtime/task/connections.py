"""Connections and variables as task code and templates see them, asked for one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from tradewind.errors import NotFoundError, TradewindError
from tradewind.runtime.task.data import DataClient

_SENSITIVE = re.compile(r"passw|secret|token|api_?key|private|credential|authorization", re.IGNORECASE)
_NO_DEFAULT: Any = object()


def is_sensitive(name: str) -> bool:
    """Whether the value under ``name`` is a secret by its name."""
    return bool(_SENSITIVE.search(name))


class Connection:
    """One connection: ``type host port login password schema extra``; ``extra`` is a dict. Its repr hides secrets."""

    def __init__(self, conn_id: str, fields: Mapping[str, Any]) -> None:
        self.conn_id = conn_id
        self.type: str = fields.get("type") or fields.get("conn_type") or ""
        self.host: str | None = fields.get("host")
        self.port: int | None = fields.get("port")
        self.login: str | None = fields.get("login")
        self.password: str | None = fields.get("password")
        self.schema: str | None = fields.get("schema")
        extra = fields.get("extra") or {}
        self.extra: dict[str, Any] = json.loads(extra) if isinstance(extra, str) else dict(extra)

    @property
    def uri(self) -> str:
        """The connection as one URI, password included."""
        login = quote(self.login or "", safe="")
        if self.password:
            login += ":" + quote(self.password, safe="")
        place = (login + "@" if login else "") + (self.host or "") + (f":{self.port}" if self.port else "")
        path = "/" + quote(self.schema, safe="") if self.schema else ""
        query = (
            "?" + urlencode({name: str(value) for name, value in self.extra.items()}) if self.extra else ""
        )
        return f"{self.type}://{place}{path}{query}"

    def secrets(self) -> list[str]:
        """Return what must not be shown: the password, and what is sensitive in ``extra`` by its name."""
        found = [self.password] if self.password else []
        found += [
            value for name, value in self.extra.items() if isinstance(value, str) and is_sensitive(name)
        ]
        return found

    def __repr__(self) -> str:
        return f"<Connection {self.conn_id} ({self.type}) {self.host or ''}>"


class Connections:
    """``conn`` of templates: ``conn.my_db.host``; in Python also ``context["conn"].get("my_db")``."""

    def __init__(self, data: DataClient, hide: Callable[[str], None]) -> None:
        self._data = data
        self._hide = hide
        self._found: dict[str, Connection] = {}

    def get(self, conn_id: str) -> Connection:
        """Return a connection; ``NotFoundError`` says how to make it."""
        found = self._found.get(conn_id)
        if found is None:
            fields = self._data.ask("connection_get", conn_id=conn_id)
            if fields is None:
                raise NotFoundError(
                    f'There is no connection "{conn_id}". Make it: `tradewind connections set {conn_id} URI`, or set '
                    f"the environment variable TRADEWIND_CONN_{conn_id.upper()} for the worker"
                )
            found = self._found[conn_id] = Connection(conn_id, fields)
            for secret in found.secrets():
                self._hide(secret)
        return found

    def __getattr__(self, conn_id: str) -> Connection:
        if conn_id.startswith("_"):
            raise AttributeError(conn_id)
        return self.get(conn_id)

    __getitem__ = __getattr__


class Variables:
    """``var`` of templates: ``var.value.region`` as text, ``var.json.limits`` as parsed JSON."""

    def __init__(self, data: DataClient, hide: Callable[[str], None]) -> None:
        self.value = VariableReader(data, hide, str)
        self.json = VariableReader(data, hide, json.loads)


class VariableReader:
    """Variables in one form; ``get(key, default)`` does not raise for one that does not exist."""

    def __init__(self, data: DataClient, hide: Callable[[str], None], read: Callable[[str], Any]) -> None:
        self._data = data
        self._hide = hide
        self._read = read
        self._found: dict[str, str | None] = {}

    def get(self, key: str, default: Any = _NO_DEFAULT) -> Any:
        """Return a variable's value; ``NotFoundError`` when there is none and no ``default``."""
        if key not in self._found:
            self._found[key] = self._ask(key)
        text = self._found[key]
        if text is not None:
            return self._parsed(key, text)
        if default is _NO_DEFAULT:
            raise NotFoundError(
                f'There is no variable "{key}". Make it: `tradewind variables set {key} VALUE`, or set the environment '
                f"variable TRADEWIND_VAR_{key.upper()} for the worker"
            )
        return default

    def set(self, key: str, value: str) -> None:
        """Store a variable; text only."""
        self._data.ask("variable_set", key=key, value=value)
        self._found.pop(key, None)

    def _ask(self, key: str) -> str | None:
        text: str | None = self._data.ask("variable_get", key=key)
        if text is not None and is_sensitive(key):
            self._hide(text)
        return text

    def _parsed(self, key: str, text: str) -> Any:
        try:
            return self._read(text)
        except json.JSONDecodeError as error:
            raise TradewindError(
                f'variable "{key}" is no JSON: {error}; read it with var.value.{key}'
            ) from None

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        return self.get(key)

    __getitem__ = __getattr__
