"""The graph index: adjacency, scopes, setups, weights, leaves; long chains and wide fans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.kernel import dag, over, task
from tradewind.domain.graph import Edge, Graph
from tradewind.domain.spec import DagSpec, GroupSpec, TriggerRule, WeightRule


def names(graph: Graph, ordinals: object) -> set[str]:
    return {graph.tasks[ordinal].task_id for ordinal in ordinals}  # type: ignore[attr-defined]


def test_neighbours_and_walks() -> None:
    graph = Graph(dag(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"), task("e")))
    a, d = graph.task("a").ordinal, graph.task("d").ordinal
    assert names(graph, graph.downstream(a)) == {"b", "c"}
    assert names(graph, graph.upstream(d)) == {"b", "c"}
    assert names(graph, graph.descendants(a)) == {"b", "c", "d"}
    assert names(graph, graph.ancestors(d)) == {"a", "b", "c"}
    assert [task.task_id for task in graph.tasks if task.is_leaf] == ["d", "e"]


def mapped() -> Graph:
    return Graph(
        dag(
            task("a"),
            task("g.x", "a", group="g"),
            task("g.h.y", "g.x", group="g.h"),
            task("g.h.z", "g.h.y", "a", group="g.h", expand=over("g.x")),
            task("end", "g.h.z"),
            groups=(
                GroupSpec(group_id="g", expand=over("a")),
                GroupSpec(group_id="g.plain", parent="g"),
                GroupSpec(group_id="g.h", parent="g", expand=over("g.x")),
            ),
        )
    )


def test_scopes_go_from_outside_in() -> None:
    graph = mapped()
    chains = {t.task_id: [scope.name for scope in t.scopes] for t in graph.tasks}
    assert chains == {
        "a": [],
        "g.x": ["g"],
        "g.h.y": ["g", "g.h"],
        "g.h.z": ["g", "g.h", "g.h.z"],
        "end": [],
    }
    assert [(t.depth, t.group_depth) for t in graph.tasks] == [(0, 0), (1, 1), (2, 2), (3, 2), (0, 0)]


def test_edges_know_how_many_groups_are_shared() -> None:
    graph = mapped()
    z = graph.task("g.h.z")
    assert [(graph.tasks[e.other].task_id, e.shared) for e in z.up] == [("a", 0), ("g.h.y", 2)]
    assert z.edges_at == ((1, 0), (0, 0), (1, 0))
    assert graph.task("g.h.z").out == (Edge(graph.task("end").ordinal, 0),)


def test_sources_say_who_must_report_a_length() -> None:
    graph = mapped()
    assert graph.task("a").lengths_needed == ("return_value",)
    assert graph.task("g.x").lengths_needed == ("return_value",)
    over_mapped = Graph(dag(task("a", expand=over([1])), task("b", "a", expand=over("a"))))
    assert over_mapped.task("a").lengths_needed == ()
    assert [scope.name for scope in over_mapped.task("a").expanders] == ["b"]


def with_setups() -> Graph:
    return Graph(
        dag(
            task("outer", is_setup=True),
            task("inner", "outer", is_setup=True),
            task("work", "inner"),
            task("deep", "work", trigger_rule=TriggerRule.ALL_DONE),
            task("drop_inner", "deep", is_teardown=True, setups=("inner",)),
            task("late", "drop_inner"),
            task("drop_outer", "late", is_teardown=True, setups=("outer",)),
            task("end", "drop_outer"),
        )
    )


def test_a_task_needs_the_setups_above_it_that_are_not_torn_down_before_it() -> None:
    graph = with_setups()
    needs = {t.task_id: names(graph, (e.other for e in t.setups)) for t in graph.tasks}
    assert needs == {
        "outer": set(),
        "inner": {"outer"},
        "work": {"outer", "inner"},
        "deep": {"outer", "inner"},
        "drop_inner": {"inner"},
        "late": {"outer"},
        "drop_outer": {"outer"},
        "end": set(),
    }


def test_a_teardown_waits_for_all_between_its_setups_and_itself() -> None:
    graph = with_setups()
    waits = names(graph, (edge.other for edge in graph.task("drop_inner").up))
    assert waits == {"inner", "work", "deep"}
    # What only teardowns follow is a leaf: its failure is not hidden by them.
    assert [t.task_id for t in graph.tasks if t.is_leaf] == ["deep", "late", "end"]


def test_teardowns_do_not_make_leaves_disappear() -> None:
    graph = Graph(
        dag(task("s", is_setup=True), task("w", "s"), task("t", "w", is_teardown=True, setups=("s",)))
    )
    assert [t.task_id for t in graph.tasks if t.is_leaf] == ["w"]
    asked = Graph(dag(task("w"), task("t", "w", is_teardown=True, on_failure_fail_dagrun=True)))
    assert [t.task_id for t in asked.tasks if t.is_leaf] == ["t"]


def test_edges_that_leave_a_group_with_retries_are_held() -> None:
    graph = Graph(
        dag(
            task("o.g.a", group="o.g"),
            task("o.g.b", "o.g.a", group="o.g"),
            task("o.c", "o.g.a", group="o"),
            task("d", "o.g.a"),
            groups=(GroupSpec(group_id="o", retries=1), GroupSpec(group_id="o.g", parent="o", retries=1)),
        )
    )
    a = graph.task("o.g.a")
    assert [graph.tasks[edge.other].task_id for edge in a.out] == ["o.g.b"]
    held = {graph.tasks[h.edge.other].task_id: h.group for h in a.out_held}
    assert held == {"o.c": "o.g", "d": "o"}


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        (WeightRule.DOWNSTREAM, [1 + 2 + 4 + 8, 2 + 8, 4 + 8, 8]),
        (WeightRule.UPSTREAM, [1, 1 + 2, 1 + 4, 1 + 2 + 4 + 8]),
        (WeightRule.ABSOLUTE, [1, 2, 4, 8]),
    ],
)
def test_weights_count_each_task_once(rule: WeightRule, weights: list[int]) -> None:
    graph = Graph(
        dag(
            task("a", priority_weight=1, weight_rule=rule),
            task("b", "a", priority_weight=2, weight_rule=rule),
            task("c", "a", priority_weight=4, weight_rule=rule),
            task("d", "b", "c", priority_weight=8, weight_rule=rule),
        )
    )
    assert [t.weight for t in graph.tasks] == weights


def test_weights_stay_in_bounds() -> None:
    graph = Graph(
        dag(*(task(f"t{i}", *([f"t{i - 1}"] if i else []), priority_weight=2**30) for i in range(5)))
    )
    assert [t.weight for t in graph.tasks] == [2**31 - 1] * 4 + [2**30]


@pytest.mark.parametrize("shape", ["chain", "fan", "funnel"])
def test_large_graphs_need_no_recursion(shape: str) -> None:
    count = 20_000
    if shape == "chain":
        tasks = [task(f"t{i}", *([f"t{i - 1}"] if i else [])) for i in range(count)]
    elif shape == "fan":
        tasks = [task("t0"), *(task(f"t{i}", "t0") for i in range(1, count))]
    else:
        tasks = [
            *(task(f"t{i}") for i in range(count - 1)),
            task("end", *(f"t{i}" for i in range(count - 1))),
        ]
    graph = Graph(dag(*tasks))
    assert graph.tasks[0].weight == {"chain": count, "fan": count, "funnel": 2}[shape]
    assert len(graph.descendants(0)) == {"chain": count - 1, "fan": count - 1, "funnel": 1}[shape]


@st.composite
def specs(draw: st.DrawFn) -> DagSpec:
    count = draw(st.integers(1, 12))
    tasks = []
    for number in range(count):
        above = draw(st.sets(st.integers(0, number - 1), max_size=4)) if number else set()
        weight = draw(st.integers(1, 5))
        tasks.append(task(f"t{number}", *(f"t{other}" for other in above), priority_weight=weight))
    return dag(*tasks)


@given(specs())
def test_weights_and_walks_agree_with_a_plain_reading(spec: DagSpec) -> None:
    graph = Graph(spec)
    for node in graph.tasks:
        below = graph.descendants(node.ordinal)
        assert below == {t.ordinal for t in graph.tasks if node.ordinal in graph.ancestors(t.ordinal)}
        expected = node.spec.priority_weight + sum(graph.tasks[o].spec.priority_weight for o in below)
        assert node.weight == expected
