"""The DAG files that benchmarks run, as texts."""

from __future__ import annotations

CHAIN = '''"""A hundred tasks one after the other."""
from tradewind import chain, dag, task


@dag(schedule=None)
def chain_{length}():
    @task
    def step():
        pass

    steps = [step.override(task_id=f"step_{{i}}")() for i in range({length})]
    chain(*steps)


chain_{length}()
'''

FAN = '''"""Many mapped tasks at once."""
from tradewind import dag, task


@dag(schedule=None, max_map_length={count})
def fan_{count}():
    @task
    def work(number):
        pass

    work.expand(number=list(range({count})))


fan_{count}()
'''

FAN_OVER_XCOM = '''"""Many mapped tasks over what another has returned."""
from tradewind import dag, task


@dag(schedule=None, max_map_length={count})
def spread_{count}():
    @task
    def numbers():
        return list(range({count}))

    @task
    def work(number):
        pass

    work.expand(number=numbers())


spread_{count}()
'''

SMALL = '''"""Ten tasks: one, eight beside each other, one."""
from tradewind import dag, task


@dag(schedule={schedule}, description="form {salt}")
def {dag_id}():
    @task
    def step(number):
        pass

    first, last = step(0), step(9)
    for number in range(1, 9):
        first >> step(number) >> last


{dag_id}()
'''

CLOCKED = '''"""One task that says at once when it runs."""
import time

from tradewind import dag, task


@dag(schedule=None)
def clocked():
    @task
    def now():
        moment = time.time()
        with open({path!r}, "a") as file:
            file.write(f"{{moment!r}}\\n")

    now()


clocked()
'''

HELD = '''"""One task that does nothing until it is let go."""
import os

from tradewind import dag, task


@dag(schedule=None)
def held():
    @task
    def wait():
        with open({said!r}, "w") as file:
            file.write(str(os.getpid()))
        with open({gate!r}) as file:
            file.read()

    wait()


held()
'''

WAITING = '''"""Runs that stay active for long: their task failed and is tried again tomorrow."""
from datetime import timedelta

from tradewind import dag, task


@dag(schedule=None, max_active_runs={count})
def waiting():
    @task(retries=1, retry_delay=timedelta(days=1))
    def fail():
        raise RuntimeError("tomorrow")

    fail()


waiting()
'''


def waiting(count: int) -> str:
    """Return the file of a DAG of which ``count`` runs may be active."""
    return WAITING.format(count=count)


def chain(length: int) -> str:
    """Return a chain's file."""
    return CHAIN.format(length=length)


def fan(count: int) -> str:
    """Return the file of a literal fan-out."""
    return FAN.format(count=count)


def fan_over_xcom(count: int) -> str:
    """Return the file of a fan-out over another task's result."""
    return FAN_OVER_XCOM.format(count=count)


def small(dag_id: str, *, salt: int = 0, schedule: str | None = None) -> str:
    """Return a file of ten tasks; another ``salt`` makes another version."""
    return SMALL.format(dag_id=dag_id, salt=salt, schedule=repr(schedule))
