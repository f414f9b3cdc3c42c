"""A term is held, renewed, trusted for less than its lease, and handed over."""

from __future__ import annotations

import pytest

from tests.scheduler.house import LEASE_SECONDS, House
from tradewind.errors import MetastoreUnavailableError
from tradewind.scheduler.leadership import (
    RENEWALS_PER_LEASE,
    STANDBY_TRIES_PER_LEASE,
    TRUST_SHARE,
    Leadership,
)


@pytest.fixture
def house() -> House:
    return House()


def candidate(house: House, holder: str) -> Leadership:
    return Leadership(house.store, house.clock, shard="main", holder=holder, lease_seconds=LEASE_SECONDS)


def number(leadership: Leadership) -> int | None:
    return leadership.term.number if leadership.term is not None else None


def test_the_first_leads_and_the_second_stands_by(house: House) -> None:
    first, second = candidate(house, "first"), candidate(house, "second")
    assert [first.tend(), second.tend()] == [True, False]
    assert [number(first), number(second)] == [1, None]
    assert first.seconds_until_contact() == pytest.approx(LEASE_SECONDS / RENEWALS_PER_LEASE)
    assert second.seconds_until_contact() == pytest.approx(LEASE_SECONDS / STANDBY_TRIES_PER_LEASE)


def test_between_contacts_the_database_is_left_alone(house: House) -> None:
    first = candidate(house, "first")
    first.tend()
    house.flaky.go_away()
    house.pass_seconds(LEASE_SECONDS / RENEWALS_PER_LEASE - 0.01)
    assert first.tend() is True


def test_it_leads_as_long_as_it_renews(house: House) -> None:
    first, second = candidate(house, "first"), candidate(house, "second")
    for _ in range(50):
        assert first.tend() is True
        assert second.tend() is False
        house.pass_seconds(min(first.seconds_until_contact(), second.seconds_until_contact()))
    assert number(first) == 1


def test_trust_ends_before_another_can_lead(house: House) -> None:
    first, second = candidate(house, "first"), candidate(house, "second")
    first.tend()
    house.pass_seconds(LEASE_SECONDS * TRUST_SHARE)
    assert first.leads is False
    assert second.tend() is False, "the lease itself is not over yet"
    house.pass_seconds(LEASE_SECONDS * (1 - TRUST_SHARE))
    house.pass_seconds(LEASE_SECONDS / STANDBY_TRIES_PER_LEASE)
    assert second.tend() is True
    assert number(second) == 2


def test_trust_counts_from_before_the_renewal_was_sent(house: House) -> None:
    """A renewal that took five seconds vouches for five seconds less."""
    first = candidate(house, "first")
    first.tend()
    house.pass_seconds(LEASE_SECONDS / RENEWALS_PER_LEASE)
    house.flaky.after = lambda verb: house.pass_seconds(5.0) if verb == "renew_term" else None
    assert first.tend() is True
    house.pass_seconds(LEASE_SECONDS * TRUST_SHARE - 5.0)
    assert first.leads is False


def test_an_error_of_the_database_is_told_and_tried_again_soon(house: House) -> None:
    first = candidate(house, "first")
    first.tend()
    house.pass_seconds(LEASE_SECONDS / RENEWALS_PER_LEASE)
    house.flaky.go_away("renew_term")
    with pytest.raises(MetastoreUnavailableError):
        first.tend()
    assert first.leads is True
    assert first.seconds_until_contact() == pytest.approx(LEASE_SECONDS / RENEWALS_PER_LEASE / 4)
    house.flaky.come_back()
    house.pass_seconds(first.seconds_until_contact())
    assert first.tend() is True
    assert number(first) == 1


def test_who_slept_too_long_finds_another(house: House) -> None:
    first, second = candidate(house, "first"), candidate(house, "second")
    first.tend()
    house.pass_seconds(LEASE_SECONDS * 2)
    assert second.tend() is True
    assert first.tend() is False
    assert [number(first), number(second)] == [None, 2]


def test_resigning_lets_the_next_in_at_once(house: House) -> None:
    first, second = candidate(house, "first"), candidate(house, "second")
    first.tend()
    first.resign()
    assert [first.leads, second.tend()] == [False, True]
    first.resign()
    assert second.leads is True, "a stale term changes nothing"
    assert house.store.renew_term(second.term)  # type: ignore[arg-type]
