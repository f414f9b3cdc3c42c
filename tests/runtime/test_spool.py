"""The spool: what was synced comes back after any end, in order, and goes when it is acknowledged."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport
from tradewind.runtime import spool as module
from tradewind.runtime.spool import Spool


def report(number: int, text: str = "") -> OutcomeReport:
    return OutcomeReport(instance_id=number, token=1, kind=OutcomeKind.SUCCESS, xcoms={"return_value": text})


def recovered(folder: Path) -> list[int]:
    return [each.instance_id for each in Spool(folder).recover()]


def new_spool(folder: Path) -> Spool:
    spool = Spool(folder)
    assert spool.recover() == []
    return spool


def test_reports_come_back_in_order_until_they_are_forgotten(tmp_path: Path) -> None:
    spool = new_spool(tmp_path / "spool")
    for number in (1, 2, 3):
        spool.add(report(number))
    spool.sync()
    assert Spool(tmp_path / "spool").recover() == [report(1), report(2), report(3)]


def test_a_worker_that_ends_in_order_leaves_only_what_is_not_acknowledged(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.add(report(1))
    spool.forget((1, 1))
    spool.forget((99, 1))
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_next_worker_forgets_what_an_earlier_one_left(tmp_path: Path) -> None:
    first = new_spool(tmp_path)
    first.add(report(1))
    first.sync()
    second = Spool(tmp_path)
    assert second.recover() == [report(1)]
    second.add(report(2))
    second.sync()
    second.forget((1, 1))
    assert recovered(tmp_path) == [2]


def test_segments_go_when_all_in_them_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 200)
    spool = new_spool(tmp_path)
    for number in range(10):
        spool.add(report(number, "x" * 60))
    spool.sync()
    assert len(list(tmp_path.iterdir())) == 5
    for number in range(9):
        spool.forget((number, 1))
    assert (len(list(tmp_path.iterdir())), recovered(tmp_path)) == (1, [8, 9])


def test_a_segment_nobody_waits_for_starts_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_BYTES", 100)
    spool = new_spool(tmp_path)
    for number in range(50):
        spool.add(report(number, "x" * 60))
        spool.sync()
        spool.forget((number, 1))
    (segment,) = tmp_path.iterdir()
    assert segment.stat().st_size < 400
    spool.add(report(77))
    assert recovered(tmp_path)[-1] == 77
    assert len(recovered(tmp_path)) <= 3


@given(st.data())
def test_a_torn_end_costs_only_what_was_not_synced(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = new_spool(folder)
    spool.add(report(1, "one"))
    spool.add(report(2, "two"))
    spool.sync()
    (segment,) = folder.iterdir()
    whole = segment.read_bytes()
    spool.add(report(3, "three"))
    spool.sync()
    torn = segment.read_bytes()
    cut = data.draw(st.integers(len(whole), len(torn) - 1))
    segment.write_bytes(torn[:cut] + data.draw(st.binary(max_size=30)))
    assert recovered(folder)[:2] == [1, 2]


def test_a_full_disk_is_an_error_that_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = new_spool(tmp_path)
    spool.add(report(1))
    write = os.pwrite

    def half(fd: int, data: bytes, offset: int) -> int:
        return write(fd, data[:5], offset)

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match=r"took no more bytes\. Free some disk space"):
        spool.add(report(2))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="took no report: No space left on device"):
        spool.add(report(2))
    monkeypatch.setattr(os, "pwrite", write)
    spool.add(report(3))
    spool.sync()
    assert recovered(tmp_path) == [1, 3]
