"""26: a task that the kernel had killed for memory was reported as a success, and not tried again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import NewHouse

pytestmark = pytest.mark.chaos

GROUPS = Path("/sys/fs/cgroup")

HUNGRY = '''\
"""A task that wants more memory than its group has, at its first try."""

import os
from datetime import timedelta
from pathlib import Path

from tradewind import DAG, get_current_context, task

with DAG("hungry"):

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def eat():
        if get_current_context().ti.try_number == 1:
            Path("{group}/cgroup.procs").write_text(str(os.getpid()))
            return len(bytearray(os.urandom(1) * (200 << 20)))
        return 1

    eat()
'''


@pytest.fixture
def small_group() -> Iterator[Path]:
    """Return a memory cgroup of 64 MB that a process may enter."""
    version_2 = (GROUPS / "cgroup.controllers").exists()
    group = (GROUPS if version_2 else GROUPS / "memory") / f"tradewind-incident-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.max" if version_2 else "memory.limit_in_bytes")).write_text(str(64 << 20))
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    group.rmdir()


def test_it_says_so_and_is_tried_again(new_house: NewHouse, small_group: Path) -> None:
    house = new_house()
    house.write("hungry", HUNGRY.format(group=small_group))
    house.standalone()
    house.trigger("hungry", "r1")
    assert house.ends("hungry", "r1") == "success"
    (attempts,) = house.attempts("hungry", "r1").values()
    assert [(a.try_number, a.outcome, a.reason, a.state.value) for a in attempts] == [
        (1, "error", "killed: SIGKILL (out of memory)", "up_for_retry"),
        (2, "success", "", "success"),
    ]
