"""Every operation of the table: shapes, parameters and MACs as torch has them; illegal values refused by name."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nas.core.build import build
from nas.core.errors import GraphError, RegistryError, ShapeError
from nas.core.graph import Graph, Node
from nas.core.language import op, seq
from nas.core.operations import find, operation_names
from nas.core.profile import InputSpec, profile
from nas.core.space import Space
from nas.core.table import TABLE, Layer, Positive, Shape, operation
from nas.core.values import FrozenDict
from tests.core.operations.cases import CASES, Shapes, combinations

TOKENS = ("embedding", "tokens")


def graph_of(name: str, attributes: dict[str, Any], operands: int) -> Graph:
    inputs = tuple(f"in{place}" for place in range(operands))
    return Graph(inputs, (Node("node", name, FrozenDict(attributes), inputs),), (("y", "node"),))


def specs_of(shapes: Shapes) -> dict[str, InputSpec]:
    return {f"in{place}": InputSpec(shape) for place, shape in enumerate(shapes)}


def tensors(name: str, shapes: Shapes, batch: int) -> list[torch.Tensor]:
    dtype = torch.int64 if name in TOKENS else torch.float32
    return [torch.ones((batch, *shape), dtype=dtype) for shape in shapes]


def test_no_operation_and_no_attribute_is_left_out() -> None:
    assert sorted(CASES) == operation_names()
    for name, case in CASES.items():
        assert set(case.legal) == set(case.illegal) == set(TABLE[name].attributes), name
        assert all(len(values) >= 2 for values in case.legal.values()), name


@pytest.mark.parametrize("name", sorted(CASES))
def test_shapes_parameters_and_macs_are_those_of_torch(name: str) -> None:
    ran = 0
    for shapes, attributes in combinations(CASES[name]):
        required = [a for a, spec in TABLE[name].attributes.items() if spec.required and a not in attributes]
        if required:
            continue
        graph, specs = graph_of(name, attributes, len(shapes)), specs_of(shapes)
        try:
            known = profile(graph, specs)
        except ShapeError:
            with pytest.raises(ShapeError, match=r"^node.* → "):
                build(graph, specs)
            continue
        ran += 1
        told = (name, shapes, attributes)
        network = build(graph, specs).eval()
        # torch's counter counts nothing for the attention kernel of CPUs; the backend MATH is plain matrix products
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            out = network(*tensors(name, shapes, 2))
        assert out.shape == (2, *known.outputs["y"]), told
        assert sum(p.numel() for p in network.parameters()) == known.params, told
        assert counter.get_total_flops() == 2 * 2 * known.macs, told  # two inputs, two per multiply-add
    assert ran >= min(len(CASES[name].operands), 3)


@pytest.mark.parametrize("name", sorted(CASES))
def test_gradients_reach_every_parameter(name: str) -> None:
    """No operation holds weights that it does not use."""
    rng = random.Random(1)
    tried = list(combinations(CASES[name]))
    for shapes, attributes in rng.sample(tried, min(4, len(tried))):
        graph, specs = graph_of(name, attributes, len(shapes)), specs_of(shapes)
        try:
            network = build(graph, specs).eval()
        except GraphError:
            continue
        inputs = [t if name in TOKENS else torch.randn(t.shape, requires_grad=True) for t in tensors(name, shapes, 2)]
        out = network(*inputs)
        if out.requires_grad:
            out.sum().backward()
        assert all(p.grad is not None for p in network.parameters()), (name, shapes, attributes)


ILLEGAL = [(name, a, value) for name, case in CASES.items() for a, values in case.illegal.items() for value in values]


@pytest.mark.parametrize("name", sorted({name for name, _, _ in ILLEGAL}))
def test_illegal_values_are_refused_with_value_and_place(name: str) -> None:
    case = CASES[name]
    legal = {a: values[-1] for a, values in case.legal.items()}
    for attribute, values in case.illegal.items():
        for value in values:
            with pytest.raises(GraphError) as caught:
                Space(seq(here=op(name, **{**legal, attribute: value})), specs_of(case.operands[0])["in0"])
            words = TABLE[name].attributes[attribute].legal.words
            assert str(caught.value) == f"here: {name} with {attribute}={value!r}; expected {words}"
            with pytest.raises(GraphError, match=f"{name}: {name} with {attribute}="):
                profile(graph_of(name, {**legal, attribute: value}, len(case.operands[0])), specs_of(case.operands[0]))


@pytest.mark.parametrize(
    "name", sorted(name for name in CASES if any(s.required for s in TABLE[name].attributes.values()))
)
def test_a_required_attribute_that_is_missing_is_named(name: str) -> None:
    missing = [a for a, spec in TABLE[name].attributes.items() if spec.required]
    with pytest.raises(
        GraphError, match=f"here: {name} needs {', '.join(missing)}; write op\\('{name}', {missing[0]}=…"
    ):
        Space(seq(here=op(name)), InputSpec((3, 8, 8)))


def test_unknown_operations_and_attributes_are_refused_with_near_ones() -> None:
    with pytest.raises(
        GraphError, match=r"operation 'mbconf' is unknown; did you mean 'mbconv'\? .*or give an nn.Module"
    ):
        find("mbconf")
    with pytest.raises(GraphError, match="conv has no attribute 'widht'; did you mean 'width'"):
        profile(graph_of("conv", {"widht": 3}, 1), specs_of(((3, 4, 4),)))


def shape_error(name: str, shapes: Shapes, **attributes: Any) -> str:
    with pytest.raises(ShapeError) as caught:
        profile(graph_of(name, attributes, len(shapes)), specs_of(shapes))
    return str(caught.value)


IMAGE_ONLY = (
    "avg_pool", "conv2d", "depthwise", "global_pool", "group_norm", "macro_skip", "max_pool", "mbconv", "nb201_conv",
    "nb201_reduce", "patches", "residual", "squeeze_excite", "to_sequence", "upsample",
)  # fmt: skip


@pytest.mark.parametrize("name", IMAGE_ONLY)
@pytest.mark.parametrize("shape", [(7,), (5, 8)])
def test_operations_on_images_refuse_anything_else(name: str, shape: tuple[int, ...]) -> None:
    legal = {a: values[-1] for a, values in CASES[name].legal.items()}
    told = shape_error(name, (shape,), **legal)
    assert told.startswith("node")
    assert f"takes an image (C, H, W), got the shape {shape}" in told


@pytest.mark.parametrize(
    ("name", "shapes", "attributes", "message"),
    [
        ("conv2d", ((6, 4, 4),), {"groups": 4}, "conv2d: 6 channels in and 6 out do not divide into 4 groups"),
        ("conv", ((4, 4, 4),), {"width": 6, "groups": 4}, "node/conv → conv2d: 4 channels in and 6 out do not divide"),
        ("conv2d", ((4, 2, 9),), {"kernel": 5, "padding": 1}, "a side of 2 pixels is too small for kernel 5, dila"),
        ("max_pool", ((4, 2, 2),), {"kernel": 3, "padding": 0}, "max_pool: a side of 2 pixels is too small for kern"),
        ("avg_pool", ((4, 8, 8),), {"kernel": 3, "padding": 2}, "avg_pool: padding 2 is more than half of kernel 3"),
        ("linear", ((4, 4, 4),), {}, "linear takes a vector (D,) or a sequence (L, D), got the shape (4, 4, 4)"),
        ("embedding", ((4, 4),), {"vocabulary": 3, "width": 2}, "embedding takes tokens (L,), got the shape (4, 4)"),
        ("position", ((4,),), {}, "position takes a sequence (L, D), got the shape (4,)"),
        ("batch_norm", ((4, 4),), {},
         "batch_norm takes an image (C, H, W) or a vector (D,), got the shape (4, 4); use layer_norm"),
        ("group_norm", ((4, 4, 4),), {"groups": 3}, "group_norm: 4 channels do not divide into 3 groups"),
        ("zero", ((4,),), {"stride": 2}, "zero takes an image"),
        ("crop", ((4, 4, 4),), {"width": 5}, "crop: (4, 4, 4) has no 5 channels to keep"),
        ("pad", ((4, 4, 4),), {"width": 3}, "pad: (4, 4, 4) has more than 3 channels already"),
        ("attend", ((5, 8), (4, 8), (5, 8)), {"heads": 2},
         "attend: queries (5, 8), keys (4, 8) and values (5, 8) do not fit"),
        ("attend", ((5, 8),) * 3, {"heads": 3}, "attend: 8 features do not divide into 3 heads"),
        ("attention", ((5, 8),), {"heads": 3}, "attention: 8 features do not divide into 3 heads; say head_width"),
        ("gate", ((4, 3, 3), (5,)), {}, "gate: an image (4, 3, 3) and gates (5,); expected one gate per channel"),
        ("gate", ((4, 3, 3), (4, 1, 1)), {}, "gate: an image (4, 3, 3) and gates (4, 1, 1)"),
        ("patches", ((3, 8, 6),), {"width": 4, "size": 4}, "patches: an image of 8×6 does not divide into patches"),
        ("transformer", ((4,),), {}, "transformer takes a sequence (L, D), got the shape (4,)"),
        ("relu", ((4,), (4,)), {}, "relu takes 1 operand, got 2"),
        ("gate", ((4, 3, 3),), {}, "gate takes 2 operands, got 1"),
        ("join", ((4, 5), (4, 5)), {}, "join takes an image (C, H, W), got the shape (4, 5)"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_told(name: str, shapes: Shapes, attributes: dict[str, Any], message: str) -> None:
    assert message in shape_error(name, shapes, **attributes)


# ---- merges ----------------------------------------------------------------------------------------------------------

MERGES = ("add", "mul", "max", "mean")


@pytest.mark.parametrize("name", [*MERGES, "concat"])
def test_merges_refuse_differing_shapes_with_both(name: str) -> None:
    told = shape_error(name, ((4, 8, 8), (6, 4, 4)))
    assert told == (
        f"node → {name}: operands have the shapes (4, 8, 8) and (6, 4, 4); make them equal, or say fit='project' "
        "(1×1 projections), 'crop' or 'pad'"
    )
    assert "(4, 8, 8) and (8, 4), which fit='project' cannot make equal" in shape_error(
        name, ((4, 8, 8), (8, 4)), fit="project"
    )
    for fit in ("crop", "pad"):
        told = shape_error(name, ((4, 8, 8), (4, 4, 4)), fit=fit)
        assert f"fit='{fit}' changes channels only; say 'project'" in told


def test_sequences_of_different_lengths_are_not_laid_end_to_end() -> None:
    assert "concat: operands have the shapes (4, 8) and (5, 8); sequences must have one length" in shape_error(
        "concat", ((4, 8), (5, 8))
    )


@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize(
    ("fit", "shapes", "out"),
    [
        ("project", ((4, 8, 8), (6, 4, 4)), (4, 8, 8)),
        ("project", ((6, 4, 4), (4, 8, 8), (6, 4, 4)), (6, 4, 4)),
        ("project", ((3,), (5,)), (3,)),
        ("crop", ((4, 8, 8), (6, 8, 8)), (4, 8, 8)),
        ("crop", ((6, 8, 8), (4, 8, 8)), (4, 8, 8)),
        ("crop", ((3,), (5,)), (3,)),
        ("pad", ((4, 8, 8), (6, 8, 8)), (6, 8, 8)),
        ("pad", ((5,), (3,)), (5,)),
    ],
)
def test_merges_that_say_how_to_fit_make_equal_shapes(
    name: str, fit: str, shapes: Shapes, out: tuple[int, ...]
) -> None:
    graph, specs = graph_of(name, {"fit": fit}, len(shapes)), specs_of(shapes)
    assert profile(graph, specs).outputs == {"y": out}
    assert build(graph, specs)(*tensors(name, shapes, 2)).shape == (2, *out)


@pytest.mark.parametrize(("fit", "expected"), [("crop", [3.0, 3.0]), ("pad", [3.0, 3.0, 2.0])])
def test_cropping_and_padding_are_of_the_last_channels(fit: str, expected: list[float]) -> None:
    shapes = ((2,), (3,))
    network = build(graph_of("add", {"fit": fit}, 2), specs_of(shapes))
    assert network(torch.full((1, 2), 1.0), torch.full((1, 3), 2.0)).tolist() == [expected]


def test_projections_are_weights_of_their_own_and_only_where_needed() -> None:
    shapes = ((4, 8, 8), (4, 8, 8), (6, 8, 8), (6, 8, 8))
    network = build(graph_of("add", {"fit": "project"}, 4), specs_of(shapes))
    convs = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(conv.in_channels, conv.out_channels) for conv in convs] == [(6, 4), (6, 4)]
    assert not torch.equal(convs[0].weight, convs[1].weight)


# ---- the table itself ------------------------------------------------------------------------------------------------


def test_an_operation_is_declared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def conv(x: Shape, *, width: Positive) -> Layer:
        raise AssertionError

    with pytest.raises(
        RegistryError, match=r"operation 'conv' is declared twice: in nas.core.operations.blocks and in tests"
    ):
        operation()(conv)


def test_an_attribute_says_its_legal_values() -> None:
    def mine(x: Shape, *, width: int) -> Layer:
        raise AssertionError

    with pytest.raises(TypeError, match="an attribute annotated <class 'int'> says no legal values"):
        operation()(mine)
    assert "mine" not in TABLE
