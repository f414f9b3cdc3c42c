"""Fixtures every test may ask for: the database servers and brokers of tests.services."""

from tests.services import (
    mysql_url,
    new_mysql_url,
    new_postgres_url,
    postgres_url,
    rabbitmq_url,
    redis_url,
)

__all__ = ["mysql_url", "new_mysql_url", "new_postgres_url", "postgres_url", "rabbitmq_url", "redis_url"]
