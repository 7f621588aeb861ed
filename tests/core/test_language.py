"""The words: what they refuse, how they name things, what they become."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from nas.core.errors import GraphError
from nas.core.graph import Graph
from nas.core.language import compute, dag, one_of, op, optional, parallel, recursive, repeat, seq, some_of, tie
from nas.core.parts import Again, Part
from nas.core.profile import profile
from nas.core.space import Space, image
from tests.core.reference import expression
from tests.strategies import IMAGE


def space_of(part: Part) -> Space:
    return Space(part, IMAGE)


def graph_of(part: Part, **decisions: Any) -> Graph:
    return space_of(part).decide({name.replace("__", "/"): option for name, option in decisions.items()}).graph


def addresses(part: Part) -> list[str]:
    return [choice.address for choice in space_of(part).choices()]


relus = op("relu")


# ---- the example of the design ---------------------------------------------------------------------------------------


def design_space() -> Space:
    kernel = one_of(3, 5, 7)
    block = one_of(
        op("mbconv", kernel=kernel, expand=one_of(3, 6)),
        some_of(op("conv", kernel=1), op("conv", kernel=3), op("conv", kernel=5), at_least=1, merge="add"),
        op("identity"),
    )

    def stage(width: Part) -> Part:
        return seq(op("downsample", width=width), repeat(block, times=one_of(2, 3, 4)))

    part = seq(op("stem", width=16), stage(one_of(24, 32)), stage(one_of(48, 64)), op("head"))
    return Space(part, image(3, 32, 32), classes=10)


def test_the_designs_example_has_the_addresses_it_shows() -> None:
    found = {choice.address: choice for choice in design_space().choices()}
    stage = [
        "stage2/downsample/width", "stage2/times", "stage2/block1/op", "stage2/block1/mbconv/kernel",
        "stage2/block1/mbconv/expand", "stage2/block1/paths/paths",
    ]  # fmt: skip
    assert list(found)[: len(stage)] == [address.replace("stage2", "stage1") for address in stage]
    assert [address for address in found if address in stage] == stage
    assert len(found) == 2 * (2 + 4 * 4)
    assert tuple(found["stage2/block1/op"].options) == ("mbconv", "paths", "identity")
    assert tuple(found["stage2/block4/mbconv/kernel"].options) == (3, 5, 7)
    assert found["stage2/block1/paths/paths"].options[0] == ("conv_kernel1",)
    assert found["stage2/times"].kind == "repeat"


def test_the_designs_example_has_the_size_that_a_person_counts() -> None:
    block = 3 * 2 + (2**3 - 1) + 1
    stage = 2 * sum(block**times for times in (2, 3, 4))
    assert design_space().size() == stage**2


def test_the_designs_example_gives_networks() -> None:
    space = design_space()
    for seed in range(10):
        candidate = space.sample(random.Random(seed))
        assert space.trouble(candidate) is None
        assert profile(candidate.graph, space.inputs).outputs == {"y": (10,)}
        stage = candidate.graph["stage2"].op
        assert isinstance(stage, Graph)
        times = candidate.decisions["stage2/times"]
        assert [node.name for node in stage.nodes] == ["downsample", *(f"block{i + 1}" for i in range(int(str(times))))]


# ---- names -----------------------------------------------------------------------------------------------------------


class Squash(nn.Module):
    def forward(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (seq(op("conv"), op("relu")), ["conv", "relu"]),
        (seq(op("conv"), op("conv")), ["conv1", "conv2"]),
        (seq(op("conv"), op("conv"), head=op("conv")), ["conv1", "conv2", "head"]),
        (seq(op("conv"), op("conv"), conv1=op("conv")), ["conv2", "conv3", "conv1"]),
        (seq(op("conv"), conv=op("relu")), ["conv1", "conv"]),
        (seq(op("conv").named("stem"), op("conv")), ["stem", "conv"]),
        (seq(op(Squash), op("relu")), ["squash", "relu"]),
        (seq(seq(op("relu")), parallel(op("relu")), dag({"a": (op("relu"), "input")})), ["stage", "branches", "dag"]),
        (seq(one_of(op("relu"), op("gelu")), some_of(op("relu"), op("gelu"))), ["choice", "paths"]),
        (seq(optional(op("relu")), optional(op("gelu")).named("end")), ["relu", "end"]),
        (seq(tie("cell", op("relu")), tie("cell", op("relu"))), ["cell1", "cell2"]),
        (seq(compute(lambda: op("relu"))), ["computed"]),
        (seq(recursive("tree", lambda tree: one_of(op("relu"), seq(tree)), 2)), ["tree"]),
        (seq(op("conv"), repeat(op("relu"), times=2)), ["conv", ""]),
        (seq(repeat(op("relu"), times=2), repeat(op("relu"), times=2)), ["blocks1", "blocks2"]),
        (seq(rest=repeat(op("relu"), times=2)), ["rest"]),
        (seq(repeat(op("relu"), times=2).named("rest")), ["rest"]),
        (parallel(op("conv", kernel=1), op("conv", kernel=3)), ["conv1", "conv2"]),
    ],
)
def test_names_of_parts_side_by_side(part: Any, names: list[str]) -> None:
    assert [name for name, _ in part.parts] == names


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ([op("conv", kernel=1), op("conv", kernel=3)], ["conv_kernel1", "conv_kernel3"]),
        ([op("conv", kernel=1, width=8), op("conv", kernel=3, width=8)], ["conv_kernel1", "conv_kernel3"]),
        ([op("conv"), op("conv", act=None)], ["conv", "conv_actNone"]),
        ([op("conv", kernel=one_of(1, 3)), op("conv", width=8)], ["conv", "conv_width8"]),
        ([op("conv", kernel=(1, 3)), op("conv", kernel=(3, 1))], ["conv_kernel13", "conv_kernel31"]),
        ([op("conv"), op("conv")], ["conv1", "conv2"]),
        ([op("relu"), seq(op("conv"), op("relu"))], ["relu", "conv-relu"]),
        ([seq(op("conv"), op("relu"), op("conv"), op("relu")), op("relu")], ["seq", "relu"]),
        ([op("conv").named("wide"), op("conv")], ["wide", "conv"]),
        ([parallel(op("relu")), one_of(op("relu"), op("gelu"))], ["branches", "choice"]),
    ],
)
def test_labels_of_options_say_what_differs(options: list[Part], labels: list[str]) -> None:
    choice: Any = one_of(*options)
    assert [label for label, _ in choice.options] == labels
    some: Any = some_of(*options)
    assert [label for label, _ in some.options] == labels


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (op("conv", kernel=one_of(1, 3)), ["kernel"]),
        (one_of(a=op("conv", kernel=one_of(1, 3)), b=op("relu")), ["op", "a/kernel"]),
        (some_of(a=op("conv", kernel=one_of(1, 3)), b=relus, merge=one_of("add", "mul"), fit=one_of("crop", "pad")),
         ["paths", "a/kernel", "merge", "fit"]),
        (seq(a=optional(op("conv", kernel=one_of(1, 3)))), ["a/used", "a/kernel"]),
        (seq(a=repeat(op("conv", kernel=one_of(1, 3)), times=one_of(1, 2))),
         ["a/times", "a/block1/kernel", "a/block2/kernel"]),
        (repeat(op("conv", kernel=one_of(1, 3)).named("layer"), times=2), ["layer1/kernel", "layer2/kernel"]),
        (parallel(a=one_of(op("relu"), op("gelu")), b=op("relu"), merge=one_of("add", "max")), ["a/op", "merge"]),
        (seq(a=tie("cell", one_of(relus, op("gelu"))), b=tie("cell", one_of(relus, op("gelu")))), ["cell/op"]),
        (seq(a=op("conv", kernel=tie("k", one_of(1, 3))), b=op("conv", kernel=tie("k", one_of(1, 3)))), ["k"]),
        (seq(a=tie("net/cell", op("conv", kernel=one_of(1, 3)))), ["net/cell/kernel"]),
        (seq(a=recursive("t", lambda t: one_of(op("relu"), two=seq(t, t)), 2)), ["a/op", "a/two/t1/op", "a/two/t2/op"]),
        (recursive("t", lambda t: one_of(op("relu"), two=seq(t)), 3), ["op", "two/t/op", "two/t/two/t/op"]),
        (seq(a=compute(lambda k: op("conv", kernel=k), k=one_of(1, 3))), ["a/k"]),
        (dag({"a": (op("relu"), "input"), "b": (op("relu"), one_of("input", "a"))}), ["b/input"]),
        (dag({"a": (op("relu"), "input"), "b": (op("relu"), some_of("input", "a"), "add")}), ["b/input"]),
        (dag({"a": (op("relu"), "input"), "b": (op("add"), [one_of("input", "a"), one_of("a", "input")])}),
         ["b/input1", "b/input2"]),
        (dag({"a": (op("relu"), "input"), "b": (op("add"), ["input", optional("a")])}), ["b/from_a"]),
        (dag({"a": (op("relu"), "input"), "b": (op("conv", kernel=one_of(1, 3)), ["input", "a"],
              (one_of("add", "mul"), one_of("crop", "pad")))}), ["b/kernel", "b/input_merge", "b/input_fit"]),
        (seq(a=op("conv", kernel=one_of(1, 3)), b=repeat(op("relu"), times=one_of(1, 2)).named("c")),
         ["a/kernel", "b/times"]),
    ],
)  # fmt: skip
def test_addresses_are_made_of_the_names_on_the_way(part: Part, expected: list[str]) -> None:
    assert addresses(part) == expected


def test_a_single_repeat_in_a_sequence_shares_its_address() -> None:
    part = seq(stage=seq(op("conv"), repeat(one_of(op("relu"), op("gelu")), times=one_of(1, 2))))
    assert addresses(part) == ["stage/times", "stage/block1/op", "stage/block2/op"]
    stage = graph_of(part, stage__times=2, stage__block1__op="relu", stage__block2__op="gelu")["stage"].op
    assert isinstance(stage, Graph)
    assert [(node.name, node.inputs) for node in stage.nodes] == [
        ("conv", ("x",)), ("block1", ("conv",)), ("block2", ("block1",)),
    ]  # fmt: skip


# ---- what words become -----------------------------------------------------------------------------------------------


def relu(x: Any) -> Any:
    return ("relu", {}, (x,))


def test_a_sequence_without_any_part_left_passes_its_input_on() -> None:
    part = seq(first=optional(op("relu")), last=optional(op("relu")))
    assert expression(graph_of(part, first__used=False, last__used=False)) == "x"
    assert expression(graph_of(part, first__used=True, last__used=False)) == relu("x")


@pytest.mark.parametrize("word", [parallel, some_of])
def test_one_path_is_not_merged_and_no_path_is_a_zero(word: Callable[..., Part]) -> None:
    part = word(a=optional(op("relu")), b=optional(op("relu")), merge="mul")
    space = space_of(part)
    found = {}
    for candidate in space.enumerate():
        used = sum(bool(v) for k, v in candidate.decisions.items() if k.endswith("used"))
        found[used] = expression(candidate.graph)
    assert found == {0: ("zero", {}, ("x",)), 1: relu("x"), 2: ("mul", {}, (relu("x"), relu("x")))}


def test_merges_say_how_they_fit() -> None:
    part = parallel(
        op("conv", width=4), op("conv", width=8), merge=one_of("add", "max"), fit=one_of("crop", "pad", None)
    )
    graph = graph_of(part, merge="max", fit="pad")
    assert (graph["merge"].op, dict(graph["merge"].attributes)) == ("max", {"fit": "pad"})
    assert dict(graph_of(part, merge="max", fit=None)["merge"].attributes) == {}


def test_nodes_of_a_dag_that_lead_nowhere_are_left_out() -> None:
    part = dag({"a": (op("relu"), "input"), "b": (op("gelu"), "input"), "c": (op("silu"), one_of("a", "b", "input"))})
    assert [node.name for node in graph_of(part, c__input="b").nodes] == ["b", "c"]
    assert [node.name for node in graph_of(part, c__input="input").nodes] == ["c"]


def test_sources_that_are_not_there_are_left_out_and_none_at_all_is_a_zero() -> None:
    part = dag({"a": (op("relu"), optional("input")), "b": (op("add"), [optional("a"), optional("input")])})
    space = space_of(part)
    told = {tuple(bool(v) for v in c.decisions.values()): expression(c.graph) for c in space.enumerate()}
    zero = ("zero", {}, ("x",))
    assert told == {
        (True, True, True): ("add", {}, (relu("x"), "x")),
        (True, True, False): ("add", {}, (relu("x"),)),
        (True, False, True): ("add", {}, ("x",)),
        (True, False, False): zero,
        (False, True, True): ("add", {}, ("x",)),  # `a` has no source, so it is not there
        (False, True, False): zero,
        (False, False, True): ("add", {}, ("x",)),
        (False, False, False): zero,
    }


def test_several_sources_are_operands_of_operations_and_are_added_before_anything_else() -> None:
    wiring = {"a": (op("relu"), "input"), "b": (seq(op("gelu")), ["input", "a"])}
    assert expression(graph_of(dag(wiring))) == ("gelu", {}, (("add", {}, ("x", relu("x"))),))
    wiring["b"] = (op("mul"), ["a", "input"])
    assert expression(graph_of(dag(wiring))) == ("mul", {}, (relu("x"), "x"))
    merged = dag({**wiring, "b": (op("gelu"), ["a", "input"], ("max", "crop"))})
    assert expression(graph_of(merged)) == ("gelu", {}, (("max", {"fit": "crop"}, (relu("x"), "x")),))


def branched() -> Part:
    """Two tasks. Each has a layer of its own, whose parent is a choice among shared layers and the other's layer."""
    return dag(
        {
            "shared1": (op("conv"), "input"),
            "shared2": (op("conv"), "shared1"),
            "left": (op("conv"), one_of("shared1", "shared2")),
            "right": (op("conv"), one_of("shared1", "shared2", "left")),
            "digits": (op("head", classes=10), "left"),
            "letters": (op("head", classes=26), "right"),
        },
        outputs=["digits", "letters"],
    )


def test_a_branched_network_has_several_outputs_and_its_parents_are_choices() -> None:
    space = space_of(branched())
    assert space.size() == 6
    assert [choice.address for choice in space.choices()] == ["left/input", "right/input"]
    shapes, nodes = set(), []
    for candidate in space.enumerate():
        shapes.add(tuple(profile(candidate.graph, space.inputs).outputs.items()))
        nodes.append(len(candidate.graph.nodes))
    assert shapes == {(("digits", (10,)), ("letters", (26,)))}
    assert sorted(nodes) == [5, 5, 6, 6, 6, 6]  # without shared2 where nobody has it as a parent


def test_outputs_of_a_nested_network_are_sources_by_name() -> None:
    inner = dag({"a": (op("relu"), "input"), "b": (op("gelu"), "input")}, outputs={"left": "a", "right": "b"})
    part = dag({"two": (inner, "input"), "sum": (op("add"), ["two:right", one_of("two:left", "input")])})
    graph = graph_of(part, sum__input="two:left")
    assert expression(graph) == ("add", {}, (("gelu", {}, ("x",)), relu("x")))


def test_a_nested_network_of_several_outputs_that_is_not_there_counts_as_one_value() -> None:
    inner = dag({"a": (op("relu"), "input"), "b": (op("gelu"), "input")}, outputs={"left": "a", "right": "b"})
    part = dag({"two": (inner, optional("input"))}, outputs={"left": "two:left", "right": "two:right"})
    graph = graph_of(part, two__from_input=False)
    assert [(node.op, ref) for node, (_, ref) in zip(graph.nodes * 2, graph.outputs, strict=True)] == [
        ("zero", "two")
    ] * 2
    skipped = dag({"two": (optional(inner), "input"), "end": (op("relu"), "two:left")})
    assert expression(graph_of(skipped, two__used=False)) == relu(("identity", {}, ("x",)))


def test_tied_places_share_decisions_and_not_nodes() -> None:
    cell = tie("cell", one_of(op("relu"), op("conv", kernel=one_of(1, 3))))
    graph = graph_of(seq(cell, cell), cell__op="conv", cell__conv__kernel=3)
    assert [(node.name, node.op, dict(node.attributes)) for node in graph.nodes] == [
        ("cell1", "conv", {"kernel": 3}), ("cell2", "conv", {"kernel": 3}),
    ]  # fmt: skip


def test_tied_numbers_of_repeats_go_together() -> None:
    times = tie("depth", one_of(1, 3))
    part = seq(a=repeat(one_of(op("relu"), op("gelu")), times=times), b=repeat(op("conv"), times=times))
    space = space_of(part)
    assert space.size() == 2 + 2**3
    for candidate in space.enumerate():
        depth = candidate.decisions["depth"]
        assert [len(node.op.nodes) for node in candidate.graph if isinstance(node.op, Graph)] == [depth, depth]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_recursive_part_is_never_deeper_than_its_bound(depth: int) -> None:
    part = recursive("t", lambda t: one_of(op("relu"), more=seq(op("gelu"), t)), depth=depth)
    assert [len(c.graph.flatten().nodes) for c in space_of(part).enumerate()] == list(range(1, depth + 1))


def test_on_the_last_level_only_what_ends_is_left() -> None:
    def body(t: Part) -> Part:
        return one_of(
            leaf=op("relu"),
            some=some_of(op("relu"), op("gelu"), t, at_least=2),
            maybe=seq(op("relu"), rest=optional(t)),
            many=repeat(t, times=one_of(1, 2)),
            both=parallel(t, op("relu")),
            wired=dag({"a": (t, "input")}),
            cell=tie("inner", seq(op("relu"), t)),
        )

    (choice, *rest) = space_of(recursive("t", body, 1)).choices()
    assert tuple(choice.options) == ("leaf", "some", "maybe")
    assert [c.address for c in rest] == ["some/paths"]
    assert list(rest[0].options) == [("relu", "gelu")]
    assert tuple(space_of(recursive("t", body, 2)).choices()[0].options) == (
        "leaf", "some", "maybe", "many", "both", "wired", "cell",
    )  # fmt: skip


def rows(edges: tuple[str, ...], width: int) -> Part:
    return seq(*(op(edge) for edge in edges), op("conv", width=width))


def test_compute_makes_a_part_of_decided_values() -> None:
    part = compute(rows, edges=some_of("relu", "gelu", at_least=0), width=one_of(4, 8))
    assert addresses(part) == ["edges", "width"]
    graph = graph_of(part, edges=("relu", "gelu"), width=8)
    assert [(node.op, dict(node.attributes)) for node in graph] == [("relu", {}), ("gelu", {}), ("conv", {"width": 8})]
    assert [node.op for node in graph_of(part, edges=(), width=8)] == ["conv"]


def test_some_of_values_gives_the_values_themselves() -> None:
    part = compute(lambda sizes: seq(*(op("conv", kernel=k) for k in sizes), op("relu")), sizes=some_of(1, 3, 5))
    (choice,) = space_of(part).choices()
    assert list(choice.options)[:4] == [("1",), ("3",), ("5",), ("1", "3")]
    assert [node.attributes.get("kernel") for node in graph_of(part, sizes=("1", "5"))] == [1, 5, None]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (seq(x=op("relu"), x_=op("relu")), relu(relu("x"))),
        (parallel(op("relu").named("merge"), op("relu").named("x")), ("add", {}, (relu("x"), relu("x")))),
        (dag({"a": (op("relu"), "input"), "b_add": (op("relu"), "a"), "b": (seq(op("relu")), ["a", "b_add"])}),
         relu(("add", {}, (relu("x"), relu(relu("x")))))),
        (repeat(op("relu").named("x"), times=2), relu(relu("x"))),
        (seq(op("conv").named("x1"), op("relu")), relu(("conv", {}, ("x",)))),
    ],
)  # fmt: skip
def test_any_name_may_be_the_users_own(part: Part, expected: Any) -> None:
    assert expression(space_of(seq(part))[0].graph) == expected


def test_parts_are_values() -> None:
    def make() -> Part:
        return seq(
            one_of(op("conv", kernel=one_of(1, 3)), op("relu")), repeat(op("relu"), times=tie("n", one_of(1, 2)))
        )

    assert make() == make()
    assert hash(make()) == hash(make())
    assert make() != seq(one_of(op("conv", kernel=one_of(1, 5)), op("relu")), op("relu"))
    assert op("relu").named("a") != op("relu")
    with pytest.raises(AttributeError):
        make().label = "other"  # type: ignore[misc]


# ---- what words refuse -----------------------------------------------------------------------------------------------


def _leak(kept: list[Part]) -> Callable[[Part], Part]:
    def body(again: Part) -> Part:
        kept.append(again)
        return one_of(op("relu"), seq(again))

    return body


REFUSALS: list[tuple[Callable[[], Any], str]] = [
    (lambda: op(3), r"op: 3 is a int; expected a name or a torch.nn.Module class"),  # type: ignore[arg-type]
    (lambda: op("conv", width=[{}]), r"op 'conv': width: \{\} is a dict; expected None, bool, int"),
    (lambda: op("conv", width=float("nan")), r"op 'conv': width: nan is not finite"),
    (lambda: op("conv", width=relus), r"op 'conv': width: op\('relu'\) is a part; expected a value, or one_of"),
    (lambda: op("conv", width=one_of(relus, relus)), r"op 'conv': width: one_of\(.*\) is a part; expected a value"),
    (lambda: op("conv", width=optional("a")), r"op 'conv': width: optional\('a'\) is a part; expected a value"),
    (lambda: seq(), "seq: no parts; give at least one"),
    (lambda: seq("relu"), "seq: 'relu' is a str; expected a part such as op"),  # type: ignore[arg-type]
    (lambda: seq(nn.ReLU()), r"seq: ReLU\(\) is a ReLU; expected a part"),  # type: ignore[arg-type]
    (lambda: seq(one_of(3, 5)), r"seq: one_of\(3, 5\) is a choice of values; expected a part"),
    (lambda: seq(tie("a", one_of(3, 5))), r"seq: tie\('a', one_of\(3, 5\)\) is a choice of values; expected a part"),
    (lambda: seq(optional("input")), r"seq: optional\('input'\) is a choice of values; expected a part"),
    (lambda: seq(relus.named("a"), a=relus), "name 'a' is given to 2 parts side by side; names must differ"),
    (lambda: seq(**{"a/b": relus}), "seq: 'a/b' is no name; use a non-empty text without '/', ':' or spaces"),
    (lambda: seq(relus.named("block1"), repeat(relus, times=one_of(0, 1))),
     "seq: the name 'block1' is also one that its repeat uses; give the part another name, or the repeat one"),
    (lambda: seq(repeat(relus, times=one_of(0, 1)), times=relus), "seq: the name 'times' is also one that its repeat"),
    (lambda: relus.named("a b"), "relu.named: 'a b' is no name"),
    (lambda: relus.named(""), "relu.named: '' is no name"),
    (lambda: parallel(), "parallel: no parts; give at least one"),
    (lambda: parallel(relus, merge="sum"), "parallel: merge='sum'; legal: 'add', 'concat', 'join'"),
    (lambda: parallel(relus, merge="cat"), "parallel: merge='cat'; did you mean 'concat'"),
    (lambda: parallel(relus, merge=one_of("add", "cat")), "parallel: merge='cat'; did you mean 'concat'"),
    (lambda: parallel(relus, merge=tie("m", one_of("add", "cat"))), "parallel: merge='cat'; did you mean 'concat'"),
    (lambda: parallel(relus, merge=relus), r"parallel: merge=Op\("),
    (lambda: parallel(relus, fit="cut"), "parallel: fit='cut'; legal: 'crop', 'pad', 'project', or None to refuse"),
    (lambda: parallel(relus, fit=tie("f", one_of("pad", "cut"))), "parallel: fit='cut'"),
    (lambda: one_of(), "one_of: no options; give at least one"),
    (lambda: one_of(3, relus), r"one_of: 3, op\('relu'\) mixes values and parts; give values only, or wrap each in op"),
    (lambda: one_of(3, 5, 3), "one_of: option 3 is given twice"),
    (lambda: one_of(wide=3), r"one_of: \['wide'\] name values; only parts can be named"),
    (lambda: one_of(object(), 3), r"one_of: <object object at .*> is a object; expected None, bool"),
    (lambda: one_of(relus.named("a"), a=relus), "name 'a' is given to 2 parts side by side"),
    (lambda: one_of(one_of(1, 2), one_of(3, 4)), r"one_of: one_of\(1, 2\) is a choice of values; expected a part"),
    (lambda: some_of(), "some_of: no options"),
    (lambda: some_of(relus, relus, at_least=0), "some_of: at_least=0, at_most=None with 2 options; expected 1 <="),
    (lambda: some_of(relus, relus, at_least=2, at_most=1), "at_least=2, at_most=1 with 2 options; expected 1 <="),
    (lambda: some_of(relus, at_most=2), "at_least=1, at_most=2 with 1 options"),
    (lambda: some_of("a", "b", at_least=-1), "at_least=-1, at_most=None with 2 options; expected 0 <= at_least"),
    (lambda: some_of(relus, at_least=1.0), "at_least=1.0"),  # type: ignore[arg-type]
    (lambda: some_of(*range(64)), "some_of: 64 options have 18446744073709551615 subsets, too many to number"),
    (lambda: some_of(1, "1"), "some_of: two options are written '1'; a subset tells options by their text"),
    (lambda: some_of(relus, merge="sum"), "some_of: merge='sum'"),
    (lambda: optional(3), "optional: 3 is a int; expected a part"),  # type: ignore[arg-type]
    (lambda: optional(one_of(3, 5)), "is a choice of values; expected a part"),
    (lambda: repeat(relus, times=-1), "repeat: times=-1; expected a whole number of 0 or more, one_of such num"),
    (lambda: repeat(relus, times=True), "repeat: times=True; expected a whole number"),
    (lambda: repeat(relus, times=1.5), "repeat: times=1.5"),
    (lambda: repeat(relus, times=one_of(1, "2")), r"repeat: times=one_of\(1, '2'\); expected a whole number"),
    (lambda: repeat(relus, times=tie("n", one_of(1, -2))), r"repeat: times=tie\('n', one_of\(1, -2\)\); expected"),
    (lambda: repeat(relus, times=one_of(relus, relus)), r"repeat: times=one_of\("),
    (lambda: repeat(relus, times=some_of(1, 2)), r"repeat: times=some_of\("),
    (lambda: repeat(one_of(1, 2), times=2), "is a choice of values; expected a part"),
    (lambda: tie("a b", relus), "tie: 'a b' is no name"),
    (lambda: tie("a//b", relus), "tie: '' is no name"),
    (lambda: tie("a", 3), "tie 'a': 3 has nothing to tie; expected a part, or a choice of values"),
    (lambda: tie("a", optional("input")), r"tie 'a': optional\('input'\) has nothing to tie"),
    (lambda: recursive("a b", lambda t: relus, depth=1), "recursive: 'a b' is no name"),
    (lambda: recursive("t", lambda t: relus, depth=0), "recursive 't': depth=0; expected a whole number of 1 or more"),
    (lambda: recursive("t", lambda t: relus, depth=True), "recursive 't': depth=True"),
    (lambda: recursive("t", lambda t: seq(relus, t), depth=3),
     "recursive 't' never ends: every option contains it again; add one that does not"),
    (lambda: recursive("t", lambda t: some_of(relus, t, at_least=2), depth=3), "recursive 't' never ends"),
    (lambda: recursive("t", lambda t: one_of(3, 5), depth=3), "recursive 't': one_of.* is a choice of values"),
    (lambda: recursive("t", lambda t: one_of(relus, recursive("t", lambda u: one_of(relus, u), 2)), depth=2),
     "recursive 't' holds another recursive 't'; give one of them another name"),
    (lambda: compute(rows, edges=relus), r"compute: edges: op\('relu'\) is a part; expected a value"),
    (lambda: dag({}), "dag: no nodes; give at least one"),
    (lambda: dag({"a b": (relus, "input")}), "dag: 'a b' is no name"),
    (lambda: dag({"a": relus}), r"dag: 'a' is op\('relu'\); expected \(part, sources\) or \(part, sources, merge\)"),  # type: ignore[dict-item]
    (lambda: dag({"a": (relus,)}), r"dag: 'a' is \(op\('relu'\)\); expected \(part, sources\)"),
    (lambda: dag({"a": ("relu", "input")}), "dag: 'a': 'relu' is a str; expected a part"),
    (lambda: dag({"a": (relus, "b"), "b": (relus, "input")}),
     "dag: 'a' takes 'b', which is no input or earlier node; legal: 'input'"),
    (lambda: dag({"a": (relus, one_of("input", "imput"))}), "dag: 'a' takes 'imput', which is no input or"),
    (lambda: dag({"a": (relus, [optional("c")])}), "dag: 'a' takes 'c', which is no"),
    (lambda: dag({"a": (relus, tie("s", one_of("input", "c")))}), "dag: 'a' takes 'c', which is no"),
    (lambda: dag({"a": (relus, "c:left")}), "dag: 'a' takes 'c:left', which is no"),
    (lambda: dag({"a": (relus, 3)}), "dag: 'a' takes 3; expected a name, one_of or some_of names, or optional"),
    (lambda: dag({"a": (relus, relus)}), r"dag: 'a' takes op\('relu'\); expected a name"),
    (lambda: dag({"input": (relus, "input")}), "dag: 'input' is given twice"),
    (lambda: dag({"a": (relus, ["input", "input"], "sum")}), "dag 'a': merge='sum'"),
    (lambda: dag({"a": (relus, ["input", "input"], ("add", "cut"))}), "dag 'a': fit='cut'"),
    (lambda: dag({"a": (relus, "input")}, outputs=["b"]), "dag: output 'b' is no node; legal: 'a', 'input'"),
    (lambda: dag({"a": (relus, "input")}, outputs={"y": "imput"}), "dag: output 'imput' is no node; did you mean 'inp"),
    (lambda: dag({"a": (relus, "input")}, outputs={}), "dag: outputs={}; expected at least one name, each once"),
    (lambda: dag({"a": (relus, "input")}, outputs=["a", "a"]), r"dag: outputs=\['a', 'a'\]; expected at least one"),
    (lambda: dag({"a": (relus, "input")}, outputs={"a b": "a"}), "dag output: 'a b' is no name"),
    (lambda: dag({"a": (relus, "input")}, inputs=()), r"dag: inputs=\[\]; expected at least one name, each once"),
    (lambda: dag({"a": (relus, "x")}, inputs=("x", "x")), r"dag: inputs=\['x', 'x'\]; expected at least one name"),
    (lambda: dag({"a": (relus, "x")}, inputs=("x", "a/b")), "dag input: 'a/b' is no name"),
    (lambda: op("conv", 4, 4), r"op 'conv': 4, 4 is given without a name; write each attribute as NAME=VALUE"),
    (lambda: op("conv", width=10**5000), r"width: a whole number of 16610 bits; expected at most 4096"),
    (lambda: repeat(relus, times=10**9), r"times=1000000000; expected at most 10000 copies"),
    (lambda: repeat(relus, times=one_of(9_999, 2)), r"times=one_of\(9999, 2\); expected at most 10000 copies"),
    (lambda: dag([1, 2]), r"dag: \[1, 2\] is a list; expected a mapping"),
    (lambda: dag({"a": (relus, "input")}, inputs="input"), r"dag: inputs='input'; expected a list of names"),
    (lambda: dag({"a": (relus, "input")}, outputs=3), r"dag: outputs=3; expected a list of nodes"),
    (lambda: dag({"a": (relus, "input")}, outputs=[3]), r"dag output"),
    (lambda: tie(None, relus), r"tie: name=None; expected a text"),
    (lambda: recursive("t", relus, depth=3), r"recursive 't': op\('relu'\) is no function; expected one that takes"),
    (lambda: recursive("t", lambda: relus, depth=3), r"recursive 't': its function does not take one part"),
    (lambda: compute(3, a=4), r"compute: 3 is no function; expected one that takes \['a'\]"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=[message[:60] for _, message in REFUSALS])
def test_what_the_words_refuse(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make()


def test_the_stand_in_of_a_recursion_works_in_its_own_body_only() -> None:
    kept: list[Part] = []
    recursive("t", _leak(kept), depth=2)
    assert isinstance(kept[0], Again)
    with pytest.raises(GraphError, match="recursive 't' is used outside its own body"):
        space_of(seq(relus, kept[0]))


def test_what_compute_refuses_of_its_function() -> None:
    with pytest.raises(GraphError, match=r"end: <lambda>\({'k': 1}\) gives 1, a int; expected a part"):
        space_of(seq(end=compute(lambda k: k, k=one_of(1, 3))))
    with pytest.raises(GraphError, match=r"gives a part that leaves 'end/kernel' open; make it a value of compute"):
        space_of(seq(end=compute(lambda k: op("conv", kernel=one_of(1, k)), k=one_of(3, 5))))


def test_several_inputs_where_one_arrives_are_refused_when_the_space_is_made() -> None:
    two = dag({"sum": (op("add"), ["a", "b"])}, inputs=("a", "b"))
    with pytest.raises(GraphError, match=r"node 'dag': 1 operands for a nested graph with 2 inputs \['a', 'b'\]"):
        space_of(seq(op("relu"), two))
    with pytest.raises(GraphError, match=r"'dag' has the outputs \['left', 'right'\]; write 'dag:OUTPUT'"):
        space_of(seq(dag({"left": (op("relu"), "input")}, outputs={"left": "left", "right": "left"}), op("relu")))
