"""Policies change what may be changed, in the order plugins were loaded, and one that fails lets nothing through."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tradewind.domain.spec import DagSpec, RetrySpec, TaskSpec
from tradewind.errors import AuthorError
from tradewind.plugins import Registry

Write = Callable[[str, str], Path]
Make = Callable[..., Registry]

SPEC = DagSpec(
    dag_id="sales",
    file="sales.py",
    line=3,
    tasks=(
        TaskSpec(task_id="extract", operator="PythonOperator", line=5),
        TaskSpec(task_id="load", operator="PythonOperator", upstream=("extract",), line=9),
    ),
)


def test_without_policies_the_dag_is_the_same_object(registry: Make) -> None:
    assert registry().apply_policies(SPEC) is SPEC


def test_policies_see_what_the_ones_before_returned(plugin: Write, registry: Make) -> None:
    plugin(
        "a_owner",
        """
        import msgspec
        from tradewind.domain.spec import RetrySpec

        @hookimpl
        def dag_policy(spec):
            return msgspec.structs.replace(spec, owner="data", tags=("checked",))

        @hookimpl
        def task_policy(dag, spec):
            if spec.task_id == "load":
                return msgspec.structs.replace(spec, retry=RetrySpec(retries=2), owner=dag.owner)
        """,
    )
    plugin(
        "b_tag",
        """
        import msgspec

        @hookimpl
        def dag_policy(spec):
            return msgspec.structs.replace(spec, tags=(*spec.tags, spec.owner))

        @hookimpl
        def task_policy(spec):
            return msgspec.structs.replace(spec, queue="big") if spec.retry.retries else None
        """,
    )
    changed = registry().apply_policies(SPEC)
    assert changed == DagSpec(
        dag_id="sales",
        file="sales.py",
        line=3,
        owner="data",
        tags=("checked", "data"),
        tasks=(
            SPEC.tasks[0],
            TaskSpec(
                task_id="load",
                operator="PythonOperator",
                upstream=("extract",),
                line=9,
                retry=RetrySpec(retries=2),
                owner="data",
                queue="big",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (
            "def dag_policy(spec): raise ValueError('a DAG needs an owner: DAG(owner=…)')",
            'DAG "sales" is refused by dag_policy of plugin "rule": a DAG needs an owner: DAG(owner=…)',
            3,
        ),
        (
            "def dag_policy(spec): return 1 / 0",
            'DAG "sales" is refused by dag_policy of plugin "rule": it failed: ZeroDivisionError: division by zero',
            3,
        ),
        (
            "def dag_policy(spec): return spec.dag_id",
            'DAG "sales" is refused by dag_policy of plugin "rule": it returned a str; it returns a DagSpec or None',
            3,
        ),
        (
            "def dag_policy(spec): return replace(spec, dag_id='other')",
            (
                'DAG "sales" is refused by dag_policy of plugin "rule": it changed "dag_id", which a policy leaves'
                " as it is"
            ),
            3,
        ),
        (
            "def dag_policy(spec): return replace(spec, tasks=spec.tasks[:1])",
            'DAG "sales" is refused by dag_policy of plugin "rule": it changed the tasks; use task_policy for that',
            3,
        ),
        (
            "def task_policy(spec): return replace(spec, upstream=())",
            (
                'Task "load" is refused by task_policy of plugin "rule": it changed "upstream", which a policy leaves'
                " as it is"
            ),
            9,
        ),
        (
            "def task_policy(spec): return replace(spec, pool_slots='two')",
            (
                'Task "extract" is refused by task_policy of plugin "rule": it returned a value that cannot be: '
                "Expected `int`, got `str` - at `$.pool_slots`"
            ),
            5,
        ),
    ],
)
def test_a_policy_that_says_no_or_fails_refuses_the_file(
    text: str, message: str, line: int, plugin: Write, registry: Make
) -> None:
    plugin("rule", f"from msgspec.structs import replace\n@hookimpl\n{text}")
    with pytest.raises(AuthorError) as caught:
        registry().apply_policies(SPEC)
    assert (caught.value.message, caught.value.line) == (message, line)
