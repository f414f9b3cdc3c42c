"""From a URL to a metastore: the way in."""

from __future__ import annotations

from collections.abc import Callable

from tradewind.errors import SchemaError
from tradewind.metastore import schema
from tradewind.metastore.dialects.choose import dialect_for
from tradewind.metastore.session import Session, clock_jitter, wait_seconds
from tradewind.metastore.store import SqlMetastore
from tradewind.metastore.url import DatabaseUrl, parse_url
from tradewind.ports.wakeup import Wakeup


def connect(
    url: str,
    *,
    create: bool = False,
    wakeup: Wakeup | None = None,
    pause: Callable[[float], None] = wait_seconds,
    jitter: Callable[[], float] = clock_jitter,
) -> SqlMetastore:
    """Return the metastore at ``url``, its schema checked; with ``create`` an empty database gets its tables.

    ``pause`` waits between tries of a transaction that ended in a deadlock, ``jitter`` spreads them.

    Raises ``ConfigError`` for a URL that cannot be used or a missing driver, ``MetastoreUnavailableError``
    when the database cannot be reached, ``SchemaError`` when its schema is missing, older or newer.
    """
    parsed = parse_url(url)
    session = Session(dialect_for(parsed, create=create), pause=pause, jitter=jitter)
    try:
        _ready(session, parsed, create=create)
    except BaseException:
        session.close()
        raise
    return SqlMetastore(session, wakeup)


def _ready(session: Session, url: DatabaseUrl, *, create: bool) -> None:
    try:
        schema.check(session, url)
    except SchemaError:
        if not create or schema.revision(session) is not None:
            raise
        schema.migrate(session.dialect, url)


def migrate(url: str) -> tuple[str | None, str]:
    """Create or upgrade the schema; return (revision before, None for an empty database; revision after).

    Raises as :func:`connect` does, and ``SchemaError`` when the schema is newer than this program.
    """
    parsed = parse_url(url)
    return schema.migrate(dialect_for(parsed, create=True), parsed)


def downgrade(url: str, revision: str) -> None:
    """Take the schema back to an older revision; ``SchemaError`` when it is not known."""
    parsed = parse_url(url)
    schema.downgrade(dialect_for(parsed), parsed, revision)


def check_schema(url: str) -> None:
    """Raise ``SchemaError`` unless the schema at ``url`` is the one this program works with."""
    parsed = parse_url(url)
    session = Session(dialect_for(parsed))
    try:
        schema.check(session, parsed)
    finally:
        session.close()
