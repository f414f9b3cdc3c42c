"""What of the worker's environment a task may see."""

from __future__ import annotations

from collections.abc import Mapping

_OPEN = frozenset({"TRADEWIND_HOME"})
_OPEN_SECTIONS = ("TRADEWIND__DAGS__", "TRADEWIND__LOGS__", "TRADEWIND__PLUGINS__", "TRADEWIND__EXECUTOR__")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` without what belongs to Tradewind itself.

    The database's URL, keys, and connections and variables given as TRADEWIND_CONN_… and TRADEWIND_VAR_…
    stay out: a task asks for what it needs. Everything that is not Tradewind's is kept.
    """
    return {
        name: text for name, text in environment.items() if not name.startswith("TRADEWIND") or _is_open(name)
    }


def _is_open(name: str) -> bool:
    return name in _OPEN or name.startswith(_OPEN_SECTIONS)
