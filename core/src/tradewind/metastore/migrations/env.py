"""Alembic's entry: runs the migrations on the connection that ``schema`` opened and locked."""

from __future__ import annotations

from alembic import context

from tradewind.metastore.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite changes a table by copying it
    transaction_per_migration=False,  # the caller's transaction and lock hold all of them
    compare_type=True,
)
context.run_migrations()
