"""Connections as text: URLs (``ssh://anna:pw@host:22/schema?timeout=5``) and JSON, read into fields.

No message here contains a value: what is written in a connection is secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tradewind.errors import ConfigError

FIELDS: Final = ("type", "host", "login", "password", "port", "schema", "extra")
EXTRA_KEY: Final = "__extra__"  # in a URL's query: the whole of extra as JSON, for what is no text
PORT_MAX: Final = 65_535

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*")
_WORDS: Final = {"conn_type": "type", "user": "login", "username": "login"}  # what others call the fields
_ADVICE: Final = (
    "Write type://login:password@host:port/schema?key=value, with %-codes for special characters, or JSON:"
    ' {"type": …}.'
)


def connection_from_text(text: str, *, what: str) -> dict[str, Any]:
    """Return the fields of a connection written as a URL or as JSON; ``what`` (a noun phrase) starts messages.

    Raises:
        ConfigError: the text is neither, or a field is wrong.
    """
    stripped = text.strip()
    if stripped.startswith("{"):
        return _from_json(stripped, what)
    return _from_url(stripped, what)


def connection_from_fields(fields: Mapping[str, Any], *, what: str) -> dict[str, Any]:
    """Return all fields of a connection, those not given as None; raises ConfigError for unknown or wrong ones."""
    given = {_WORDS.get(name, name): value for name, value in fields.items()}
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise ConfigError(f'{what} has the unknown field "{unknown[0]}". Known: {", ".join(FIELDS)}.')
    kind = given.get("type")
    if not isinstance(kind, str) or not _SCHEME.fullmatch(kind):
        raise ConfigError(f'{what} has no type. Give one, such as "ssh" or "postgres".')
    for name in ("host", "login", "password", "schema"):
        if given.get(name) is not None and not isinstance(given[name], str):
            raise ConfigError(f'{what}: the field "{name}" must be text.')
    made: dict[str, Any] = {name: given.get(name) or None for name in FIELDS}
    made["type"] = kind.lower().replace("-", "_")
    made["port"] = _port(given.get("port"), what)
    made["extra"] = _extra(given.get("extra"), what)
    return made


def connection_to_url(fields: Mapping[str, Any]) -> str:
    """Return the URL that :func:`connection_from_text` reads as these fields."""
    login = quote(fields.get("login") or "", safe="")
    password = f":{quote(fields['password'], safe='')}" if fields.get("password") else ""
    at = "@" if login or password else ""
    host = fields.get("host") or ""
    place = f"[{host}]" if ":" in host and "/" not in host else quote(host, safe="")
    port = f":{fields['port']}" if fields.get("port") is not None else ""
    schema = f"/{quote(fields['schema'], safe='')}" if fields.get("schema") else ""
    extra = fields.get("extra") or {}
    plain = all(isinstance(value, str) for value in extra.values()) and EXTRA_KEY not in extra
    query = urlencode(extra if plain else {EXTRA_KEY: json.dumps(extra, sort_keys=True)})
    return f"{fields['type']}://{login}{password}{at}{place}{port}{schema}{'?' + query if query else ''}"


def _from_json(text: str, what: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        raise ConfigError(f"{what} starts like JSON but is none. {_ADVICE}") from None
    return connection_from_fields(fields, what=what)


def _from_url(text: str, what: str) -> dict[str, Any]:
    scheme, separator, rest = text.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        raise ConfigError(f"{what} is no URL: it does not start with a type and ://. {_ADVICE}")
    if any(letter.isspace() for letter in rest):
        raise ConfigError(f"{what} has a blank in its URL. {_ADVICE}")
    try:
        parts = urlsplit(f"x://{rest}")
        port = parts.port
    except ValueError:  # its text would show parts of the URL
        raise ConfigError(f"{what} has a host or port that cannot be read. {_ADVICE}") from None
    return connection_from_fields(
        {
            "type": scheme,
            "host": _host(parts.netloc),
            "login": _decoded(parts.username),
            "password": _decoded(parts.password),
            "port": port,
            "schema": _decoded(parts.path.removeprefix("/")),
            "extra": _query(parts.query, what),
        },
        what=what,
    )


def _host(netloc: str) -> str | None:
    """Return the host as it is written: urlsplit's own answer is in small letters, which breaks socket paths."""
    place = netloc.rpartition("@")[2]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return _decoded(place.partition(":")[0])


def _decoded(text: str | None) -> str | None:
    return unquote(text) if text else None


def _query(query: str, what: str) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in extra:
            raise ConfigError(f'{what} gives "{key}" twice.')
        extra[key] = value
    whole = extra.pop(EXTRA_KEY, None)
    if whole is not None:
        extra |= _extra(whole, what)
    return extra


def _port(port: Any, what: str) -> int | None:
    if port is None or port == "":
        return None
    if isinstance(port, str) and port.isascii() and port.isdigit():
        port = int(port)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= PORT_MAX:
        raise ConfigError(f"{what} has a port that is no number from 0 to {PORT_MAX}.")
    return port


def _extra(extra: Any, what: str) -> dict[str, Any]:
    if extra is None or extra == "":
        return {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError:
            raise ConfigError(f"{what} has an extra that is no JSON.") from None
    if not isinstance(extra, dict):
        raise ConfigError(f"{what} has an extra that is no JSON object.")
    return extra
