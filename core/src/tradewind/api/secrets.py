"""Connections and variables: found in the secrets backends, the environment, then the metastore, stored encrypted.

Messages, lists and audit rows never contain a value. A stored value is bound to its id: copied to another row it is
refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tradewind.api.connection_text import connection_from_fields, connection_from_text
from tradewind.api.secret_keys import KeyRing
from tradewind.errors import ConfigError, LimitError, PluginError
from tradewind.hookspecs import ConnectionType
from tradewind.ports.metastore import Metastore
from tradewind.ports.secrets import SecretsBackend

CONNECTION_PREFIX = "TRADEWIND_CONN_"
VARIABLE_PREFIX = "TRADEWIND_VAR_"
VALUE_BYTES_MAX = 256 * 1024  # larger things are data and belong into a file or a store
MASK = "•••"

_ID = re.compile(r"[A-Za-z0-9_.~:/+-]{1,200}")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One connection or variable in a list. ``source``: "environment" or "metastore"."""

    name: str
    source: str
    type: str = ""  # of a connection
    description: str = ""


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation did."""

    connections: int
    variables: int
    keys_kept: int


class _Sealed(msgspec.Struct, frozen=True):
    """What is encrypted: the value with the row it belongs to."""

    of: str  # "connection:ID" or "variable:KEY"
    value: Any


class SecretsStore:
    """Lookups and changes. ``backends`` are (name, backend) in the order they are asked.

    ``types`` are the connection types by name: a connection of a known type is checked when it is set.
    """

    def __init__(
        self,
        store: Metastore,
        keys: KeyRing,
        backends: Sequence[tuple[str, SecretsBackend]] = (),
        *,
        environment: Mapping[str, str] | None = None,
        types: Mapping[str, ConnectionType] | None = None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._backends = tuple(backends)
        self._environment = os.environ if environment is None else environment
        self._types = types or {}

    # ---- connections --------------------------------------------------------------------------------------------

    def connection_get(self, conn_id: str) -> dict[str, Any] | None:
        """Return ``{"type", "host", "login", "password", "port", "schema", "extra"}``, or None.

        Raises:
            PluginError: a backend failed; the next place is not asked, it might hold an outdated answer.
            ConfigError: what was found cannot be read.
        """
        what = f'The connection "{conn_id}"'
        for name, backend in self._backends:
            answer = _ask(name, what, backend.connection, conn_id)
            if answer is not None:
                return self._typed(connection_from_fields(answer, what=f"{what} of backend {name}"))
        variable = environment_name(CONNECTION_PREFIX, conn_id)
        if variable in self._environment:
            return self._typed(
                connection_from_text(self._environment[variable], what=f"{what} of ${variable}")
            )
        row = self._store.connection(conn_id)
        return None if row is None else self._connection(conn_id, row[1])

    def connection_set(
        self, conn_id: str, connection: str | Mapping[str, Any], *, description: str = "", actor: str
    ) -> None:
        """Create or replace a stored connection, given as URL, JSON text or fields.

        Raises:
            ConfigError: the id, a field, or extra for the connection's type is wrong.
        """
        what = f'The connection "{conn_id}"'
        _check_id(conn_id, "connection")
        read = (
            connection_from_text(connection, what=what)
            if isinstance(connection, str)
            else connection_from_fields(connection, what=what)
        )
        fields = self._typed(read)
        kind = self._types.get(fields["type"])
        if kind is not None:
            check_type(fields, kind, what=what)
        self._store.set_connection(
            conn_id, fields["type"], self._sealed(f"connection:{conn_id}", fields), description, actor=actor
        )

    def connection_list(self) -> list[Found]:
        """Return what is known of connections, by id, without secrets; backends cannot be listed."""
        stored = {
            conn_id: Found(name=conn_id, source="metastore", type=kind, description=description)
            for conn_id, kind, _secret, description in self._store.connections()
        }
        named = {environment_name(CONNECTION_PREFIX, conn_id): conn_id for conn_id in stored}
        for variable in self._environment:
            if variable.startswith(CONNECTION_PREFIX):
                conn_id = named.get(variable, variable.removeprefix(CONNECTION_PREFIX).lower())
                stored[conn_id] = Found(name=conn_id, source="environment", type=self._type_of(variable))
        return [stored[conn_id] for conn_id in sorted(stored)]

    def _type_of(self, variable: str) -> str:
        try:
            return str(connection_from_text(self._environment[variable], what=f"${variable}")["type"])
        except ConfigError:
            return ""  # the list shows it; asking for it says what is wrong

    def connection_delete(self, conn_id: str, *, actor: str) -> bool:
        """Delete a stored connection; False when there was none."""
        return self._store.delete_connection(conn_id, actor=actor)

    def _connection(self, conn_id: str, stored: bytes) -> dict[str, Any]:
        fields: dict[str, Any] = self._opened(f"connection:{conn_id}", stored, f'The connection "{conn_id}"')
        return fields

    def _typed(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the fields with the type that a URL's scheme stands for."""
        kind = fields["type"]
        if kind in self._types:
            return fields
        meant = [name for name, known in self._types.items() if kind in known.url_schemes]
        return {**fields, "type": meant[0]} if meant else fields

    # ---- variables ----------------------------------------------------------------------------------------------

    def variable_get(self, key: str) -> str | None:
        """Return a variable's text, or None; errors as for connections."""
        what = f'The variable "{key}"'
        for name, backend in self._backends:
            answer = _ask(name, what, backend.variable, key)
            if answer is not None:
                return str(answer)
        variable = environment_name(VARIABLE_PREFIX, key)
        if variable in self._environment:
            return self._environment[variable]
        row = self._store.variable(key)
        if row is None:
            return None
        value, encrypted = row
        return str(self._opened(f"variable:{key}", value, what)) if encrypted else value.decode()

    def variable_set(self, key: str, value: str, *, description: str = "", actor: str) -> None:
        """Create or replace a stored variable; raises ConfigError for a wrong key, LimitError for a long value."""
        _check_id(key, "variable")
        self._store.set_variable(key, self._sealed(f"variable:{key}", value), True, description, actor=actor)

    def variable_list(self) -> list[Found]:
        """Return what is known of variables, by key, without values."""
        stored = {
            key: Found(name=key, source="metastore", description=description)
            for key, _value, _encrypted, description in self._store.variables()
        }
        named = {environment_name(VARIABLE_PREFIX, key): key for key in stored}
        for variable in self._environment:
            if variable.startswith(VARIABLE_PREFIX):
                key = named.get(variable, variable.removeprefix(VARIABLE_PREFIX).lower())
                stored[key] = Found(name=key, source="environment")
        return [stored[key] for key in sorted(stored)]

    def variable_delete(self, key: str, *, actor: str) -> bool:
        """Delete a stored variable; False when there was none."""
        return self._store.delete_variable(key, actor=actor)

    # ---- keys ---------------------------------------------------------------------------------------------------

    def rotate(self, *, actor: str) -> Rotated:
        """Make a new key and encrypt everything stored with it; others may read and write meanwhile.

        Interrupted, it can simply be run again: old keys are dropped only when everything is rewritten.
        """
        self._keys.add()
        connections = variables = 0
        for conn_id, kind, secret, description in self._store.connections():
            fresh = self._sealed(f"connection:{conn_id}", self._connection(conn_id, secret))
            if self._store.connection(conn_id) == (
                kind,
                secret,
            ):  # else somebody has just set it, with the new key
                self._store.set_connection(conn_id, kind, fresh, description, actor=actor)
                connections += 1
        for key, value, encrypted, description in self._store.variables():
            text = (
                self._opened(f"variable:{key}", value, f'The variable "{key}"')
                if encrypted
                else value.decode()
            )
            fresh = self._sealed(f"variable:{key}", text)
            if self._store.variable(key) == (value, encrypted):
                self._store.set_variable(key, fresh, True, description, actor=actor)
                variables += 1
        return Rotated(connections=connections, variables=variables, keys_kept=self._keys.forget_old())

    def _sealed(self, of: str, value: Any) -> bytes:
        try:
            plain = msgspec.json.encode(_Sealed(of, value))
        except (TypeError, ValueError):
            raise ConfigError(
                f"The value of {of.replace(':', ' ', 1)} cannot be stored: it is no JSON."
            ) from None
        if len(plain) > VALUE_BYTES_MAX:
            raise LimitError(
                f"The value of {of.replace(':', ' ', 1)} has {len(plain):,} bytes, more than the {VALUE_BYTES_MAX:,}"
                " allowed. Put it into a file and store its path."
            )
        return self._keys.encrypt(plain)

    def _opened(self, of: str, stored: bytes, what: str) -> Any:
        sealed = msgspec.json.decode(self._keys.decrypt(stored, what=what), type=_Sealed)
        if sealed.of != of:
            raise ConfigError(f"{what} holds a value that was stored for another name. Set it anew.")
        return sealed.value


def anything_stored(store: Metastore) -> bool:
    """Say whether the metastore holds encrypted values, so that a missing key file is a loss and no first start."""
    return bool(store.connections()) or any(encrypted for _, _, encrypted, _ in store.variables())


def environment_name(prefix: str, name: str) -> str:
    """Return the environment variable for an id: ``my-s3`` is ``TRADEWIND_CONN_MY_S3``."""
    return prefix + re.sub(r"[^A-Z0-9]", "_", name.upper())


def masked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connection's fields for people: password and the values of extra are hidden."""
    shown = dict(fields)
    if shown.get("password"):
        shown["password"] = MASK
    shown["extra"] = dict.fromkeys(shown.get("extra") or {}, MASK)
    return shown


def check_type(fields: Mapping[str, Any], kind: ConnectionType, *, what: str) -> None:
    """Raise ConfigError when a required field is missing or extra breaks the type's schema; shows no value."""
    from jsonschema import Draft202012Validator

    extra = fields["extra"]
    for field in kind.fields:
        if field.required and fields.get(field.name, extra.get(field.name)) is None:
            raise ConfigError(f'{what} needs "{field.name}": a {kind.title} connection cannot do without.')
    for error in Draft202012Validator(kind.extra_schema).iter_errors(extra):
        where = ".".join(map(str, ["extra", *error.absolute_path]))
        if error.validator == "additionalProperties" and not error.absolute_path:
            known = kind.extra_schema.get("properties", {})
            raise ConfigError(
                f"{what}: {where} has keys a {kind.title} connection does not know:"
                f" {', '.join(sorted(set(extra) - set(known)))}. Known: {', '.join(sorted(known)) or 'none'}."
            )
        raise ConfigError(f"{what}: {where} must satisfy {error.validator}: {error.validator_value}.")


def _check_id(name: str, kind: str) -> None:
    if not _ID.fullmatch(name):
        raise ConfigError(
            f"{name!r:.80} cannot be the id of a {kind}: use up to 200 letters, digits and the signs _ . ~ : / + -"
        )


def _ask(name: str, what: str, question: Any, argument: str) -> Any:
    try:
        return question(argument)
    except Exception as error:  # noqa: BLE001 - a backend is a plugin; its own words could show a secret
        raise PluginError(
            f"{what} was not looked up: the secrets backend {name} failed with {type(error).__name__}."
            " Mend the backend, or disable its plugin."
        ) from None
