"""Groups through decide: setups and teardowns at each index, short circuits inside, lengths that change, parking."""

from __future__ import annotations

from tests.domain.kernel import Kernel, by_task, dag, over, task
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.records import MapIndex
from tradewind.domain.spec import DagSpec, GroupSpec, TriggerRule

FAIL = OutcomeKind.FAILED
MAPPED = GroupSpec(group_id="g", expand=over([10, 20, 30]))


def states_of(kernel: Kernel, pk: int, task_id: str) -> list[str]:
    return [state for name, state in kernel.states(pk).items() if name.startswith(f"{task_id}[")]


def with_setup() -> DagSpec:
    return dag(
        task("g.make", group="g", is_setup=True),
        task("g.work", "g.make", group="g"),
        task("g.more", "g.work", group="g", trigger_rule=TriggerRule.ALL_DONE),
        task(
            "g.drop",
            "g.more",
            group="g",
            is_teardown=True,
            setups=("g.make",),
            trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
        ),
        groups=(MAPPED,),
    )


def test_each_index_has_its_own_setup_and_teardown() -> None:
    kernel = Kernel(with_setup())
    pk = kernel.trigger()

    def does(task_id: str, index: MapIndex, _try: int) -> OutcomeKind:
        failed = (task_id, index) in {("g.make", (0,)), ("g.work", (1,))}
        return FAIL if failed else OutcomeKind.SUCCESS

    kernel.drain(does)
    assert {name: states_of(kernel, pk, name) for name in ("g.make", "g.work", "g.more", "g.drop")} == {
        "g.make": ["failed", "success", "success"],
        "g.work": ["upstream_failed", "failed", "success"],
        "g.more": ["upstream_failed", "success", "success"],
        "g.drop": ["upstream_failed", "success", "success"],
    }
    assert kernel.run_state(pk) == "failed"


def test_a_setup_outside_serves_all_indices() -> None:
    spec = dag(
        task("make", is_setup=True),
        task("g.work", "make", group="g"),
        task(
            "drop",
            "g.work",
            is_teardown=True,
            setups=("make",),
            trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
        ),
        groups=(MAPPED,),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, _n: FAIL if (t, i) == ("g.work", (2,)) else OutcomeKind.SUCCESS)
    assert states_of(kernel, pk, "g.work") == ["success", "success", "failed"]
    assert (kernel.states(pk)["drop"], kernel.started[-1], kernel.run_state(pk)) == (
        "success",
        "drop",
        "failed",
    )


def test_a_short_circuit_inside_a_mapped_group_ends_its_index_only() -> None:
    spec = dag(
        task("g.stop", group="g", decides_branch=True),
        task("g.a", "g.stop", group="g"),
        task("g.b", "g.a", group="g", trigger_rule=TriggerRule.ALL_DONE),
        task("end", "g.b", trigger_rule=TriggerRule.NONE_FAILED),
        groups=(MAPPED,),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, _n: {"skip_all_downstream": True} if (t, i) == ("g.stop", (1,)) else {})
    assert states_of(kernel, pk, "g.b") == ["success", "skipped", "success"]
    assert kernel.states(pk)["end"] == "success"  # it sees all indices, and not all of them ended there


def test_what_sees_all_indices_is_skipped_when_all_end_there() -> None:
    spec = dag(
        task("stop", expand=over([1, 2]), decides_branch=True),
        task("a", "stop"),
        task("b", "a", trigger_rule=TriggerRule.ALL_DONE),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(by_task({"stop": {"skip_all_downstream": True}}))
    assert (kernel.states(pk)["a"], kernel.states(pk)["b"]) == ("skipped", "skipped")


def test_a_mapped_branch_skips_what_none_of_its_instances_chose() -> None:
    spec = dag(
        task("pick", expand=over([1, 2]), decides_branch=True),
        task("left", "pick"),
        task("right", "pick"),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, _n: {"branch": ("right", "left")[: 2 - i[0]]} if t == "pick" else {})
    assert (kernel.states(pk)["left"], kernel.states(pk)["right"]) == ("success", "skipped")


def test_a_group_over_what_failed_or_was_skipped_never_runs() -> None:
    spec = dag(
        task("list"),
        task("g.a", group="g"),
        task("g.b", "g.a", group="g"),
        task("end", "g.b", trigger_rule=TriggerRule.ALL_DONE),
        groups=(GroupSpec(group_id="g", expand=over("list")),),
    )
    for outcome, state in ((FAIL, "upstream_failed"), (OutcomeKind.SKIPPED, "skipped")):
        kernel = Kernel(spec)
        pk = kernel.trigger()
        kernel.drain(by_task({"list": outcome}))
        states = kernel.states(pk)
        assert (states["g.a"], states["g.b"], states["end"]) == (state, state, "success")


def test_an_empty_group_skips_and_the_rest_goes_on() -> None:
    spec = dag(
        task("g.a", group="g"),
        task("end", "g.a", trigger_rule=TriggerRule.NONE_FAILED),
        groups=(GroupSpec(group_id="g", expand=over([])),),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain()
    assert kernel.states(pk) == {"g.a": "skipped", "end": "success"}


def test_a_mapped_task_inside_a_mapped_group_maps_over_its_own_index() -> None:
    spec = dag(
        task("g.list", group="g"),
        task("g.each", "g.list", group="g", expand=over("g.list")),
        task("g.sum", "g.each", group="g"),
        groups=(MAPPED,),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, _n: {"lengths": {"return_value": i[0]}} if t == "g.list" else {})
    assert kernel.states(pk) == {
        "g.list[0]": "success",
        "g.list[1]": "success",
        "g.list[2]": "success",
        "g.each[0]": "skipped",
        "g.each[1.0]": "success",
        "g.each[2.0]": "success",
        "g.each[2.1]": "success",
        "g.sum[0]": "skipped",
        "g.sum[1]": "success",
        "g.sum[2]": "success",
    }


def test_a_mapping_over_several_sources_multiplies_them() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a", expand=over("a", [1, 2]))))
    pk = kernel.trigger()
    kernel.drain(by_task({"a": {"lengths": {"return_value": 3}}}))
    assert states_of(kernel, pk, "b") == ["success"] * 6


def test_a_parked_attempt_frees_its_slot_and_goes_on_with_the_answer() -> None:
    kernel = Kernel(dag(task("wait", priority_weight=5), task("other")), slots=1)
    pk = kernel.trigger()
    kernel.settle()
    (launch,) = kernel.queue
    kernel.work(lambda *_: {"kind": OutcomeKind.DEFER, "defer": {"trigger": "file"}})
    row = kernel.row(pk, "wait")
    assert (str(row.state), row.resume) == ("deferred", {"trigger": "file"})
    assert [one.task_id for one in kernel.queue] == ["other"]
    kernel.work()
    assert kernel.world.resume(launch.instance_id, launch.token, {"event": "it is there"}, kernel.now)
    assert not kernel.world.resume(launch.instance_id, launch.token, {}, kernel.now)
    kernel.settle()
    (again,) = kernel.queue
    assert (again.try_number, again.token, kernel.row(pk, "wait").resume) == (1, 2, {"event": "it is there"})
    kernel.work()
    assert kernel.run_state(pk) == "success"
