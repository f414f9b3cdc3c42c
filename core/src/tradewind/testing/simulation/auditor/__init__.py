"""The independent auditor: reads the store's rows after every commit, and the ledger of what really happened.

It knows nothing of the scheduler's world. What it checks is listed in docs/concepts/simulation.md.
"""

from tradewind.testing.simulation.auditor.auditor import Auditor
from tradewind.testing.simulation.auditor.ledger import Ledger, Process

__all__ = ["Auditor", "Ledger", "Process"]
