"""Frames: whatever way a stream is cut, the same frames come out; no peer can ask for endless memory."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.runtime.frames import FRAME_BYTES_MAX, FrameError, FrameReader, Outbox, frame, read_frames


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(1, 20), min_size=1))
def test_frames_come_out_whole_however_the_stream_is_cut(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame, payloads))
    reader = FrameReader()
    found: list[bytes] = []
    start = step = 0
    while start < len(stream):
        size = cuts[step % len(cuts)]
        found.extend(reader.feed(stream[start : start + size]))
        start, step = start + size, step + 1
    assert found == payloads


def test_a_frame_that_is_too_long_is_refused_by_its_header() -> None:
    with pytest.raises(FrameError, match=f"at most {FRAME_BYTES_MAX}"):
        list(FrameReader().feed(struct.pack("<I", FRAME_BYTES_MAX + 1)))


def test_what_a_socket_does_not_take_now_waits_and_arrives_in_order() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        outbox, reader = Outbox(), FrameReader()
        found: list[bytes] = []
        payloads = [bytes([number]) * 300_000 for number in range(10)]
        for payload in payloads:
            assert outbox.send(ours, frame(payload))
        assert outbox
        while len(found) < 10:
            frames, gone = read_frames(theirs, reader)
            assert not gone
            found.extend(frames)
            outbox.flush(ours)
        assert (found, bool(outbox), outbox.size) == (payloads, False, 0)


def test_a_peer_that_is_gone_is_told() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        theirs.sendall(frame(b"last"))
        theirs.close()
        assert read_frames(ours, FrameReader()) in [([b"last"], False), ([b"last"], True)]
        assert read_frames(ours, FrameReader()) == ([], True)
        assert not Outbox().send(ours, b"x")
