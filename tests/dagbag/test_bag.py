"""A folder's changes reach the metastore: once, oldest first, and nothing is given up in haste."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

from tests.dagbag.conftest import SETTINGS, Driver, NoRules
from tradewind.dagbag.bag import EMPTY_SECONDS
from tradewind.domain.spec import DagSpec
from tradewind.errors import AuthorError, MetastoreUnavailableError
from tradewind.ports.metastore import Metastore

Write = Callable[..., Path]
Drive = Callable[..., Driver]


def test_new_files_become_dags_and_an_unchanged_folder_costs_nothing(write: Write, drive: Drive) -> None:
    write("sales.py")
    write("team/stock.py")
    write("notes.py", "TEXT = 'nothing of interest'")
    driver = drive()
    changes = driver.look()
    found = [(change.file, dag_id, new) for change in changes for dag_id, _version, new in change.dags]
    assert sorted(found) == [("sales.py", "sales", True), ("team/stock.py", "stock", True)]
    assert driver.dags() == {"sales": ("sales.py", 1), "stock": ("team/stock.py", 1)}
    before = driver.store.last_event_id()
    assert (driver.look(), driver.look(), driver.store.last_event_id()) == ([], [], before)


def test_a_changed_file_is_a_new_version_only_if_its_dag_changed(write: Write, drive: Drive) -> None:
    path = write("sales.py")
    driver = drive()
    driver.look()
    path.write_text(path.read_text() + "\n# a comment\n")
    driver.look()
    assert driver.dags() == {"sales": ("sales.py", 1)}
    path.write_text(path.read_text().replace('DAG("sales")', 'DAG("sales", tags=["new"])'))
    driver.look()
    assert driver.dags() == {"sales": ("sales.py", 2)}


def test_a_touched_file_is_read_but_not_parsed(write: Write, drive: Drive) -> None:
    path = write("sales.py")
    driver = drive()
    driver.look()
    os.utime(path, ns=(1, 1))
    assert driver.look() == []


def test_a_file_that_changed_a_moment_ago_is_read_again(write: Write, drive: Drive) -> None:
    path = write("sales.py")
    driver = drive()
    driver.now -= timedelta(seconds=62)
    driver.look()
    known = driver.bag._known["sales.py"]
    assert (known.stamp, known.sha != "") == (None, True)
    driver.now += timedelta(seconds=60)
    assert driver.look() == []
    assert driver.bag._known["sales.py"].stamp is not None
    assert path.exists()


def test_a_change_of_a_module_or_data_file_counts_as_one_of_the_dag_file(write: Write, drive: Drive) -> None:
    write("tags.py", "TAG = 'one'")
    data = write("names/more.json", '["a"]')
    write(
        "sales.py",
        """
        import json
        from pathlib import Path
        from tags import TAG
        from tradewind import DAG

        NAMES = [n for path in sorted(Path(__file__).parent.glob("names/*.json")) for n in json.loads(path.read_text())]
        for name in NAMES:
            DAG(name, tags=[TAG])
        """,
    )
    write("other.py")
    driver = drive()
    driver.look()
    assert driver.dags() == {"a": ("sales.py", 1), "other": ("other.py", 1)}
    write("tags.py", "TAG = 'two'")
    assert [change.file for change in driver.look()] == ["sales.py"]
    data.write_text('["a", "b"]')
    assert [change.file for change in driver.look()] == ["sales.py"]
    write("names/third.json", '["c"]')
    driver.look()
    assert driver.dags() == {
        "a": ("sales.py", 2),
        "b": ("sales.py", 1),
        "c": ("sales.py", 1),
        "other": ("other.py", 1),
    }


def test_a_file_that_stops_parsing_keeps_its_last_good_version(write: Write, drive: Drive) -> None:
    path = write("sales.py")
    driver = drive()
    driver.look()
    good = path.read_text()
    path.write_text(good + "\n1 / 0\n")
    driver.look()
    assert driver.errors() == {"sales.py": (good.count("\n") + 2, "ZeroDivisionError: division by zero")}
    assert driver.dags() == {"sales": ("sales.py", 1)}
    path.write_text(good)
    driver.look()
    assert (driver.errors(), driver.dags()) == ({}, {"sales": ("sales.py", 1)})


def test_a_missing_module_that_appears_mends_the_file(write: Write, drive: Drive) -> None:
    write("sales.py", "import tags\nfrom tradewind import DAG\nDAG('sales', tags=[tags.TAG])\n")
    driver = drive()
    driver.look()
    assert driver.errors() == {"sales.py": (1, "ModuleNotFoundError: No module named 'tags'")}
    write("tags.py", "TAG = 'x'")
    driver.look()
    assert (driver.errors(), driver.dags()) == ({}, {"sales": ("sales.py", 1)})


def test_two_files_with_one_dag_id_are_an_error_of_the_newer_one(write: Write, drive: Drive) -> None:
    os.utime(write("z_old.py", "from tradewind import DAG\nDAG('sales')\n"), ns=(10**9, 10**9))
    driver = drive()
    driver.look()
    write("a_new.py", "from tradewind import DAG\n\nDAG('sales')\nDAG('more')\n")
    driver.look()
    message = (
        'DAG "sales" is defined in two files: z_old.py, which had it first, and a_new.py.'
        " Rename one of the DAGs, or delete the file that is not wanted."
    )
    assert (driver.errors(), driver.dags()) == ({"a_new.py": (3, message)}, {"sales": ("z_old.py", 1)})
    assert driver.look() == []
    write("z_old.py", "from tradewind import DAG\nDAG('renamed')\n")
    driver.look()
    assert driver.errors() == {}
    assert driver.dags() == {
        "sales": ("a_new.py", 2),
        "more": ("a_new.py", 1),
        "renamed": ("z_old.py", 1),
    }


def test_a_moved_file_takes_its_dag_along_at_once(write: Write, drive: Drive, folder: Path) -> None:
    path = write("sales.py")
    driver = drive()
    driver.look()
    (folder / "team").mkdir()
    path.rename(folder / "team" / "sales.py")
    driver.look()
    assert (driver.errors(), driver.dags()) == ({}, {"sales": ("team/sales.py", 2)})
    for _ in range(10):
        driver.look()
    assert driver.dags() == {"sales": ("team/sales.py", 2)}


def test_a_dag_is_gone_after_several_complete_looks_without_its_file(write: Write, drive: Drive) -> None:
    path = write("sales.py")
    write("stock.py")
    driver = drive()
    driver.look()
    path.unlink()
    seen = []
    for _ in range(SETTINGS.missing_scans):
        seen.append(sorted(driver.dags()))
        driver.look()
    assert seen == [["sales", "stock"]] * 3
    assert sorted(driver.dags()) == ["stock"]
    for _ in range(SETTINGS.missing_scans + 1):
        driver.look()
    row = driver.store.dag_row("sales")
    assert row is not None
    assert (row.retired, [line for line in driver.lines if "retired" in line]) == (
        True,
        ['DAG "sales" is retired: no file has it any more'],
    )


def test_a_file_that_comes_back_in_time_was_never_gone(write: Write, drive: Drive, store: Metastore) -> None:
    path = write("sales.py")
    write("stock.py")
    driver = drive()
    driver.look()
    text = path.read_text()
    before = store.last_event_id()
    for _ in range(5):
        path.unlink()
        driver.look()
        driver.look()
        path.write_text(text)
        driver.look()
    dags = {"sales": ("sales.py", 1), "stock": ("stock.py", 1)}
    assert (driver.dags(), store.last_event_id()) == (dags, before)


def test_the_error_of_a_deleted_file_goes_with_it(write: Write, drive: Drive) -> None:
    path = write("sales.py", "import tradewind\n1 / 0\n")
    write("stock.py")
    driver = drive()
    driver.look()
    assert list(driver.errors()) == ["sales.py"]
    path.unlink()
    for _ in range(SETTINGS.missing_scans):
        driver.look()
    assert driver.errors() == {}


def test_a_vanished_folder_is_an_error_and_takes_no_dag_with_it(
    write: Write, drive: Drive, folder: Path
) -> None:
    write("sales.py")
    driver = drive()
    driver.look()
    folder.rename(folder.with_name("away"))
    for _ in range(50):
        driver.look()
    assert driver.dags() == {"sales": ("sales.py", 1)}
    ((file, (line, message)),) = driver.errors().items()
    assert (file, line, message.startswith(f"The DAG folder {folder} cannot be read: ")) == (".", None, True)
    folder.with_name("away").rename(folder)
    driver.look()
    assert (driver.errors(), driver.dags()) == ({}, {"sales": ("sales.py", 1)})


def test_an_empty_mount_is_an_error_and_takes_no_dag_with_it(
    write: Write, drive: Drive, folder: Path
) -> None:
    write("sales.py")
    drive().look()
    shutil.rmtree(folder)
    folder.mkdir()
    driver = drive()  # it may be found so by a fresh processor, too
    for _ in range(50):
        driver.look()
    assert sorted(driver.dags()) == ["sales"]
    assert driver.errors()["."][1].startswith(f"The DAG folder {folder} is empty. In case a mount is missing")
    driver.now += timedelta(seconds=EMPTY_SECONDS)
    for _ in range(SETTINGS.missing_scans):
        driver.look()
    assert (driver.dags(), driver.errors()) == ({}, {})


def test_any_file_says_that_an_empty_folder_is_meant(write: Write, drive: Drive, folder: Path) -> None:
    path = write("sales.py")
    driver = drive()
    driver.look()
    path.unlink()
    driver.look()
    (folder / "README.txt").write_text("no DAGs any more")
    for _ in range(SETTINGS.missing_scans):
        driver.look()
    assert (driver.dags(), driver.errors()) == ({}, {})


def test_after_a_restart_only_real_changes_are_versions(write: Write, drive: Drive, folder: Path) -> None:
    write("tags.py", "TAG = 'one'")
    write("sales.py", "import tags\nfrom tradewind import DAG\nDAG('sales', tags=[tags.TAG])\n")
    gone = write("gone.py")
    drive().look()
    before = drive().store.last_event_id()
    drive().look()
    assert drive().store.last_event_id() == before
    gone.unlink()
    write("tags.py", "TAG = 'two'")
    driver = drive()
    for _ in range(SETTINGS.missing_scans):
        driver.look()
    assert driver.dags() == {"sales": ("sales.py", 2)}


def test_a_metastore_that_is_away_loses_no_result(write: Write, drive: Drive, monkeypatch: object) -> None:
    write("sales.py")
    driver = drive()
    sync = driver.bag._sync
    store = sync._store

    class Away:
        def __getattr__(self, name: str) -> object:
            raise MetastoreUnavailableError("away")

    sync._store = Away()  # type: ignore[assignment]
    refused = 0
    driver.bag.scan(driver.now)
    while not refused:
        driver.bag._unsaved += driver.bag.parser.poll(timeout=1.0)
        try:
            driver.bag.turn(driver.now)
        except MetastoreUnavailableError:
            refused += 1
    assert driver.dags() == {}
    sync._store = store
    driver.rest()
    assert driver.dags() == {"sales": ("sales.py", 1)}


class Owners(NoRules):
    """Plugins that ask for an owner and set the pool."""

    def apply_policies(self, spec: DagSpec) -> DagSpec:
        if spec.owner is None:
            raise AuthorError(f'DAG "{spec.dag_id}" is refused: no owner', line=spec.line)
        return replace(spec, tags=(*spec.tags, "checked"))


def test_policies_change_dags_and_refuse_files(write: Write, drive: Drive, store: Metastore) -> None:
    write("good.py", "from tradewind import DAG\nDAG('good', owner='me')\n")
    write("bad.py", "from tradewind import DAG\n\nDAG('bad')\n")
    driver = drive(Owners())
    driver.look()
    assert driver.errors() == {"bad.py": (3, 'DAG "bad" is refused: no owner')}
    (row,) = store.dags()
    assert (row.dag_id, store.spec(row.version_id).tags) == ("good", ("checked",))


def test_a_timetable_no_plugin_has_is_an_error_of_the_file(write: Write, drive: Drive) -> None:
    write(
        "sales.py",
        """\
        from tradewind import DAG
        from tradewind.domain.timetable import CustomSpec

        DAG("sales", schedule=CustomSpec("moon"))
        """,
    )
    driver = drive()
    driver.look()
    ((file, (line, message)),) = driver.errors().items()
    assert (file, line) == ("sales.py", 4)
    assert message.startswith('DAG "sales": No plugin offers the timetable "moon". Known: none.')
