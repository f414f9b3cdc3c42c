"""The same on PostgreSQL and MariaDB: from an empty database to a run that ends, and a killed scheduler."""

from __future__ import annotations

import os
import signal

import pytest

from tests.cli.dags_for_tests import CHAIN, SALES
from tests.cli.house import House

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.services]


@pytest.mark.parametrize("server", ["new_postgres_url", "new_mysql_url"])
def test_a_standalone_on_a_server(house: House, server: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(server)()
    (house.home / "tradewind.toml").write_text(f'[metastore]\nurl = "{url}"\n')
    house.write(chain=CHAIN, sales=SALES)
    assert "run `tradewind db migrate`" in house.call("dags", "list").err
    with house.standalone():
        house.until(lambda: "sales" in house.call("dags", "list", "-o", "plain").out)
        first = house.call("dags", "trigger", "sales", "--wait", "--timeout", "60", "-o", "json")
        assert (first.code, first.json()["state"]) == (0, "success"), first
        (scheduler,) = house.processes("tradewind scheduler")
        os.kill(scheduler, signal.SIGKILL)
        second = house.call("dags", "trigger", "chain", "--wait", "--timeout", "60", "-o", "json")
        assert (second.code, second.json()["state"]) == (0, "success"), second
        assert "s3cr3t" not in house.call("info").out
        assert house.call("db", "check").code == 0
    assert house.processes() == []
