"""The metastore on SQLite, PostgreSQL and MySQL/MariaDB: the adapter of ``ports.metastore`` and its schema.

Theory of operation
-------------------
A store is one connection, opened when first needed, and a facade of verbs; each verb is one transaction. The
running system speaks to the driver in prepared text: SQLAlchemy and Alembic are loaded only to create or
migrate a schema, so a scheduler or a command pays neither their import nor their cost per statement.

- ``apply`` writes a batch: guarded statements for many rows, all or nothing; ``races`` says who lost.
- ``session`` opens connections and tries a transaction again after deadlocks and lost idle connections.
- ``world`` reads whole runs for the scheduler, ``views`` lists for people, ``dag_files`` stores versions,
  ``values`` what tasks and people keep, ``leadership`` the terms, ``maintenance`` deletes.
- ``dialects`` hold all that differs between databases; ``tables`` and ``migrations`` the schema.
- ``wakeup`` tells sleeping processes that rows were committed.

Every commit is on disk when it returns. Event ids are taken from one counter row that stays locked until its
transaction ends, so they become visible in order and without gaps on all three databases.
"""

from tradewind.metastore.connect import check_schema, connect, downgrade, migrate
from tradewind.metastore.store import SqlMetastore

__all__ = ["SqlMetastore", "check_schema", "connect", "downgrade", "migrate"]
