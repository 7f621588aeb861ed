"""The training of a supernet: which can be left after any step and taken up again with the same numbers.

Letters: B examples of a batch, K classes of an output.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluators.supernet import checkpoint
from evaluators.supernet.balance import Assignment
from evaluators.supernet.experts import diagnostics, share
from evaluators.supernet.growing import Axes, axes_of, moved, optimizer_of
from evaluators.training.augment import Augmentation
from evaluators.training.batches import Batches
from evaluators.training.loop import LOOK_EVERY, Clock, Losses, amp_dtype, casting, rate, total_loss
from nas.core.errors import EvaluationError, NASError, told
from nas.core.records import Budget, Candidate
from nas.core.seeds import derive
from nas.core.supernet.forms import Mode
from nas.core.supernet.network import Supernet

if TYPE_CHECKING:
    from evaluators.supernet.evaluator import SupernetEvaluator

MANY = 20
"""Networks that may fail in training, before it is looked at whether most do."""

EVERY_SECONDS = 60.0
"""Most time between two checkpoints."""
TELL_SECONDS = 2.0
"""Time between two reports within an epoch."""

Report = Callable[[Mapping[str, float]], object]


class Training:
    """One training of a supernet on one device.

    settings: how to train. assignment: of candidates to sets, where weights have several. watched: candidates over
    which diagnostics are computed. identity: what a checkpoint must belong to.
    """

    def __init__(
        self,
        supernet: Supernet,
        settings: SupernetEvaluator,
        seed: int,
        device: str,
        train: Batches,
        validation: Batches,
        assignment: Assignment | None = None,
        watched: Sequence[Candidate] = (),
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.supernet, self.settings, self.seed, self.device = supernet, settings, seed, device
        self.train, self.validation = train, validation
        self.assignment, self.watched, self.identity = assignment, watched, dict(identity or {})
        self.steps = 0
        self.curve: list[dict[str, float]] = []
        self.grown: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._rule = settings.rule
        self._draws = self._rule.sampler(supernet.space, seed)
        self._per_epoch = train.steps(settings.batch_size)
        self._clock = Clock(Budget(settings.epochs), self._per_epoch, time.perf_counter())
        self._losses = Losses(1 if device == "cpu" else LOOK_EVERY, self._per_epoch)
        self._amp = casting(amp_dtype(settings, device), device)
        self._augment = Augmentation.parse(settings.augment)
        self.failures, self.first_failure = 0, ""
        self.optimizer = optimizer_of(supernet, settings, device)
        self._axes: Axes = axes_of(supernet)
        self._versions = self.versions

    # ---- the loop ----------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether nothing is left to train."""
        return self._clock.over(self.steps)

    def run(self, folder: Path, report: Report | None = None) -> None:
        """Train to the end, with checkpoints in `folder` after each epoch and each minute.

        Raises: EvaluationError when a loss or weight is not finite, naming step and epoch; the last checkpoint before
            that is kept.
        """
        gpus = list(range(torch.cuda.device_count())) if self.device.startswith("cuda") else []
        began = wrote = told = time.perf_counter()
        before = self.seconds
        try:
            with torch.random.fork_rng(devices=gpus):
                while not self.over:
                    epoch, done = divmod(self.steps, self._per_epoch)
                    order = torch.Generator().manual_seed(derive(self.seed, "batches", epoch))
                    batches = self.train.epoch(self.settings.batch_size, order, self._augment)
                    for place, (x, y) in enumerate(batches):
                        if place < done:
                            continue  # trained before the last checkpoint
                        self.step(x, y)
                        now = time.perf_counter()
                        self.seconds = before + now - began
                        if report is not None and now - told > TELL_SECONDS:
                            told = now
                            report(self._row())
                        if now - wrote > EVERY_SECONDS:
                            wrote = now
                            self.save(folder)
                        if self.over:
                            break
                    row = self._row()
                    if self._losses:  # not where every network of the epoch failed
                        row |= {"train_loss": self._losses.mean(self.steps)}
                    row |= diagnostics(self.supernet, self.watched)
                    self.curve.append(row)
                    self.save(folder)
                    wrote = time.perf_counter()
                    if report is not None:
                        report(row)
        except EvaluationError as error:
            kept = f"the checkpoint in {folder} from before that is kept" if (folder / checkpoint.NAME).is_file() else (
                "no checkpoint had been written")  # fmt: skip
            raise EvaluationError(f"supernet: {error}; {kept}") from error

    def _row(self) -> dict[str, float]:
        seen = self._losses.seen
        mean = {"train_loss": sum(seen) / len(seen)} if seen else {}
        return {"epoch": self.steps / self._per_epoch, "epochs": self.settings.epochs, "seconds": self.seconds} | mean

    def step(self, x: Tensor, y: Mapping[str, Tensor]) -> None:
        """Train the networks of one step on one batch. Their gradients are divided by their number."""
        settings, progress = self.settings, self._clock.progress(self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * rate(settings.schedule, settings.warm_up, progress)
        torch.manual_seed(derive(self.seed, "dropout", self.steps))
        candidates = self._draws(self.steps)
        self.make_room(candidates)
        used = [self._set_of(candidate, number, progress) for number, candidate in enumerate(candidates)]
        loss = self.gradients(candidates, used, x, y)
        if loss is not None:
            self._losses.add(loss, self.steps + 1)
            if settings.clip:
                nn.utils.clip_grad_norm_(self.supernet.parameters(), settings.clip)
            self.optimizer.step()
        self.optimizer.zero_grad()
        if self._rule.average:
            share(self.supernet, self._rule.average)
        self.steps += 1
        if self.assignment is not None and self.assignment.learned:
            for number, (candidate, which) in enumerate(zip(candidates, used, strict=True)):
                try:
                    accuracy = self._accuracy(candidate, which, number)
                except NASError:
                    raise
                except Exception as error:  # as in `gradients`
                    self._failed(candidate, error)
                else:
                    self.assignment.learn(candidate, which, accuracy)

    def gradients(
        self, candidates: Sequence[Candidate], used: Sequence[int], x: Tensor, y: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Add the mean of the gradients of some candidates to what is there; their mean loss.

        used: the set of weights of each. x: (B, …). A candidate that raises is left out and noted; None: all did.

        Raises: EvaluationError when most candidates raise.
        """
        self.supernet.train()
        targets: dict[str, Tensor] = {}
        total: Tensor | None = None
        for number, (candidate, which) in enumerate(zip(candidates, used, strict=True)):
            try:
                with self._amp():
                    outputs = self.supernet(candidate, x, which=which)
                loss = (
                    distillation(outputs, targets) if targets else total_loss(outputs, y, self.settings.label_smoothing)
                )
                if self._rule.teaches and number == 0:
                    targets = answers(outputs)
                (loss / len(candidates)).backward()
            except NASError:
                raise
            except Exception as error:  # a module of the user's own may raise anything
                self._failed(candidate, error)
                continue
            part = loss.detach() / len(candidates)
            total = part if total is None else total + part
        return total

    def _failed(self, candidate: Candidate, error: Exception) -> None:
        """Note a candidate that raised. Raises EvaluationError when that is what most do."""
        self.failures += 1
        self.first_failure = self.first_failure or f"{candidate.decisions.text[:200]}: {told(error)}"
        if self.failures > MANY and self.failures > self.steps // 2:
            raise EvaluationError(
                f"{self.failures} networks failed in {self.steps + 1} steps of training, the first with the decisions "
                f"{self.first_failure}"
            )

    def _set_of(self, candidate: Candidate, number: int, progress: float) -> int:
        return 0 if self.assignment is None else self.assignment.draw(candidate, self.steps, number, progress)

    @torch.no_grad()
    def _accuracy(self, candidate: Candidate, which: int, number: int) -> float:
        """Accuracy in [0, 1] on a random batch of the validation part, normalised by the batch's own statistics."""
        rng = torch.Generator().manual_seed(derive(self.seed, "validation batch", self.steps, number))
        size = min(self.settings.batch_size, len(self.validation))
        x, y = self.validation.some(torch.randperm(len(self.validation), generator=rng)[:size])
        norms = self.supernet.blank_norms(candidate)
        outputs = self.supernet(candidate, x, which=which, mode=Mode(False, 1.0), norms=norms)
        given = {next(iter(y)): outputs} if isinstance(outputs, Tensor) else outputs
        return sum((given[name].argmax(1) == labels).float().mean().item() for name, labels in y.items()) / len(y)

    # ---- growing -----------------------------------------------------------------------------------------------------

    @property
    def versions(self) -> list[int]:
        """Rise when tensors grow."""
        return [bank.version for bank in self.supernet.banks]  # type: ignore[misc]

    def make_room(self, candidates: Sequence[Candidate]) -> None:
        """Make room for candidates; where a tensor grows, what the optimizer knows of it goes along, padded."""
        known = dict(self.supernet.named_parameters())
        for candidate in candidates:
            before = self.versions
            self.supernet.plan(candidate)
            if self.versions != before:
                self.grown.append(dict(candidate.decisions))
        if self.versions != self._versions:
            fresh = optimizer_of(self.supernet, self.settings, self.device)
            self.optimizer = moved(self.supernet, self.optimizer, fresh, known, self._axes)
            self._axes, self._versions = axes_of(self.supernet), self.versions

    # ---- checkpoints -------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write a checkpoint. Raises EvaluationError, and writes nothing, when a loss or weight is not finite."""
        self._losses.look(self.steps)
        tensors = self.tensors()
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                epoch = math.ceil(self.steps / self._per_epoch)
                raise EvaluationError(f"{name} is not finite after step {self.steps} (epoch {epoch}); a smaller lr, a "
                                      "longer warm_up or clip may help")  # fmt: skip
        facts = {
            "identity": self.identity, "step": self.steps, "steps": self.steps_in_all, "seconds": self.seconds,
            "curve": self.curve, "grown": self.grown, "losses": self._losses.seen, "torch": torch.__version__,
            "unshared": self.supernet.unshared,
        }  # fmt: skip
        checkpoint.save(folder, tensors, facts)

    @property
    def steps_in_all(self) -> int:
        """How many steps the whole training has."""
        return max(1, round(self.settings.epochs * self._per_epoch))

    def tensors(self) -> dict[str, Tensor]:
        """Weights, statistics, the optimizer's moments, and the table of the assignment, by name."""
        found = {f"weights|{name}": tensor for name, tensor in self.supernet.state_dict().items()}
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.supernet.named_parameters()}
        for parameter, state in self.optimizer.state.items():
            found |= {f"optimizer|{names[parameter]}|{key}": value for key, value in state.items() if value is not None}
        if self.assignment is not None:
            found |= {f"assignment|{name}": tensor for name, tensor in self.assignment.state.items()}
        return found

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take up a checkpoint. Raises EvaluationError when its tensors are not those of this supernet."""
        space = self.supernet.space
        self.make_room([space.decide(decisions) for decisions in facts["grown"]])
        here = self.supernet.state_dict()
        there = {name.removeprefix("weights|"): t for name, t in tensors.items() if name.startswith("weights|")}
        if {n: t.shape for n, t in here.items()} != {n: t.shape for n, t in there.items()}:
            raise EvaluationError("supernet: the tensors of the checkpoint are not those of this supernet; it was "
                                  "written by another version: remove it to train the supernet anew")  # fmt: skip
        for name, tensor in here.items():
            tensor.copy_(there[name])
        self.optimizer = optimizer_of(self.supernet, self.settings, self.device)
        parameters = dict(self.supernet.named_parameters())
        for title, tensor in tensors.items():
            kind, _, rest = title.partition("|")
            if kind == "optimizer":
                name, _, key = rest.rpartition("|")
                at = tensor.clone() if tensor.dim() == 0 and self.device == "cpu" else tensor.to(self.device)
                self.optimizer.state[parameters[name]][key] = at
        if self.assignment is not None:
            state = {n.partition("|")[2]: t for n, t in tensors.items() if n.startswith("assignment|")}
            self.assignment.restore(state)
        self.steps, self.seconds = facts["step"], facts["seconds"]
        self.curve, self.grown = list(facts["curve"]), list(facts["grown"])
        self._losses.seen = list(facts["losses"])


def answers(outputs: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a network says, (B, K) probabilities by output, through which no gradient flows."""
    given = {"": outputs} if isinstance(outputs, Tensor) else outputs
    return {name: torch.softmax(logits.detach().float(), dim=1) for name, logits in given.items()}


def distillation(outputs: Tensor | Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """The sum over the outputs of the mean cross-entropy against another network's answers."""
    given = {"": outputs} if isinstance(outputs, Tensor) else outputs
    losses = [F.cross_entropy(given[name].float(), target) for name, target in targets.items()]
    return torch.stack(losses).sum()
