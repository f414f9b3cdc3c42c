"""Connections and variables of a test: from this process's environment."""

from __future__ import annotations

import os
from typing import Any

from tradewind.api.connection_text import connection_from_text


def connection_from_environment(conn_id: str) -> dict[str, Any] | None:
    """Return the connection in ``TRADEWIND_CONN_<ID>``, a URL or a JSON object; None when it is not set."""
    name = f"TRADEWIND_CONN_{conn_id.upper()}"
    text = os.environ.get(name)
    return None if text is None else connection_from_text(text, what=f"The environment variable {name}")


def variable_from_environment(key: str) -> str | None:
    """Return the variable in ``TRADEWIND_VAR_<KEY>``; None when it is not set."""
    return os.environ.get(f"TRADEWIND_VAR_{key.upper()}")
