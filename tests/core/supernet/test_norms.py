"""Shadow batch norms: one per number of paths, or per set of paths, and only the one that is met moves.

The checks are those that follow from Chu et al. 2023, MixPath, arXiv:2001.05887.
"""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from nas.core.errors import RecipeError
from nas.core.language import op, seq, some_of
from nas.core.records import Candidate
from nas.core.space import Space, image
from nas.core.supernet.forms import TRAINING
from nas.core.supernet.network import Supernet
from nas.core.supernet.norms import Shadow, Shared

KERNELS = (1, 3, 5, 7)
C = 3


def paths_space(count: int = 4, same: bool = False) -> Space:
    """`count` convolutions side by side, summed, and a batch norm behind a linear layer, as in MixPath's block."""
    kernels = [1] * count if same else KERNELS[:count]
    branches = [op("conv2d", kernel=kernel).named(f"path{place}") for place, kernel in enumerate(kernels)]
    return Space(
        seq(paths=some_of(*branches), mix=op("conv2d", kernel=1, bias=False), norm=op("batch_norm")), image(C, 6, 6)
    )


def net_of(space: Space, statistics: Shared) -> Supernet:
    net = Supernet(space, statistics=statistics).double().train()
    net.hold(space.enumerate())
    return net


def x_of(seed: int = 0) -> torch.Tensor:
    return torch.randn(8, C, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def paths_of(candidate: Candidate) -> tuple[str, ...]:
    taken = candidate.decisions["paths/paths"]
    assert isinstance(taken, tuple)
    return taken  # type: ignore[return-value]


def norms_of(net: Supernet) -> set[str]:
    return {key for key in net.bank().most if ":batch norm" in key}


def test_one_path_is_one_ordinary_batch_norm() -> None:
    for statistics in (Shadow(), Shared()):
        assert len(norms_of(net_of(paths_space(1), statistics))) == 1


@pytest.mark.parametrize("count", [2, 3, 4])
def test_how_many_there_are(count: int) -> None:
    """M for numbers of paths, 2^M - 1 for sets of paths, so many more parameters than one batch norm has."""
    sizes = {}
    for name, statistics in (("shared", Shared()), ("count", Shadow()), ("paths", Shadow(by="paths"))):
        net = net_of(paths_space(count), statistics)
        sizes[name] = net.bank().numbers()
        assert len(norms_of(net)) == {"shared": 1, "count": count, "paths": 2**count - 1}[name]
    assert sizes["count"] - sizes["shared"] == (count - 1) * 2 * C
    assert sizes["paths"] - sizes["shared"] == (2**count - 2) * 2 * C


@pytest.mark.parametrize("by", ["count", "paths"])
def test_only_the_one_that_is_met_moves_and_learns(by: str) -> None:
    space = paths_space(3)
    net = net_of(space, Shadow(by=by))
    met: dict[object, str] = {}
    for candidate in space.enumerate():
        before = {name: buffer.clone() for name, buffer in net.named_buffers()}
        net.zero_grad(set_to_none=True)
        net(candidate, x_of()).square().sum().backward()
        moved = {name.rpartition(":")[0] for name, b in net.named_buffers() if not torch.equal(b, before[name])}
        learned = {
            name.rpartition(":")[0]
            for name, p in net.named_parameters()
            if ":batch norm" in name and p.grad is not None
        }
        assert len(moved) == 1
        assert moved == learned
        key = len(paths_of(candidate)) if by == "count" else paths_of(candidate)
        assert met.setdefault(key, next(iter(moved))) == next(iter(moved))
    assert len(set(met.values())) == len(met)


def test_equal_paths_come_out_equal_for_every_number_of_them() -> None:
    """The factor m of m equal paths is divided out by the batch norm that is there for m."""
    space = paths_space(4, same=True)
    net = net_of(space, Shadow())
    bank = net.bank()
    with torch.no_grad():
        for place in range(1, 4):
            for name in ("weight", "bias"):
                bank.tensor(f"paths/path{place}:conv", name).copy_(bank.tensor("paths/path0:conv", name))
        for parameter in (bank.tensor("norm:batch norm", "weight"), bank.tensor("mix:conv", "weight")):
            parameter.mul_(100.0)  # so that the norms' eps does not count
    for key in norms_of(net):
        with torch.no_grad():
            bank.tensor(key, "weight").fill_(1.0)
    outputs = [net(candidate, x_of(), mode=TRAINING) for candidate in space.enumerate()]
    for out in outputs[1:]:
        torch.testing.assert_close(out, outputs[0], rtol=0, atol=1e-5)


def test_one_batch_norm_for_all_is_the_shared_supernet() -> None:
    space = paths_space(3)
    shadow, shared = net_of(space, Shadow()), net_of(space, Shared())
    for candidate in space.enumerate():
        assert torch.equal(shadow(candidate, x_of()), shared(candidate, x_of()))  # fresh ones are equal
    bank = shadow.bank()
    one = {name: bank.tensor("norm:batch norm", name) for name in ("weight", "bias", "running_mean", "running_var")}
    for key in norms_of(shadow):  # one object in the place of all
        for name, tensor in one.items():
            (bank._parameters if name in ("weight", "bias") else bank._buffers)[f"{key}:{name}"] = tensor  # type: ignore[assignment, index]
    fresh = net_of(space, Shared())
    with torch.no_grad():
        for name, tensor in one.items():
            fresh.bank().tensor("norm:batch norm", name).copy_(tensor)
    for step, candidate in enumerate(space.enumerate()):
        assert torch.equal(shadow(candidate, x_of(step)), fresh(candidate, x_of(step)))
    for name, tensor in one.items():
        assert torch.equal(tensor, fresh.bank().tensor("norm:batch norm", name))


def test_paths_are_counted_until_they_are_normalised() -> None:
    branch = seq(conv=op("conv2d", kernel=1), norm=op("batch_norm"))
    block = some_of(branch.named("a"), branch.named("b"), op("identity").named("skip"))
    space = Space(seq(first=block, second=block, last=op("batch_norm")), image(C, 4, 4))
    net = net_of(space, Shadow())
    for candidate in space.enumerate():
        first, second = (len(candidate.decisions[f"{name}/paths"]) for name in ("first", "second"))  # type: ignore[arg-type]
        plan = net.plan(candidate)
        last = next(layer.key for layer in plan.layers if layer.path == "last")
        skips = "skip" in candidate.decisions["second/paths"]  # type: ignore[operator]
        expected = second - 1 + first if skips else second
        assert last == ("last:batch norm" if expected == 1 else f"last:batch norm@{expected}")


def test_fields_are_checked() -> None:
    with pytest.raises(RecipeError, match="did you mean 'count'"):
        Shadow(by="counts")
    with pytest.raises(RecipeError, match="recalibrate is -1"):
        Shared(recalibrate=-1)


def test_sets_of_paths_have_names_of_their_own() -> None:
    space = paths_space(3)
    net = net_of(space, Shadow(by="paths"))
    sets = ["+".join(names) for size in (1, 2, 3) for names in combinations(("path0", "path1", "path2"), size)]
    assert norms_of(net) == {f"norm:batch norm@{names}" for names in sets}


def test_paths_through_many_identities_have_short_names() -> None:
    """Sums of sums without a norm between them would have names that double with each."""
    block = some_of(op("relu").named("a"), op("identity").named("b"), op("tanh").named("c"), at_least=3)
    space = Space(seq(*(block.named(f"sum{place}") for place in range(12)), norm=op("batch_norm")), image(C, 4, 4))
    (key,) = norms_of(net_of(space, Shadow(by="paths")))
    assert len(key) < 200
    others = Space(seq(*(block.named(f"sum{place}") for place in range(11)), norm=op("batch_norm")), image(C, 4, 4))
    assert norms_of(net_of(others, Shadow(by="paths"))) != {key}
