"""`Supernet`: all networks of a space as one module, and each of them as a plain one.

    candidate ─▶ plan: its layers, and where in the largest weights each lies ─▶ run        (forward)
                                                                             └▶ plain module (extract)

What runs is an argument of the call. Nothing is set that a later call could read stale.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn

from nas.core.build import assemble, function_of, make_module
from nas.core.lower import Lowered, Step, lower
from nas.core.records import Candidate
from nas.core.space import Space
from nas.core.supernet.bank import Bank, Index
from nas.core.supernet.forms import EVALUATING, TRAINING, Form, Mode, form_of
from nas.core.supernet.layouts import NORMS, flow
from nas.core.supernet.norms import Shared
from nas.core.supernet.sharing import Elastic
from nas.core.supernet.slicing import Experts, slices_of
from nas.core.table import Call
from nas.core.values import digest
from nas.core.walk import places

Norms: TypeAlias = "dict[str, tuple[Tensor, Tensor]]"
"""Statistics of batch norms, by path: mean and variance, (C,) each."""

REMEMBERED = 4096
"""Most plans that are kept."""

Run: TypeAlias = Callable[..., Tensor]


@dataclass(slots=True)
class Layer:
    """One step of a plan.

    operands: numbers of values, inputs first. done: values that nothing needs after it. form and key: None and '' for a
    layer without weights. user: a key for a module of the user's own.
    """

    path: str
    operands: tuple[int, ...]
    done: tuple[int, ...]
    call: Call
    form: Form | None = None
    key: str = ""
    index: dict[str, Index] | None = None
    user: str = ""

    @property
    def norm(self) -> bool:
        """Whether it keeps statistics."""
        return self.form is not None and bool(self.form.buffers)


@dataclass(slots=True)
class Plan:
    """How to run a candidate. encoding: (E,), what routers see. version: of the bank when places were looked up."""

    lowered: Lowered
    layers: list[Layer]
    outputs: tuple[tuple[str, int], ...]
    encoding: Tensor
    version: int = -1


class Supernet(nn.Module):
    """All networks of a space in one set of weights.

    Calling it runs one candidate: `supernet(candidate, x, …)` gives what that candidate's network gives: (B, K) logits,
    or a dict of output name → tensor where there are several.

    space: any space of the space language. weights, statistics: how decisions become weights, and which batch norms
    keep apart (`nas.core.supernet.sharing`, `.norms`). seed: of the first weights.

    Raises: ShapeError for a candidate whose shapes do not fit; NotInSpaceError for one of another space.
    """

    def __init__(
        self,
        space: Space,
        weights: Elastic | None = None,
        statistics: Shared | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.space = space
        self.weights = weights or Elastic()
        self.statistics = statistics or Shared()
        self.banks = nn.ModuleList(Bank(seed + number) for number in range(self.weights.sets))
        self.unshared: dict[str, str] = {}
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self.slices = slices_of(self.weights, max(len(space.encoding()), 1))

    # ---- running -----------------------------------------------------------------------------------------------------

    def forward(
        self,
        candidate: Candidate,
        *inputs: Tensor,
        which: int = 0,
        mode: Mode | None = None,
        norms: Norms | None = None,
    ) -> Any:
        """The outputs of a candidate's network.

        Args:
            which: the set of weights, where there are several.
            mode: how layers run; that of the module (`train()`, `eval()`) if not given.
            norms: statistics for its batch norms, instead of the supernet's; noted there while training.
        """
        plan, bank = self.plan(candidate), self.bank(which)
        mode = mode or (TRAINING if self.training else EVALUATING)
        values: list[Any] = list(inputs)
        for layer in plan.layers:
            operands = [values[number] for number in layer.operands]
            if layer.form is not None:
                values.append(self._run(layer, operands[0], bank, plan.encoding, mode, norms))
            elif layer.user:
                values.append(bank.user(layer.user, layer.call).train(mode.training)(*operands))
            else:
                values.append(plain(layer.call, mode.training)(*operands))
            for number in layer.done:
                values[number] = None
        outputs = {name: values[number] for name, number in plan.outputs}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def _run(self, layer: Layer, x: Tensor, bank: Bank, encoding: Tensor, mode: Mode, norms: Norms | None) -> Tensor:
        assert layer.form is not None
        assert layer.index is not None
        weights = self.slices.weights(bank, layer.key, layer.form, layer.index, encoding)
        if not layer.norm:
            return layer.form.run(x, weights, mode)
        if norms is not None:
            weights["running_mean"], weights["running_var"] = norms[layer.path]
            return layer.form.run(x, weights, mode)
        index = layer.index["running_mean"]
        for name in layer.form.buffers:
            whole = bank.tensor(layer.key, name)
            weights[name] = whole if index is None else whole[index]
        out = layer.form.run(x, weights, mode)
        if mode.batch is not None and index is not None and isinstance(index[0], Tensor):
            for name in layer.form.buffers:  # what is picked out is a copy, so what was noted goes back
                bank.tensor(layer.key, name)[index] = weights[name]
        return out

    def bank(self, which: int = 0) -> Bank:
        """One of the sets of weights."""
        bank = self.banks[which]
        assert isinstance(bank, Bank)
        return bank

    # ---- planning ----------------------------------------------------------------------------------------------------

    def plan(self, candidate: Candidate) -> Plan:
        """How to run a candidate; room is made for its weights."""
        key = candidate.decisions.text
        plan = self._plans.get(key)
        if plan is None:
            plan = self._planned(candidate)
            self._plans[key] = plan
            if len(self._plans) > REMEMBERED:
                self._plans.popitem(last=False)
        bank = self.bank()
        if plan.version != bank.version:
            for layer in plan.layers:
                if layer.form is not None:
                    layer.index = self.slices.index(bank, layer.key, layer.form)
            plan.version = bank.version
        return plan

    def _planned(self, candidate: Candidate) -> Plan:
        self.space.check(candidate.decisions)
        graph = candidate.graph
        lowered = lower(graph, self.space.inputs, places(self.space.part, candidate.decisions))
        numbers = {name: number for number, name in enumerate(lowered.inputs)}
        last: dict[int, int] = {}
        for at, step in enumerate(lowered.steps):
            numbers[step.path] = len(numbers)
            last.update({numbers[name]: at for name in step.operands})
        outputs = tuple((name, numbers[path]) for name, path in lowered.outputs)
        kept = {number for _, number in outputs}
        done: dict[int, list[int]] = {}
        for number, at in last.items():
            if number not in kept:
                done.setdefault(at, []).append(number)
        layers = []
        for at, (step, (operands, value)) in enumerate(
            zip(lowered.steps, flow(lowered, self.space.inputs), strict=True)
        ):
            layer = Layer(step.path, tuple(numbers[name] for name in step.operands), tuple(done.get(at, ())), step.call)
            self._settle(layer, step, form_of(step, operands[0].layout, value.layout), self._suffix(step, operands))
            layers.append(layer)
        # a space with nothing open has an empty encoding, for which there is no linear layer
        encoding = torch.tensor(self.space.encode(candidate) or (1.0,)).to(self.bank().tensor_like)
        return Plan(lowered, layers, outputs, encoding)

    def _suffix(self, step: Step, operands: Any) -> str:
        return self.statistics.name(operands[0]) if step.call.target in NORMS else ""

    def _settle(self, layer: Layer, step: Step, form: Form | None, suffix: str) -> None:
        """Say where a layer's weights are, and make room for them."""
        if form is not None:
            layer.form = form
            layer.key = self.weights.key(step.site, form) + suffix
            if form.exact:
                self.unshared.setdefault(layer.key, form.exact)
            for bank in self.banks:
                assert isinstance(bank, Bank)
                self.slices.hold(bank, layer.key, form)
        elif step.call.target == "user":
            layer.user = f"{step.site}:user:{digest(repr(step.call))[:12]}"
            self.unshared.setdefault(layer.user, f"a module of your own, {step.call.args[0]}")
            for bank in self.banks:
                assert isinstance(bank, Bank)
                bank.user(layer.user, step.call)

    # ---- statistics --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def recalibrated(self, candidate: Candidate, batches: Iterable[tuple[Tensor, ...]], which: int = 0) -> Norms:
        """Statistics of a candidate's own, the mean over these batches; the supernet's are left as they are.

        batches: the inputs of each batch.
        """
        norms = self.blank_norms(candidate)
        for number, inputs in enumerate(batches):
            self(candidate, *inputs, which=which, mode=Mode(False, 1.0 / (number + 1)), norms=norms)
        return norms

    def blank_norms(self, candidate: Candidate) -> Norms:
        """Statistics as new batch norms have them: mean 0, variance 1."""
        found: Norms = {}
        for layer in self.plan(candidate).layers:
            if layer.norm:
                assert layer.form is not None
                size = layer.form.sizes["running_mean"]
                like = self.bank().tensor(layer.key, "running_mean")
                found[layer.path] = (like.new_zeros(size), like.new_ones(size))
        return found

    @torch.no_grad()
    def gates(self, candidate: Candidate, which: int = 0) -> dict[str, Tensor]:
        """The gates of a candidate's mixed layers by place, (experts,) or (rows, experts) each; {} without experts."""
        plan, bank = self.plan(candidate), self.bank(which)
        found = {}
        for layer in plan.layers:
            if layer.form is not None and self.weights.mixes(layer.key, layer.form):
                assert isinstance(self.slices, Experts)
                assert layer.index is not None
                found[layer.key] = self.slices.gates(bank, layer.key, layer.index, plan.encoding)
        return found

    # ---- taking one out ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def inherited(self, candidate: Candidate, which: int = 0, norms: Norms | None = None) -> dict[str, Tensor]:
        """The weights of a candidate as the state of its plain network (`nas.core.build.build`), copied."""
        plan, bank = self.plan(candidate), self.bank(which)
        state: dict[str, Tensor] = {}
        for layer in plan.layers:
            if layer.form is not None:
                taken = self._taken(layer, bank, plan.encoding, norms)
                state |= {f"{layer.path}.{name}": tensor for name, tensor in taken.items()}
            elif layer.user:
                own = bank.user(layer.user, layer.call).state_dict()
                state |= {f"{layer.path}.{name}": tensor.clone() for name, tensor in own.items()}
        return state

    def _taken(self, layer: Layer, bank: Bank, encoding: Tensor, norms: Norms | None) -> dict[str, Tensor]:
        """Copies of a layer's tensors, by their names in the plain layer."""
        assert layer.form is not None
        assert layer.index is not None
        found = self.slices.weights(bank, layer.key, layer.form, layer.index, encoding)
        taken = {
            name: tensor.clone() if layer.index.get(name) is None else tensor.detach() for name, tensor in found.items()
        }
        if layer.norm:
            index = layer.index["running_mean"]
            for place, name in enumerate(layer.form.buffers):
                whole = bank.tensor(layer.key, name)
                given = norms[layer.path][place] if norms else whole if index is None else whole[index]
                taken[name] = given.clone()
            taken["num_batches_tracked"] = torch.zeros((), dtype=torch.long, device=bank.tensor_like.device)
        return taken

    @torch.no_grad()
    def extract(self, candidate: Candidate, which: int = 0, norms: Norms | None = None) -> fx.GraphModule:
        """The candidate as an ordinary network with weights of its own, in the mode that the supernet is in.

        Its outputs equal the supernet's. norms: statistics for its batch norms, as in `forward`.
        """
        plan, bank = self.plan(candidate), self.bank(which)
        layers = {layer.path: layer for layer in plan.layers}

        def make(step: Step) -> nn.Module:
            layer = layers[step.path]
            if layer.user:
                return copy.deepcopy(bank.user(layer.user, step.call))
            weights = self._taken(layer, bank, plan.encoding, norms) if layer.form is not None else {}
            return _filled(step.call, weights)

        return assemble(plan.lowered, make=make).train(self.training)

    # ---- sizes -------------------------------------------------------------------------------------------------------

    def hold(self, candidates: Iterable[Candidate]) -> None:
        """Make room for candidates before training begins, so that no tensor grows while an optimizer knows it."""
        for candidate in candidates:
            self.plan(candidate)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._plans.clear()  # encodings and places lie on the old device
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=4096)
def _module(call: Call) -> nn.Module:
    """A module without weights: one object serves all calls."""
    return make_module(call)


@lru_cache(maxsize=4096)
def _pattern(call: Call) -> nn.Module:
    with torch.device("meta"):
        return make_module(call)


def _filled(call: Call, weights: dict[str, Tensor]) -> nn.Module:
    """A layer with these tensors; its constructor, which would draw weights to be thrown away, is left out."""
    pattern = _pattern(call)
    layer = copy.copy(pattern)
    layer.__dict__ |= {name: own.copy() for name, own in pattern.__dict__.items() if isinstance(own, dict)}
    for name in layer._parameters:
        layer._parameters[name] = nn.Parameter(weights[name]) if name in weights else None
    for name in layer._buffers:
        layer._buffers[name] = weights[name]
    return layer


def plain(call: Call, training: bool) -> Run:
    """A layer without weights as a function of its operands."""
    if call.is_module:
        module = _module(call)
        return module if module.training == training else module.train(training)
    function = function_of(call)
    if call.operands == "fold":
        return lambda *operands: reduce(function, operands)
    if call.operands == "tuple":
        return lambda *operands: function(operands, *call.args, **call.kwargs)
    return function
