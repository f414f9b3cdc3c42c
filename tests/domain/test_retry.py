"""Retry delays: exact without jitter, bounded with it, the same for the same attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.domain.retry import DELAY_MAX_SECONDS, delay_seconds, may_retry, retry_at
from tradewind.domain.spec import RetrySpec

_ENDED = datetime(2026, 1, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (RetrySpec(retries=3), [300.0, 300.0, 300.0, 300.0]),
        (RetrySpec(delay_seconds=10.0, backoff=2.0), [10.0, 20.0, 40.0, 80.0]),
        (RetrySpec(delay_seconds=10.0, backoff=3.0, delay_max_seconds=60.0), [10.0, 30.0, 60.0, 60.0]),
        (RetrySpec(delay_seconds=10.0, backoff=0.5), [10.0, 5.0, 2.5, 1.25]),
        (RetrySpec(delay_seconds=0.0, backoff=2.0), [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_delays_without_jitter_are_exact(retry: RetrySpec, expected: list[float]) -> None:
    assert [delay_seconds(retry, number, "7:1") for number in (1, 2, 3, 4)] == expected


def test_the_instant_counts_from_the_end_of_the_attempt() -> None:
    assert retry_at(RetrySpec(delay_seconds=90.0), 1, _ENDED, "7:1") == _ENDED + timedelta(seconds=90)


def test_jitter_is_drawn_from_the_attempt() -> None:
    retry = RetrySpec(delay_seconds=100.0, jitter=0.5)
    delays = {key: delay_seconds(retry, 1, key) for key in ("7:1", "7:2", "8:1")}
    assert len(set(delays.values())) == 3
    assert delays == {key: delay_seconds(retry, 1, key) for key in delays}


_retries = st.builds(
    RetrySpec,
    delay_seconds=st.floats(0, 1e6),
    backoff=st.floats(0, 100),
    delay_max_seconds=st.none() | st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)


@given(_retries, st.integers(1, 1000), st.text(max_size=10))
def test_a_delay_keeps_its_bounds(retry: RetrySpec, try_number: int, key: str) -> None:
    got = delay_seconds(retry, try_number, key)
    longest = DELAY_MAX_SECONDS if retry.delay_max_seconds is None else retry.delay_max_seconds
    plain = delay_seconds(msgspec.structs.replace(retry, jitter=0.0), try_number, key)
    assert 0 <= got <= longest
    assert plain * (1 - retry.jitter) - 1e-6 <= got <= plain * (1 + retry.jitter) + 1e-6
    assert retry_at(retry, try_number, _ENDED, key) >= _ENDED


@given(_retries, st.text(max_size=10))
def test_a_growing_delay_never_shrinks(retry: RetrySpec, key: str) -> None:
    if retry.backoff < 1:
        return
    delays = [delay_seconds(retry, number, key) for number in range(1, 20)]
    assert delays == sorted(delays)


@pytest.mark.parametrize(
    ("try_number", "tries_max", "wanted", "expected"),
    [
        (1, 1, None, False),
        (1, 2, None, True),
        (2, 2, None, False),
        (3, 2, None, False),
        (1, 2, False, False),
        (1, 2, True, True),
        (2, 2, True, False),
    ],
)
def test_may_retry(try_number: int, tries_max: int, wanted: bool | None, expected: bool) -> None:
    assert may_retry(try_number, tries_max, wanted=wanted) is expected
