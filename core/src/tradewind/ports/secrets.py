"""The seam to places that know connections and variables."""

from __future__ import annotations

from typing import Any, Protocol


class SecretsBackend(Protocol):
    """Looked up in order: backends, environment, metastore. A backend that has no answer returns None."""

    def connection(self, conn_id: str) -> dict[str, Any] | None:
        """Return ``{"type", "host", "login", "password", "port", "schema", "extra"}`` or None."""
        ...

    def variable(self, key: str) -> str | None:
        """Return the variable's text or None."""
        ...
