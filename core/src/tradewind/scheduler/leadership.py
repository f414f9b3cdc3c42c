"""Who may decide: one scheduler per shard holds a numbered term; the others stand by.

The term's lease is judged by the database's clock alone. A leader measures its own trust with its
monotonic clock, counted from *before* the renewal was sent, so it stops deciding no later than the
database lets another one in. Even if it did not stop, every commit carries the term number and a
stale one writes nothing.
"""

from __future__ import annotations

from tradewind.domain.records import Term
from tradewind.ports.clock import Clock
from tradewind.ports.metastore import Metastore

RENEWALS_PER_LEASE = 2.4  # 12 s lease: renewed every 5 s, so one lost renewal is survived
STANDBY_TRIES_PER_LEASE = 5.0  # takeover at most a fifth of a lease after it ended
TRUST_SHARE = 0.9  # of the lease, the rest absorbs the difference between two monotonic clocks' rates


class Leadership:
    """One candidate for the leadership of a shard."""

    def __init__(
        self, store: Metastore, clock: Clock, *, shard: str, holder: str, lease_seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._shard = shard
        self._holder = holder
        self._lease_seconds = lease_seconds
        self._trusted_until = float("-inf")
        self._next_contact = float("-inf")
        self.term: Term | None = None

    @property
    def leads(self) -> bool:
        """Whether this candidate may still decide, by its own clock."""
        return self.term is not None and self._clock.monotonic() < self._trusted_until

    def seconds_until_contact(self) -> float:
        """Return how long until :meth:`tend` has something to do; 0 when it is due."""
        return max(0.0, self._next_contact - self._clock.monotonic())

    def tend(self) -> bool:
        """Renew or try to acquire when due. Return whether this candidate leads now.

        Raises ``MetastoreUnavailableError``; the trust then simply runs out unless a later call succeeds.
        """
        before = self._clock.monotonic()
        if before < self._next_contact:
            return self.leads
        if self.term is not None:
            self._renew(before)
        if self.term is None:
            self._acquire(before)
        return self.leads

    def _renew(self, before: float) -> None:
        assert self.term is not None
        self._next_contact = before + self._lease_seconds / RENEWALS_PER_LEASE / 4  # an error: try again soon
        if self._store.renew_term(self.term):
            self._trusted_until = before + self._lease_seconds * TRUST_SHARE
            self._next_contact = before + self._lease_seconds / RENEWALS_PER_LEASE
        else:
            self.drop()

    def _acquire(self, before: float) -> None:
        self._next_contact = before + self._lease_seconds / STANDBY_TRIES_PER_LEASE
        self.term = self._store.acquire_term(self._shard, self._holder, self._lease_seconds)
        if self.term is not None:
            self._trusted_until = before + self._lease_seconds * TRUST_SHARE
            self._next_contact = before + self._lease_seconds / RENEWALS_PER_LEASE

    def drop(self) -> None:
        """Forget the term without telling anyone: it is known to be stale."""
        self.term = None
        self._trusted_until = float("-inf")

    def resign(self) -> None:
        """Give the leadership up at once, so that a standby need not wait for the lease."""
        if self.term is not None:
            term, self.term = self.term, None
            self._trusted_until = float("-inf")
            self._store.release_term(term)
