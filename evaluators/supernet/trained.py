"""A trained supernet that answers: from the fields of the evaluator to training, and from a candidate to numbers."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from evaluators.devices import resolve
from evaluators.metrics import PARTS
from evaluators.supernet import checkpoint
from evaluators.supernet.balance import Assignment
from evaluators.supernet.loop import Training
from evaluators.supernet.room import check_memory, held, size_bytes
from evaluators.supernet.threads import threads_for
from evaluators.training.batches import Batches
from evaluators.training.loop import measure
from evaluators.training.run import check_outputs, part_of
from nas.core.errors import EvaluationError, NASError, NotInSpaceError, RecipeError, told
from nas.core.profile import profile
from nas.core.records import Candidate, Measurement
from nas.core.seeds import derive, generator
from nas.core.supernet.extremes import drawn
from nas.core.supernet.forms import EVALUATING
from nas.core.supernet.network import Norms, Supernet
from nas.core.supernet.sharing import Mixture
from nas.core.threads import threads

if TYPE_CHECKING:
    from evaluators.supernet.evaluator import SupernetEvaluator

WATCHED = 16
"""Candidates over which diagnostics of gates are computed."""


def prepare(
    evaluator: SupernetEvaluator, folder: Path, seed: int, report: Callable[[Mapping[str, float]], object] | None
) -> TrainedSupernet:
    """Train a supernet, or go on from its last checkpoint. The global random state is left as it was."""
    try:
        found = TrainedSupernet(evaluator, folder, seed)
    except NASError:
        raise
    except Exception as error:  # of a module of the user's own
        raise EvaluationError(f"supernet: it cannot be made: {told(error)}") from error
    if not found.training.over:
        with threads(found.threads):
            found.training.run(folder, report)
    found.supernet = found.as_trained()
    return found


def reopen(evaluator: SupernetEvaluator, folder: Path, seed: int) -> TrainedSupernet:
    """The supernet that was trained in a folder. Raises EvaluationError where its training has not ended."""
    found = TrainedSupernet(evaluator, folder, seed)
    if not found.training.over:
        raise EvaluationError(f"supernet: its training in {folder} has not ended; call prepare(folder, seed) first")
    found.supernet = found.as_trained()
    return found


class TrainedSupernet:
    """A supernet with its training, as far as the checkpoint in `folder` says, ready to measure candidates."""

    def __init__(self, evaluator: SupernetEvaluator, folder: Path, seed: int) -> None:
        self.evaluator, self.folder, self.seed = evaluator, folder, seed
        self.device = resolve(evaluator.device)
        identity = evaluator.identity(seed)
        known = checkpoint.load(folder, identity)
        space, data = evaluator.space, evaluator.data
        watched = [drawn(space, partial(generator, 0, "watched", number)) for number in range(WATCHED)]
        candidates = [*held(space), *watched]  # what is only looked at needs room too, before there is an optimizer
        check_outputs(profile(candidates[0].graph, space.inputs).outputs, data)
        first = derive(seed, "weights")
        make = partial(Supernet, space, evaluator.sharing, evaluator.norms, first)
        check_memory(size_bytes(space, make, candidates), evaluator)
        self.threads = threads_for(space, candidates, evaluator.batch_size)
        self.supernet = make()
        self.supernet.hold(candidates)
        self._check_mixed()
        self.supernet.to(self.device)
        self.parts = {split: part_of(data, split, self.device, False) for split in ("train", "validation")}
        sets = self.supernet.weights.sets
        learned = getattr(evaluator.sharing, "assignment", "learned") == "learned"
        self.assignment = Assignment(space, sets, seed, learned) if sets > 1 else None
        self.training = Training(
            self.supernet, evaluator, seed, self.device, self.parts["train"], self.parts["validation"],
            self.assignment, watched, identity,
        )  # fmt: skip
        if known is not None:
            try:
                self.training.restore(*known)
            except (KeyError, TypeError, NotInSpaceError) as error:
                raise EvaluationError(
                    f"the checkpoint in {folder} is damaged ({told(error)}); remove it to train the supernet anew"
                ) from error
        self._gauging: list[tuple[Tensor, ...]] | None = None

    def _check_mixed(self) -> None:
        """Raise RecipeError for a mixture in which nothing is mixed."""
        sharing = self.supernet.weights
        if isinstance(sharing, Mixture) and not any(key.endswith(":router") for key in self.supernet.bank().most):
            places = [key.partition(":")[0] for key in self.supernet.bank().most if ":conv" in key or ":linear" in key]
            raise RecipeError(
                f"weights mixture: layers {sharing.layers!r} matches no convolution or linear layer; places are "
                f"{', '.join(places[:6])}{', …' if len(places) > 6 else ''}"
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What has weights of its own in each form, and why."""
        training = self.training
        failed = (
            (f"supernet: {training.failures} networks failed in training and were left out, the first with the "
             f"decisions {training.first_failure}",) if training.failures else ()
        )  # fmt: skip
        reasons: dict[str, int] = {}
        for reason in self.supernet.unshared.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        return (*failed, *(f"supernet: {why} has no smaller form, so each has weights of its own ({n} places)"
                           for why, n in reasons.items()))  # fmt: skip

    # ---- measuring ---------------------------------------------------------------------------------------------------

    def measure(self, candidate: Candidate, split: str = "validation") -> Measurement:
        """Accuracy and loss with inherited weights."""
        began = time.perf_counter()
        self.supernet.plan(candidate)
        fresh = self._fresh()
        gpus = list(range(torch.cuda.device_count())) if self.device.startswith("cuda") else []
        with threads(self.threads), torch.random.fork_rng(devices=gpus):
            torch.manual_seed(derive(self.seed, "measure"))  # a module of the user's own may draw
            which, norms = self.adjusted(candidate)
            subnet = Subnet(self.supernet, candidate, which, norms)
            prefix = PARTS[split]
            metrics, examples = self._measured(subnet, self.part(split), prefix)
        notes: dict[str, Any] = {"supernet_epochs": self.evaluator.epochs, "threads": self.threads}
        if examples < len(self.part(split)):
            notes["hopeless_after"] = examples
        if self.assignment is not None:
            notes["set"] = which
        if fresh:  # so that what a later candidate inherits does not depend on who was asked before
            notes["untrained_weights"] = fresh
            self.supernet = self.as_trained()
        return Measurement(metrics, time.perf_counter() - began, notes=notes | self._gates())

    def _measured(self, subnet: Subnet, part: Batches, prefix: str) -> tuple[dict[str, float], int]:
        """Metrics, and on how many examples: on a first quarter of them where that shows a candidate to be hopeless."""
        look = len(part) // 4 if self.evaluator.hopeless and prefix == "val_" else 0
        if not look:
            return measure(subnet, part, prefix), len(part)
        first = measure(subnet, part.between(0, look), prefix)
        if first["val_accuracy"] < self.evaluator.hopeless:
            return first, look
        rest = measure(subnet, part.between(look, len(part)), prefix)
        share = look / len(part)
        return {name: share * first[name] + (1 - share) * rest[name] for name in first}, len(part)

    def _gates(self) -> dict[str, float]:
        last = self.training.curve[-1] if self.training.curve else {}
        return {name: last[name] for name in ("gate_entropy", "gate_variance", "expert_cosine") if name in last}

    def part(self, split: str) -> Batches:
        """A part of the data, on the device."""
        if split not in self.parts:
            self.parts[split] = Batches(self.evaluator.data, split, self.device)
        return self.parts[split]

    def adjusted(self, candidate: Candidate) -> tuple[int, Norms | None]:
        """The set of weights of a candidate, and statistics of its own where the recipe asks for them."""
        which = self.assignment.best(candidate) if self.assignment is not None else 0
        if not self.supernet.statistics.recalibrate:
            return which, None
        return which, self.supernet.recalibrated(candidate, self._batches(), which)

    def inherited(self, candidate: Candidate) -> dict[str, Tensor]:
        """The weights and statistics with which a candidate is measured, as the state of its plain network."""
        return self.supernet.inherited(candidate, *self.adjusted(candidate))

    def _batches(self) -> list[tuple[Tensor, ...]]:
        """Training batches on which statistics are gathered, the same for all candidates."""
        if self._gauging is None:
            part, size = self.part("train"), self.evaluator.batch_size
            order = torch.randperm(len(part), generator=torch.Generator().manual_seed(derive(self.seed, "gauging")))
            count = self.supernet.statistics.recalibrate
            self._gauging = [(part.some(index)[0],) for index in order[: count * size].split(size) if len(index) > 1]
        return self._gauging

    def _fresh(self) -> int:
        """How many weights were made since the training."""
        if [bank.version for bank in self.supernet.banks] == self.training.versions:
            return 0
        new, old = (sum(p.numel() for p in net.parameters()) for net in (self.supernet, self.training.supernet))
        return new - old

    def as_trained(self) -> Supernet:
        """The supernet as it was trained, with room of its own to grow. The tensors are shared, so it is cheap.

        What was trained is never measured on itself, so it stays as it is.
        """
        source = self.training.supernet
        shared = [*source.parameters(), *source.buffers(), source.space, source.weights, source.statistics]
        memo: dict[int, Any] = {id(thing): thing for thing in shared}
        memo[id(source._plans)] = type(source._plans)()  # a plan holds for one supernet
        return copy.deepcopy(source, memo)


class Subnet(nn.Module):
    """One candidate of a supernet, called like a network of its own."""

    def __init__(self, supernet: Supernet, candidate: Candidate, which: int, norms: Norms | None) -> None:
        super().__init__()
        self._call = (supernet, candidate)  # in a tuple, so that it is not a part of this one
        self._how: dict[str, Any] = {"which": which, "norms": norms, "mode": EVALUATING}

    def forward(self, x: Tensor) -> Any:
        """The candidate's outputs. x: (B, …)."""
        supernet, candidate = self._call
        return supernet(candidate, x, **self._how)
