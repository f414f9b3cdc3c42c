"""The scheduler's working set: active runs, DAGs, pools and capacities, moved by events and decisions."""

from tradewind.domain.world.inbox import Claim
from tradewind.domain.world.world import World

__all__ = ["Claim", "World"]
