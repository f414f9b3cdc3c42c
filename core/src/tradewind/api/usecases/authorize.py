"""Who may do what: the one place that says no."""

from __future__ import annotations

from tradewind.errors import TradewindError

LOCAL_PREFIX = "cli:"  # a user of this machine who can read the settings can reach the database anyway


class ForbiddenError(TradewindError):
    """The actor may not do this."""


def authorize(actor: str, action: str, subject: str) -> None:
    """Raise ``ForbiddenError`` unless ``actor`` may do ``action`` ("run.cancel") to ``subject`` ("sales/r1")."""
    if not actor.startswith(LOCAL_PREFIX):
        raise ForbiddenError(
            f"{actor} may not do {action} to {subject}. Ask an administrator for the permission."
        )
