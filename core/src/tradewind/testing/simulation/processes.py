"""Scheduler processes: the real loop, leadership and engine, on a virtual clock, with crashes and pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradewind.api.data import DataService
from tradewind.errors import MetastoreUnavailableError
from tradewind.scheduler.engine import Engine
from tradewind.scheduler.leadership import Leadership
from tradewind.scheduler.loop import Scheduler
from tradewind.testing.clock import HostClock
from tradewind.testing.faults import with_weather
from tradewind.testing.simulation.executor import FakeExecutor
from tradewind.testing.simulation.timeline import Violation

if TYPE_CHECKING:
    from tradewind.testing.simulation.place import Place

SHARD: Final = "main"
TERM_SECONDS: Final = 12.0
POLL_SECONDS: Final = 5.0
TURN_SECONDS: Final = 0.001  # between two rounds: what arrives together is committed together
RESTART_SECONDS_MAX: Final = 20.0


class Killed(BaseException):
    """The process that is in the middle of this call dies here: nothing after it happens."""


class NoSecrets:
    """No connections and no variables."""

    def connection_get(self, conn_id: str) -> None:
        return None

    def variable_get(self, key: str) -> None:
        return None

    def variable_set(self, key: str, value: str, *, description: str = "", actor: str) -> None:
        """Nothing is kept."""


class Silent:
    """A wake-up channel: the timeline carries its hints."""

    def notify(self) -> None: ...

    def fileno(self) -> int | None:
        return None

    def drain(self) -> None: ...

    def close(self) -> None: ...


def no_beat(**_data: bool) -> None:
    """Nobody looks at the health of a simulated scheduler."""


class Storm:
    """The weather of one process: its verbs are slow, fail, lose their answers, or are its last."""

    def __init__(self, house: Place, name: str, *, busy: int = 1) -> None:
        self._house = house
        self._name = name
        self._busy = busy  # how much more often others come between, where many processes do the same
        self._chance = house.chance.fork()
        self.doomed = False  # killed while it was in the middle of a verb

    def before(self, verb: str) -> None:
        """Stand before a verb."""
        house, conditions, chance = self._house, self._house.conditions, self._chance
        if conditions.verb_slow and chance.happens(conditions.verb_slow * self._busy):
            house.timeline.pass_time(
                chance.weighted([(0.8, chance.between(0, 0.05)), (0.15, 2.0), (0.05, 17.0)])
            )
        self._die_if(conditions.verb_kills, verb, "before")
        if house.down or (conditions.verb_fails and chance.happens(conditions.verb_fails)):
            house.timeline.note("{}: {} fails, nothing was done", self._name, verb)
            raise MetastoreUnavailableError(f"simulated: {verb} did not get through")

    def after(self, verb: str) -> None:
        """Stand after a verb."""
        house, conditions, chance = self._house, self._house.conditions, self._chance
        if conditions.verb_slow and chance.happens(conditions.verb_slow / 4):
            house.timeline.pass_time(chance.between(0, 0.05))
        self._die_if(conditions.verb_kills, verb, "after")
        if conditions.reply_lost and chance.happens(conditions.reply_lost):
            house.timeline.note("{}: {} was done, but its answer is lost", self._name, verb)
            raise MetastoreUnavailableError(f"simulated: the answer of {verb} was lost")

    def _die_if(self, probability: float, verb: str, when: str) -> None:
        if self.doomed or (probability and self._chance.happens(probability)):
            self._house.timeline.note("{} dies {} {}", self._name, when, verb)
            raise Killed


class SchedulerProcess:
    """One scheduler, restarted whenever it died."""

    def __init__(self, house: Place, name: str) -> None:
        self.name = name
        self.leads = False
        self._house = house
        self._clock = HostClock(house.clock, zero=house.chance.between(0, 1000))
        self._scheduler: Scheduler | None = None
        self._executors: dict[str, FakeExecutor] = {}
        self._storm = Storm(house, name)
        self._births = 0
        self._busy = False
        self._frozen_until = 0.0
        self._due = float("inf")  # of the timer that is set
        self._timer = 0

    # ---- life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._scheduler is not None:
            return
        house = self._house
        self._births += 1
        self._storm = Storm(house, self.name)
        self._frozen_until = 0.0
        store = with_weather(house.store_for(self.name), self._storm)
        self._executors = {
            name: FakeExecutor(
                name,
                house.switchboard,
                house.post,
                house.chance.fork(),
                house.auditor,
                self._soon,
                house.conditions.slots,
            )
            for name in house.executor_names
        }
        leadership = Leadership(
            store,
            self._clock,
            shard=SHARD,
            holder=f"{self.name}.{self._births}",
            lease_seconds=TERM_SECONDS,
        )
        data = DataService(store, NoSecrets(), house.no_trigger)

        def make_engine(leadership: Leadership) -> Engine:
            assert leadership.term is not None
            return Engine(
                store,
                self._executors,
                data,
                leadership.term,
                default_executor="local",
                on_trouble=self._trouble,
            )

        self._scheduler = Scheduler(
            store,
            self._executors,
            self._clock,
            leadership,
            make_engine,
            wakeup=Silent(),
            poll_seconds=POLL_SECONDS,
            beat=no_beat,
            log=lambda text: house.timeline.note("{}: {}", self.name, text),
        )
        house.timeline.note("{} starts", self.name)
        self._wake_in(0.0)

    def crash(self) -> None:
        """Die without a word, perhaps in the middle of a verb; come back after a while."""
        if self._scheduler is None:
            return
        if self._busy:
            self._storm.doomed = True
        else:
            self._die()

    def _die(self) -> None:
        house = self._house
        house.timeline.note("{} is dead", self.name)
        self._scheduler = None
        for executor in self._executors.values():
            executor.stop(kill_workers=False)
        self._executors = {}
        self._due = float("inf")
        house.timeline.after(house.chance.between(0.1, RESTART_SECONDS_MAX), self.start)

    def freeze(self, seconds: float) -> None:
        """Stand still between two rounds."""
        self._house.timeline.note("{} stands still for {:.1f} s", self.name, seconds)
        self._frozen_until = self._house.timeline.now + seconds

    def step_clock(self, seconds: float) -> None:
        """Set this host's wall clock forward or back."""
        self._house.timeline.note("{}: the wall clock steps by {:+.1f} s", self.name, seconds)
        self._clock.step(seconds)

    def hint(self) -> None:
        """Hear that somebody has committed something."""
        if self._scheduler is not None:
            self._scheduler.hint()
            self._soon()

    # ---- rounds -----------------------------------------------------------------------------------------

    def _soon(self) -> None:
        self._wake_in(TURN_SECONDS)

    def _wake_in(self, seconds: float) -> None:
        timeline = self._house.timeline
        at = timeline.now + seconds
        if at >= self._due:
            return
        self._due = at
        self._timer += 1
        timer = self._timer
        timeline.after(seconds, lambda: self._wake(timer))

    def _wake(self, timer: int) -> None:
        if timer != self._timer or self._scheduler is None:
            return
        self._due = float("inf")
        if self._busy:
            return  # it looks at everything before it sleeps again
        now = self._house.timeline.now
        if self._frozen_until > now:
            self._wake_in(self._frozen_until - now)
            return
        self._busy = True
        try:
            seconds = self._scheduler.round()
        except Killed:
            self._die()
            return
        except Violation:
            raise
        except Exception as error:  # whatever the production code raises here is a finding
            raise Violation(f"{self.name} would have crashed: {type(error).__name__}: {error}") from error
        finally:
            self._busy = False
        if self._storm.doomed:
            self._die()
            return
        pending = any(executor.waiting for executor in self._executors.values())
        self._wake_in(TURN_SECONDS if pending else max(seconds, TURN_SECONDS))

    def _trouble(self, what: str, error: BaseException) -> None:
        self._house.timeline.note("{}: trouble with {}: {!r}", self.name, what, error)
        if not isinstance(error, MetastoreUnavailableError):
            raise Violation(f"trouble with {what}: {type(error).__name__}: {error}") from error
