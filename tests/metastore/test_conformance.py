"""Every adapter passes the one suite."""

from __future__ import annotations

import pytest

from tradewind.metastore import SqlMetastore
from tradewind.ports.metastore import Metastore
from tradewind.testing.conformance.metastore import MetastoreConformance
from tradewind.testing.memory import InMemoryMetastore

ADAPTERS: tuple[type[Metastore], ...] = (
    SqlMetastore,
    InMemoryMetastore,
)  # held to the port by the type checker


class TestInMemory(MetastoreConformance):
    @pytest.fixture
    def store(self) -> InMemoryMetastore:
        return InMemoryMetastore()


class TestSqlite(MetastoreConformance):
    @pytest.fixture
    def store(self, sqlite_store: SqlMetastore) -> SqlMetastore:
        return sqlite_store


@pytest.mark.services
class TestPostgres(MetastoreConformance):
    @pytest.fixture
    def store(self, postgres_store: SqlMetastore) -> SqlMetastore:
        return postgres_store


@pytest.mark.services
class TestMysql(MetastoreConformance):
    @pytest.fixture
    def store(self, mysql_store: SqlMetastore) -> SqlMetastore:
        return mysql_store
