"""A judge of NAS-Bench-201 cells that shares no line with the keys it judges: it runs cells and compares numbers.

Two cells are one behaviour when there is a *transport of weights*: a pairing of the convolutions that matter in the one
with those that matter in the other, under which both give the same outputs, in training and in evaluation mode. Which
convolutions matter is read off gradients, and all pairings are tried (at most 6! of them), so no rewrite is trusted.

    digits ──run with every pairing──▶ smallest projection ──sort, cut at gaps──▶ behaviours       (behaviours)
    two digits ──one pairing──▶ outputs, gradients, running statistics, outputs after a step       (transported)

`spelling` is a second, algebraic answer to the same question: a cell as a polynomial in its convolutions and pools,
under rules that can be switched on and off one by one, also the wrong ones of published counts.

A cell is six digits in the order of the benchmark's text: 0 none, 1 skip, 2 conv 1×1, 3 conv 3×3, 4 average pool.
Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Cell = tuple[int, ...]
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NONE, SKIP, CONV1, CONV3, POOL = range(5)
N, C, SIDE = 3, 4, 5
EPS = 1e-5


def cells() -> list[Cell]:
    """All 15,625 cells."""
    return list(product(range(5), repeat=len(EDGES)))


def text(cell: Cell) -> str:
    """The benchmark's own text of a cell.

    >>> text((1, 0, 2, 3, 4, 1))
    '|skip_connect~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|skip_connect~2|'
    """
    terms = [f"|{OPERATIONS[digit]}~{start}" for digit, (start, _) in zip(cell, EDGES, strict=True)]
    return f"{terms[0]}|+{terms[1]}{terms[2]}|+{terms[3]}{terms[4]}{terms[5]}|"


# ---- running a cell --------------------------------------------------------------------------------------------------


@dataclass
class Weights:
    """What one convolution holds: kernel (C, C, k, k), and its batch norm's gain, offset and running statistics (C)."""

    kernel: Tensor
    gain: Tensor
    offset: Tensor
    mean: Tensor
    var: Tensor

    @property
    def trained(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.kernel, self.gain, self.offset

    def copy(self) -> Weights:
        """The same numbers, to be trained apart."""
        return Weights(
            *(t.detach().clone().requires_grad_() for t in self.trained), self.mean.clone(), self.var.clone()
        )


def drawn(kernel: int, dice: torch.Generator) -> Weights:
    """Random weights of a convolution, float64; running statistics too, as if it had been trained."""

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=dice)

    return Weights(
        noise(C, C, kernel, kernel) / kernel, 1.0 + 0.5 * noise(C), noise(C), 0.3 * noise(C), noise(C).square() + 0.5
    )


def images(seed: int) -> Tensor:
    """What comes into the cell, (N, C, H, W) float64, of both signs."""
    return torch.randn(N, C, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def run(cell: Cell, weights: Mapping[int, Weights], x: Tensor, training: bool, momentum: float = 0.0) -> Tensor:
    """What a cell gives, (N, C, H, W). weights: edge → what its convolution holds. momentum 0: statistics stay."""
    values: list[Tensor | None] = [x, None, None, None]
    for edge, (start, stop) in enumerate(EDGES):
        source, digit = values[start], cell[edge]
        assert source is not None
        if digit == NONE:
            term = source * 0.0
        elif digit == SKIP:
            term = source
        elif digit == POOL:
            term = F.avg_pool2d(source, 3, 1, 1, count_include_pad=False)
        else:
            held = weights[edge]
            term = F.conv2d(F.relu(source), held.kernel, padding=held.kernel.shape[-1] // 2)
            still = training and not momentum
            mean, var = (None, None) if still else (held.mean, held.var)
            term = F.batch_norm(term, mean, var, held.gain, held.offset, training, momentum, EPS)
        before = values[stop]
        values[stop] = term if before is None else before + term
    assert values[3] is not None
    return values[3]


def convolutions(cell: Cell) -> list[int]:
    """The edges of a cell that hold a convolution."""
    return [edge for edge, digit in enumerate(cell) if digit in (CONV1, CONV3)]


def size_of(digit: int) -> int:
    return 1 if digit == CONV1 else 3


def mattering(cell: Cell, modes: Sequence[bool] = (True, False), seed: int = 0) -> dict[int, str]:
    """The edges whose convolutions the output hears of, and of what kind they are.

    Kind '1' or '3' where the kernel matters, 'constant' where only the batch norm does: it norms zeros.
    """
    dice = torch.Generator().manual_seed(seed)
    weights = {edge: drawn(size_of(cell[edge]), dice).copy() for edge in convolutions(cell)}
    if not weights:
        return {}
    heard: dict[int, set[str]] = defaultdict(set)
    for training in modes:
        out = run(cell, weights, images(seed), training)
        if not out.requires_grad:
            continue
        target = torch.randn(out.shape, dtype=out.dtype, generator=dice)
        flat = [tensor for held in weights.values() for tensor in held.trained]
        slopes = iter(torch.autograd.grad((out * target).sum(), flat, allow_unused=True))
        for edge in weights:
            for name in ("kernel", "gain", "offset"):
                slope = next(slopes)
                if slope is not None and float(slope.abs().max()) > 1e-9:
                    heard[edge].add(name)
    return {edge: str(size_of(cell[edge])) if "kernel" in names else "constant" for edge, names in heard.items()}


def pairings(kinds: Mapping[int, str]) -> Iterator[dict[int, tuple[str, int]]]:
    """Every way to give the convolutions of a cell the slots ('1', 0), ('1', 1), …, ('3', 0), … of their kinds."""
    groups = [[edge for edge in kinds if kinds[edge] == kind] for kind in ("1", "3", "constant")]
    for orders in product(*(permutations(range(len(group))) for group in groups)):
        yield {
            edge: (kinds[edge], slot) for group, order in zip(groups, orders, strict=True)
            for edge, slot in zip(group, order, strict=True)
        }  # fmt: skip


class Bank:
    """Weights for every slot, the same for all cells."""

    def __init__(self, seed: int) -> None:
        dice = torch.Generator().manual_seed(1000 + seed)
        self.slots = {(kind, slot): drawn(1 if kind == "1" else 3, dice) for kind in ("1", "3", "constant")
                      for slot in range(6)}  # fmt: skip
        self.unheard = {size: drawn(size, dice) for size in (1, 3)}
        self.x = images(seed)

    def weights(self, cell: Cell, pairing: Mapping[int, tuple[str, int]]) -> dict[int, Weights]:
        """What the convolutions of a cell hold under a pairing. What does not matter is something."""
        held = {}
        for edge in convolutions(cell):
            unheard = self.unheard[size_of(cell[edge])]
            held[edge] = self.slots[pairing[edge]] if edge in pairing else unheard
            if held[edge].kernel.shape != unheard.kernel.shape:
                held[edge] = replace(held[edge], kernel=unheard.kernel)
        return held

    def outputs(self, cell: Cell, pairing: Mapping[int, tuple[str, int]], modes: Sequence[bool]) -> Tensor:
        """The outputs in all modes, one after the other."""
        weights = self.weights(cell, pairing)
        return torch.cat([run(cell, weights, self.x, training).reshape(-1) for training in modes])


@dataclass(frozen=True)
class Seen:
    """The smallest projection of a cell's outputs over all pairings, and the pairing that gives it."""

    projection: float
    pairing: Mapping[int, tuple[str, int]]


@torch.no_grad()
def seen(cell: Cell, bank: Bank, kinds: Mapping[int, str], modes: Sequence[bool] = (True, False)) -> Seen:
    """What a cell looks like, whichever of its convolutions gets which weights."""
    look = torch.randn(len(modes) * bank.x.numel(), dtype=torch.float64, generator=torch.Generator().manual_seed(99))
    found = [(float(bank.outputs(cell, pairing, modes) @ look), pairing) for pairing in pairings(kinds)]
    return Seen(*min(found, key=lambda pair: pair[0]))


@dataclass(frozen=True)
class Behaviours:
    """Cells by behaviour. apart: the smallest distance of two behaviours; within: the largest inside of one."""

    number: Mapping[Cell, int]
    pairing: Mapping[Cell, Mapping[int, tuple[str, int]]]
    apart: float
    within: float


def behaviours(
    which: Iterable[Cell], modes: Sequence[bool] = (True, False), seed: int = 0, tolerance: float = 1e-9
) -> Behaviours:
    """The behaviour of every cell, as a number: equal numbers where a transport of weights makes the outputs equal."""
    bank = Bank(seed)
    looks = {}
    for cell in which:
        looks[cell] = seen(cell, bank, mattering(cell, modes), modes)
    order = sorted(looks, key=lambda cell: looks[cell].projection)
    number: dict[Cell, int] = {}
    apart, within = float("inf"), 0.0
    count, last = -1, None
    for cell in order:
        here = looks[cell].projection
        distance = float("inf") if last is None else (here - last) / max(1.0, abs(here))
        if distance > tolerance:
            count += 1
            apart = min(apart, distance)
        else:
            within = max(within, distance)
        number[cell], last = count, here
    return Behaviours(number, {cell: look.pairing for cell, look in looks.items()}, apart, within)


# ---- two cells and one transport -------------------------------------------------------------------------------------


def transports(first: Cell, second: Cell) -> Iterator[dict[int, int]]:
    """Every pairing of the convolutions that matter: edge of `first` → edge of `second`, kinds alike."""
    one, two = mattering(first), mattering(second)
    if Counter(one.values()) != Counter(two.values()):
        return
    start = next(pairings(one))
    at = {slot: edge for edge, slot in start.items()}
    for pairing in pairings(two):
        yield {at[slot]: edge for edge, slot in pairing.items()}


def transported(first: Cell, second: Cell, pairs: Mapping[int, int], seed: int = 1, rate: float = 0.1) -> float:
    """The largest difference of two cells under one transport of weights, relative to the largest number compared.

    Compared: outputs in evaluation and in training mode, gradients of what comes in and of every weight that matters,
    and after one step of gradient descent (running statistics moved as well) both outputs again.
    """
    dice = torch.Generator().manual_seed(2000 + seed)
    ours = {edge: drawn(size_of(first[edge]), dice).copy() for edge in convolutions(first)}
    theirs = {edge: drawn(size_of(second[edge]), dice).copy() for edge in convolutions(second)}
    for edge, other in pairs.items():
        copied = ours[edge].copy()
        if copied.kernel.shape != theirs[other].kernel.shape:  # of two that only norm zeros
            copied.kernel = theirs[other].kernel
        theirs[other] = copied
    alike = [(ours[a].trained, theirs[b].trained) for a, b in pairs.items()]
    told: list[list[Tensor]] = [[], []]
    target = images(seed + 1)
    for place, (cell, weights) in enumerate(((first, ours), (second, theirs))):
        x = images(seed).requires_grad_()
        told[place].append(run(cell, weights, x, training=False))
        out = run(cell, weights, x, training=True, momentum=0.1)
        told[place].append(out)
        loss = (out - target).square().mean()
        flat = [tensor for held in weights.values() for tensor in held.trained]
        slopes = torch.autograd.grad(loss, [x, *flat], allow_unused=True) if out.requires_grad else [None]
        filled = [torch.zeros_like(t) if s is None else s for s, t in zip(slopes, [x, *flat], strict=True)]
        told[place].append(filled[0])
        by_tensor = {id(tensor): slope for tensor, slope in zip(flat, filled[1:], strict=True)}
        for pair in alike:
            told[place].extend(by_tensor[id(tensor)] for tensor, other in zip(pair[place], pair[1 - place], strict=True)
                               if tensor.shape == other.shape)  # fmt: skip
        with torch.no_grad():
            for tensor, slope in zip(flat, filled[1:], strict=True):
                tensor.sub_(slope, alpha=rate)
            told[place].append(run(cell, weights, x, training=False))
            told[place].append(run(cell, weights, x, training=True))
    return max(relative(one, two) for one, two in zip(*told, strict=True))


def relative(one: Tensor, two: Tensor) -> float:
    """The largest difference, relative to the largest number, or to 1 where all are smaller."""
    one, two = one.detach(), two.detach()
    return float((one - two).abs().max()) / max(1.0, float(one.abs().max()), float(two.abs().max()))


def best_transport(first: Cell, second: Cell) -> tuple[float, dict[int, int] | None]:
    """The least difference over all transports, and the transport; infinity where kinds of convolutions differ."""
    found: tuple[float, dict[int, int] | None] = (float("inf"), None)
    for pairs in transports(first, second):
        worst = transported(first, second, pairs)
        if worst < found[0]:
            found = worst, pairs
        if worst <= 1e-9:
            break
    return found


# ---- the algebraic answer --------------------------------------------------------------------------------------------

EXACT = frozenset({"skip", "zero", "zero_pool", "flat", "many", "twins"})
"""Identities, zeros and pooled zeros fall away, sums of sums are one sum, terms are counted, and two convolutions are
two even where they look alike. So are two pools."""

BEYOND = ("one_pool", "linear", "constant", "pool_constant")
"""What is true beyond that."""

TRUE = EXACT | set(BEYOND)

CONFLATED = EXACT - {"twins"} | {"one_pool", "zero_conv"}
"""The published 4,930: sums flattened, twins taken for one, and convolutions of zeros taken for zeros."""

Value = tuple[Any, ...]
"""A sum: a sorted tuple of terms. A term is ('x',), (operation, value), or ('conv…' or 'pool', name, value)."""

X: Value = (("x",),)


def spelling(cell: Cell, rules: frozenset[str]) -> str:
    """The canonical text of a cell under rules; equal texts are one class.

    skip: skip(x) = x. zero: x + none = x. zero_pool: pool(0) = 0. zero_conv: conv(0) = 0 (wrong). flat: sums of sums
    are one sum. many: x + x is not x. twins: equal convolutions are two (without: they are one, wrong).
    one_pool: equal pools are one, as they hold no weights (without: they are two, where convolutions are).
    linear: pool(a + b) = pool(a) + pool(b). constant: conv1(0) = conv3(0). pool_constant: pool(conv(0)) = conv(0).
    """
    plain = _spelled(cell, rules, {})
    if "twins" not in rules:
        return repr(plain)
    kinds = {name: label for label, name in _named(plain) if label != "pool" or "one_pool" not in rules}
    groups = [sorted(edge for edge in kinds if kinds[edge] == kind) for kind in sorted(set(kinds.values()))]
    orders = product(*(permutations(range(len(group))) for group in groups))
    return min(
        repr(_spelled(cell, rules, {edge: slot for group, order in zip(groups, chosen, strict=True)
                                    for edge, slot in zip(group, order, strict=True)}))
        for chosen in orders
    )  # fmt: skip


def _spelled(cell: Cell, rules: frozenset[str], names: Mapping[int, int]) -> Value:
    values: list[Value] = [X]
    for stop in (1, 2, 3):
        operands = [
            _operand(cell[edge], values[start], names.get(edge, edge), rules)
            for edge, (start, end) in enumerate(EDGES)
            if end == stop
        ]
        values.append(_sum([value for value in operands if value], rules))
    return values[3]


def _operand(digit: int, value: Value, name: int, rules: frozenset[str]) -> Value:
    """What an edge gives; () is zero."""
    if digit == NONE:
        return () if "zero" in rules else (("none", value),)
    if digit == SKIP:
        return value if "skip" in rules else (("skip", value),)
    if digit == POOL:
        if not value and "zero_pool" in rules:
            return ()
        parts = [(term,) for term in value] if "linear" in rules and value else [value]
        return _sorted(term for part in parts for term in _pooled(part, name, rules))
    if not value and "zero_conv" in rules:
        return ()
    label = "conv" if not value and "constant" in rules else f"conv{size_of(digit)}"
    return ((label, name if "twins" in rules else 0, value),)


def _pooled(value: Value, name: int, rules: frozenset[str]) -> Value:
    constant = bool(value) and all(term[0].startswith("conv") and not term[-1] for term in value)
    if constant and "pool_constant" in rules:
        return value
    return (("pool", name if "twins" in rules and "one_pool" not in rules else 0, value),)


def _sum(operands: list[Value], rules: frozenset[str]) -> Value:
    if len(operands) < 2:
        return operands[0] if operands else ()
    flat = "flat" in rules
    terms = [term for value in operands for term in (value if flat or len(value) == 1 else (("sum", value),))]
    return _sorted(terms if "many" in rules else dict.fromkeys(terms))


def _sorted(terms: Iterable[Any]) -> Value:
    return tuple(sorted(terms, key=repr))


def _named(value: Value) -> Iterator[tuple[str, int]]:
    """Every convolution and pool in a value: label and name."""
    for term in value:
        if len(term) == 3:
            yield term[0], term[1]
        if len(term) > 1:
            yield from _named(term[-1])


def benchmark_spelling(cell: Cell) -> str:
    """The text by which the benchmark's authors count 6,466 classes: their `to_unique_str(consider_zero=True)`."""
    values = {0: "0"}
    for stop in (1, 2, 3):
        terms = []
        for edge, (start, end) in enumerate(EDGES):
            if end == stop:
                name, inside = OPERATIONS[cell[edge]], values[start]
                dead = name == "none" or inside == "#"
                terms.append("#" if dead else inside if name == "skip_connect" else f"({inside})@{name}")
        values[stop] = "+".join(sorted(terms))
    return values[3]
