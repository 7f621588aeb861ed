"""Any nn.Module class of a user's own as an operation."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.core.build import build
from nas.core.errors import GraphError, RegistryError, ShapeError
from nas.core.keys import graph_key
from nas.core.language import dag, one_of, op, repeat, seq, some_of
from nas.core.operations import find
from nas.core.parts import Part
from nas.core.profile import InputSpec, profile
from nas.core.space import Space, features, image, tokens
from tests.core.processes import in_fresh_processes


class Bottleneck(nn.Module):
    """in_channels is filled with what arrives; `act` is no value, so it cannot be given."""

    def __init__(self, in_channels: int, width: int, kernel: int = 3, act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(width)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out


class Bilinear(nn.Module):
    def __init__(self, in_features: int, out: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, in_features, in_features))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("ni,oij,nj->no", a, self.weight, b)


class Sum(nn.Module):
    def forward(self, *operands: Tensor) -> Tensor:
        return torch.stack(operands).sum(0)


class Scale(nn.Module):
    """The shape of what arrives, and an optional second operand."""

    def __init__(self, in_shape: tuple[int, ...], by: float = 2.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(in_shape, by))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x * self.weight + (0 if y is None else y)


class Words(nn.Module):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.table(ids).mean(1)
        return out


class Attends(nn.Module):
    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(in_features, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return out


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Total(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, -1)


class Broken(nn.Module):
    def __init__(self, fails_in: str = "forward") -> None:
        super().__init__()
        if fails_in == "init":
            raise KeyError("no such block")

    def forward(self, x: Tensor) -> Tensor:
        raise ZeroDivisionError("in the user's code")


class NoForward(nn.Module):
    pass


def plain(x: Tensor) -> Tensor:
    return x


def one(part: Part, inputs: InputSpec) -> tuple[Any, dict[str, InputSpec]]:
    space = Space(part, inputs)
    return space[0].graph, space.inputs


# ---- what works ------------------------------------------------------------------------------------------------------


def test_constructor_arguments_may_be_choices_and_what_arrives_is_filled_in() -> None:
    block = op(Bottleneck, width=one_of(4, 6), kernel=one_of(1, 3))
    space = Space(seq(block.named("first"), repeat(block, times=one_of(1, 2))), image(3, 8, 8))
    assert space.size() == 4 * (4 + 16)
    for seed in range(6):
        candidate = space.sample(random.Random(seed))
        known = profile(candidate.graph, space.inputs)
        network = build(candidate.graph, space.inputs)
        out = network(torch.randn(2, 3, 8, 8))
        assert out.shape[1:] == known.outputs["y"]
        assert sum(p.numel() for p in network.parameters()) == known.params
        with FlopCounterMode(display=False) as counter:
            network(torch.randn(1, 3, 8, 8))
        assert counter.get_total_flops() == 2 * known.macs
        first = network.get_submodule("first")
        assert isinstance(first, Bottleneck)
        assert first.conv.out_channels == candidate.decisions["first/width"]
        assert first.conv.in_channels == 3


def test_what_is_given_is_not_filled_in() -> None:
    graph, inputs = one(op(Bottleneck, in_channels=4, width=5), image(4, 6, 6))
    assert profile(graph, inputs).outputs == {"y": (5, 6, 6)}
    with pytest.raises(
        ShapeError, match=r"bottleneck → Bottleneck\(in_channels=3, width=5\) does not run on operands of"
    ):
        profile(*one(op(Bottleneck, in_channels=3, width=5), image(4, 6, 6)))


def test_classes_of_torch_are_operations() -> None:
    part = seq(op(nn.Conv2d, out_channels=8, kernel_size=3, padding="same"), op(nn.Hardtanh), op(nn.Flatten))
    graph, inputs = one(seq(part, op(nn.Linear, out_features=2)), image(3, 4, 4))
    assert profile(graph, inputs).params == (3 * 9 * 8 + 8) + (128 * 2 + 2)
    assert build(graph, inputs)(torch.randn(2, 3, 4, 4)).shape == (2, 2)


def test_several_operands_and_any_number_of_them() -> None:
    both = dag(
        {"u": (op("linear", width=4), "input"), "v": (op("linear", width=4), "input"), "b": (op(Bilinear), ["u", "v"])}
    )
    graph, inputs = one(both, features(5))
    known = profile(graph, inputs)
    assert (known.outputs, known.params) == ({"y": (3,)}, 2 * (5 * 4 + 4) + 3 * 16)
    total = dag({"u": (op("relu"), "input"), "s": (op(Sum), ["input", "u", "input"])})
    graph, inputs = one(total, features(5))
    x = torch.randn(2, 5)
    assert torch.equal(build(graph, inputs)(x), x + x.relu() + x)


@pytest.mark.parametrize("sources", ["input", ["input", "input"]])
def test_an_operand_may_be_optional(sources: Any) -> None:
    graph, inputs = one(dag({"s": (op(Scale, by=3.0), sources)}), features(5))
    x = torch.randn(2, 5)
    assert torch.equal(build(graph, inputs)(x), 3 * x + (x if isinstance(sources, list) else 0))
    assert profile(graph, inputs).params == 5


def test_operand_order_is_kept_and_is_part_of_the_key() -> None:
    def keyed(first: str, second: str) -> str:
        wiring = {"u": (op("relu"), "input"), "b": (op(Bilinear), [first, second])}
        return graph_key(one(dag(wiring), features(4))[0])

    assert keyed("u", "input") == keyed("u", "input") != keyed("input", "u")


def test_tokens_reach_a_class_of_ones_own_as_numbers_of_words() -> None:
    graph, inputs = one(op(Words, vocabulary=7, width=3), tokens(5, 7))
    assert profile(graph, inputs).outputs == {"y": (3,)}
    assert build(graph, inputs)(torch.randint(0, 7, (2, 5))).shape == (2, 3)


def test_macs_are_those_of_torchs_counter() -> None:
    graph, inputs = one(op(Attends), InputSpec((6, 8)))
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        Attends(8)(torch.empty(1, 6, 8))
    assert profile(graph, inputs).macs == counter.get_total_flops() // 2 > 0


def test_dry_runs_leave_no_trace() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    profile(*one(op(Bottleneck, width=9), image(3, 9, 9)))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.empty(1).device.type == "cpu"


def test_a_default_that_is_no_value_does_not_keep_a_network_from_having_a_key() -> None:
    key = graph_key(one(op(Bottleneck, width=4), image(3, 8, 8))[0])
    assert graph_key(one(op(Bottleneck, width=4, kernel=3), image(3, 8, 8))[0]) == key
    assert graph_key(one(op(Bottleneck, width=4, kernel=1), image(3, 8, 8))[0]) != key
    assert "ReLU" not in str(find(f"{__name__}:Bottleneck").attributes["act"].default)  # its text may hold an address


def test_a_class_in_a_file_is_found_from_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blocks.py").write_text(
        "from torch import nn\nclass Wide(nn.Linear):\n"
        "    def __init__(self, in_features, width): super().__init__(in_features, width)\n"
    )
    graph, inputs = one(seq(op("blocks.py:Wide", width=one_of(3, 4))), features(2))
    assert [node.name for node in graph.nodes] == ["wide"]
    assert profile(graph, inputs).params == 2 * 3 + 3


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (op(Pair), r"Pair\(\) gives tuple for a batch of 2; expected one tensor, batch first"),
        (op(Total), r"Total\(\) gives shape \(\) for a batch of 2"),
        (op(Flat), r"Flat\(\) gives shape \(1, 8\) for a batch of 2"),
        (op(Broken), r"Broken\(\) does not run on operands of shape \(4,\): ZeroDivisionError: in the user's code"),
        (op(Broken, fails_in="init"), r"Broken\(fails_in='init'\) does not run on .*: KeyError: 'no such block'"),
        (op(NoForward), r"NoForward\(\) does not run on .*: NotImplementedError"),
        (op(Bottleneck, width=2), r"Bottleneck\(width=2, in_channels=4\) does not run on operands of shape \(4,\)"),
        (dag({"a": (op(Bilinear), "input")}), r"takes 2 operands, got 1"),
        (dag({"a": (op(Scale), ["input"] * 3)}), r"takes 1 to 2 operands, got 3"),
    ],
)
def test_what_does_not_run_is_told_with_class_arguments_and_shapes(part: Part, message: str) -> None:
    space = Space(seq(here=part), features(4))
    with pytest.raises(ShapeError, match=f"^here.*{message}"):
        profile(space[0].graph, space.inputs)
    assert space.trouble(space[0]) is not None


def test_arguments_are_checked_when_the_space_is_made() -> None:
    with pytest.raises(GraphError, match=r"here: .*:Bottleneck has no attribute 'widht'; did you mean 'width'"):
        Space(seq(here=op(Bottleneck, widht=3)), image(3, 8, 8))
    with pytest.raises(GraphError, match=r"here: .*:Bottleneck needs width; write op\('.*:Bottleneck', width=…\)"):
        Space(seq(here=op(Bottleneck)), image(3, 8, 8))
    with pytest.raises(GraphError, match=r"op '.*:Bottleneck': act: <class .*ReLU'> is a type; expected None, bool"):
        op(Bottleneck, width=3, act=nn.ReLU)
    with pytest.raises(GraphError, match=r"op\(.* is a part; expected a value"):
        op(Bottleneck, width=op("relu"))


def test_only_module_classes_are_operations() -> None:
    for text in (f"{__name__}:plain", f"{__name__}:Path"):
        with pytest.raises(
            GraphError, match=f"operation '{text}' is .*; expected a class derived from torch.nn.Module"
        ):
            find(text)
    with pytest.raises(RegistryError, match="has no 'Botleneck'; did you mean 'Bottleneck'"):
        find(f"{__name__}:Botleneck")
    with pytest.raises(RegistryError, match=r"there is no file 'nowhere.py'"):
        Space(seq(op("nowhere.py:Block")), features(3))

    class Local(nn.Module):
        pass

    with pytest.raises(GraphError, match="Local: a class or function defined inside a function cannot be found again"):
        op(Local)


def test_an_option_that_does_not_run_is_one_infeasible_candidate_among_others() -> None:
    space = Space(some_of(op(Broken), op("relu"), at_most=1), features(4))
    told = [space.trouble(candidate) for candidate in space.enumerate()]
    assert told[1] is None
    assert "ZeroDivisionError" in str(told[0])


class Leaves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        raise SystemExit(0)


def test_a_module_that_leaves_the_program_is_told_of() -> None:
    with pytest.raises(ShapeError, match=r"Leaves\(\) does not run .*: it called sys.exit\(0\).*take that call out"):
        profile(*one(op(Leaves), image(3, 8, 8)))


SHOW_KEYS = """
from nas.core.keys import graph_key
from nas.core.language import op
from nas.core.space import Space, features
space = Space(op("mine.py:Mine"), features(5))
print(graph_key(space[0].graph), space.fingerprint())
"""


def test_an_edited_class_is_another_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key and the space's fingerprint change: numbers of the old one are not taken for the new one's."""
    monkeypatch.chdir(tmp_path)
    head = "from torch import nn\nclass Mine(nn.Linear):\n    def __init__(self, in_features):\n        "
    told = []
    for body in ("super().__init__(in_features, 3)", "super().__init__(in_features, 3, bias=False)"):
        (tmp_path / "mine.py").write_text(f"{head}{body}\n")
        told.append(in_fresh_processes(SHOW_KEYS, 1)[0].split())
    assert told[0][0] != told[1][0]
    assert told[0][1] != told[1][1]


class Loudest(nn.Module):
    """What it does depends on values, by way of `how`."""

    def __init__(self, how: str, told: bool = False) -> None:
        super().__init__()
        self.how, self.told = how, told

    def forward(self, x: Tensor) -> Tensor:
        if self.told and x.is_meta:
            return torch.empty_like(x)
        if self.how == "numpy":
            return torch.from_numpy(x.detach().numpy() + 1)
        if self.how == "branch":
            return x if x.mean() > 0 else x + 1
        if self.how == "select":
            return x + x[x > 0].sum()
        return x + x.max().item()


def _profiled(part: Part) -> None:
    space = Space(part, image(1, 4, 4))
    profile(space.decide({}).graph, space.inputs)


@pytest.mark.parametrize("how", ["numpy", "branch", "select", "item"])
def test_a_module_that_looks_at_values_is_told_what_works(how: str) -> None:
    with pytest.raises(ShapeError, match=r"Loudest.* does not run .*start forward with `if x\.is_meta: return`"):
        _profiled(op(Loudest, how=how))
    space = Space(op(Loudest, how=how, told=True), image(1, 4, 4))
    assert build(space.decide({}).graph, space.inputs)(torch.ones(2, 1, 4, 4)).shape == (2, 1, 4, 4)


def test_another_error_of_a_module_says_nothing_of_values() -> None:
    with pytest.raises(ShapeError, match="does not run") as caught:
        _profiled(op(Bottleneck, width=-1))
    assert "is_meta" not in str(caught.value)
