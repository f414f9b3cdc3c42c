"""The dialect of a URL; its driver is imported only here."""

from __future__ import annotations

from tradewind.metastore.dialects.dialect import Dialect
from tradewind.metastore.url import DatabaseUrl


def dialect_for(url: DatabaseUrl, *, create: bool = False) -> Dialect:
    """Return the dialect of a URL; ``create`` lets SQLite make a file that does not exist.

    ``ConfigError`` when the driver is not installed.
    """
    if url.kind == "sqlite":
        from tradewind.metastore.dialects.sqlite import SqliteDialect

        return SqliteDialect(url, create=create)
    if url.kind == "postgresql":
        from tradewind.metastore.dialects.postgres import PostgresDialect

        return PostgresDialect(url)
    from tradewind.metastore.dialects.mysql import MysqlDialect

    return MysqlDialect(url)
