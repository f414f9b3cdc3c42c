"""33: the database was restarted, and schedulers died or hung, DAGs failed, tasks were stuck."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.acceptance import ledger
from tests.acceptance.conftest import NewHouse
from tests.acceptance.dag_files import CHAIN, EVERY_SECOND
from tests.acceptance.house import House

pytestmark = [pytest.mark.chaos, pytest.mark.services]

SETTINGS = "[scheduler]\nterm_seconds = 2.0\n"
RESUMES_WITHIN_SECONDS = 10.0


class Postgres:
    """A server of the test's own, which may be killed."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._data = folder / "data"
        self._binaries = binaries
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self, program: str, *arguments: str) -> list[str]:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        return [*as_user, str(self._binaries / program), *arguments]

    def create(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
            for folder in self._folder.parents:
                if folder == Path(tempfile.gettempdir()):
                    break
                folder.chmod(folder.stat().st_mode | 0o055)  # the server's user has to come through
        options = ["-D", str(self._data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run(self._command("initdb", *options), check=True, capture_output=True)

    def start(self) -> None:
        options = [
            "-D",
            str(self._data),
            "-p",
            str(self.port),
            "-c",
            f"unix_socket_directories={self._folder}",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command("postgres", *options), stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL the postmaster; its backends notice and end."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        if self._process is not None:
            self._process.wait(20)

    def answers(self) -> bool:
        plain = make_url(self.url).set(drivername="postgresql").render_as_string()
        try:
            psycopg.connect(plain, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or (os.geteuid() == 0 and shutil.which("runuser") is None):
        pytest.skip("PostgreSQL's own programs are not installed here")
    folder = tmp_path / "pg"
    folder.mkdir()
    server = Postgres(folder, found[-1].parent)
    server.create()
    server.start()
    yield server
    server.stop()


def middle_of_a_run(house: House) -> None:
    house.write("chain", CHAIN)
    house.write("ticking", EVERY_SECOND)
    house.standalone()
    house.trigger("chain", "r1")
    (house.home / "go_first").touch()
    house.until(lambda: len(ledger.read(house)) == 7, "six tasks that run")


def nothing_was_lost(house: House) -> None:
    """Check what had gone on before, and that new runs are made and end soon."""
    back_at = time.monotonic()
    seen = {run.run_id for run in house.store.list_runs(dag_id="ticking", limit=1000)}

    def ticks_again() -> bool:
        runs = house.store.list_runs(dag_id="ticking", limit=5, states=["success"])
        return any(run.run_id not in seen for run in runs)

    house.until(ticks_again, "new runs", RESUMES_WITHIN_SECONDS)
    assert time.monotonic() - back_at < RESUMES_WITHIN_SECONDS
    (house.home / "go_last").touch()
    assert house.ends("chain", "r1") == "success"
    assert house.task_states("chain", "r1") == {"success": 8}
    ledger.check(house, "chain", "r1")
    assert set(map(len, ledger.read(house).values())) == {1}, "no attempt was lost"
    assert not house.store.list_runs(dag_id="ticking", states=["failed"])
    assert "Traceback" not in house.logs()
    assert "started again" not in house.log("standalone"), "nobody died of it"


@pytest.mark.parametrize("away", ["short", "long"])
def test_kill_9_of_the_server(new_house: NewHouse, postgres: Postgres, away: str) -> None:
    """A server that is away for longer than the leadership's lease ends it; the same scheduler leads again."""
    house = new_house(postgres.url, SETTINGS)
    house.until(postgres.answers, "PostgreSQL")
    middle_of_a_run(house)
    postgres.kill()
    (house.home / "go_many").touch()  # these tasks end while there is no database
    house.until(lambda: not house.pids("tradewind task chain/r1"), "the end of six tasks")
    if away == "long":
        house.until(lambda: "stepped down" in house.log("standalone"), "end of the leadership")
    postgres.start()
    house.until(postgres.answers, "PostgreSQL")
    nothing_was_lost(house)


class Cable:
    """A TCP connection to a server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._pairs: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.plug_in()

    def plug_in(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Close everything, in the middle of whatever is said, and refuse what comes."""
        assert self._listener is not None
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        pairs, self._pairs = self._pairs, []
        for sock in pairs:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = listener.accept()
                theirs = socket.create_connection(self._server)
                self._pairs += [ours, theirs]
                for source, target in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source:
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cable(new_mysql_url: Callable[[], str]) -> Iterator[tuple[Cable, str]]:
    url = make_url(new_mysql_url())
    if "unix_socket" in url.query:
        pytest.skip("MySQL answers only on its unix socket here")
    cable = Cable(url.host or "127.0.0.1", url.port or 3306)
    yield cable, url.set(host="127.0.0.1", port=cable.port).render_as_string(hide_password=False)
    cable.cut()


def test_the_connection_is_cut_again_and_again(new_house: NewHouse, cable: tuple[Cable, str]) -> None:
    line, url = cable
    house = new_house(url, SETTINGS)
    middle_of_a_run(house)
    for _ in range(3):
        line.cut()
        house.until(lambda: trouble(house), "trouble")
        line.plug_in()
        house.until(lambda: not trouble(house), "recovery")
    (house.home / "go_many").touch()
    nothing_was_lost(house)


def trouble(house: House) -> bool:
    """Say whether the scheduler's last word is that the database is away."""
    lines = [line for line in house.log("standalone").splitlines() if " scheduler: " in line]
    return "does not answer" in lines[-1] or "stepped down" in lines[-1]
