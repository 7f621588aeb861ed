"""The loop: batches, loss, backward, step, and after each epoch a look at the validation part.

Letters: B examples of a batch, K classes of an output.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluators.training.augment import Augmentation
from evaluators.training.batches import Batches
from evaluators.training.checkpoint import Checkpoint, moments_of
from evaluators.training.weights import snapshot
from nas.core.errors import EvaluationError
from nas.core.records import Budget

if TYPE_CHECKING:
    from evaluators.train import Train

LOOK_EVERY = 64
"""Steps between two looks at the losses on a GPU: each look waits for it. On a CPU every step is looked at."""


@dataclass
class Trained:
    """What training came to.

    curve: one row per epoch. row: the one that is reported. state: the weights of that row, or None for those that the
    network has. steps, epochs: how much was done, what went before included; seconds: of this training alone.
    order: the state of the generator of batches at the start of the epoch that is under way. moments: the optimizer's.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    row: dict[str, float] = field(default_factory=dict)
    state: dict[str, Tensor] | None = None
    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    order: Tensor | None = None
    moments: dict[str, Tensor] = field(default_factory=dict)


def fit(
    network: nn.Module,
    train: Batches,
    validation: Batches,
    settings: Train,
    budget: Budget,
    rng: torch.Generator,
    device: str,
    report: Callable[[Mapping[str, float]], object] | None = None,
    before: Checkpoint | None = None,
) -> Trained:
    """Train `network`, which is on `device`, in place.

    before: where an earlier training stopped, whose weights `network` and whose random states `rng` and torch have;
        only what it lacks of the budget is trained, on the batches that would have come next. The learning rate goes
        through its whole schedule once more in that rest: the rise over the share `warm_up` of it, then the decay.

    Raises: EvaluationError when a loss is not finite, naming the step and the epoch, both counted from 1.
    """
    began = time.perf_counter()
    optimizer = make_optimizer(network, settings, device)
    augment = Augmentation.parse(settings.augment)
    amp = casting(amp_dtype(settings, device), device)
    per_epoch = train.steps(settings.batch_size)
    clock = Clock(budget, per_epoch, began, before.steps if before else 0, before.seconds if before else 0.0)
    losses = Losses(1 if device == "cpu" else LOOK_EVERY, per_epoch)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    done = Trained()
    if before is not None:
        before.restore(optimizer, network)
        done.steps = before.steps
    while not clock.over(done.steps):
        network.train()
        done.order = rng.get_state()
        for x, y in islice(train.epoch(settings.batch_size, rng, augment), done.steps % per_epoch, None):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * rate(settings.schedule, settings.warm_up, clock.progress(done.steps))
            with amp():
                outputs = network(x)
            loss = total_loss(outputs, y, settings.label_smoothing)
            loss.backward()
            if settings.clip:
                nn.utils.clip_grad_norm_(parameters, settings.clip)
            optimizer.step()
            optimizer.zero_grad()
            done.steps += 1
            losses.add(loss.detach(), done.steps)
            if clock.over(done.steps):
                break
        done.epochs = done.steps / per_epoch
        row = {"epoch": done.epochs, "train_loss": losses.mean(done.steps), **measure(network, validation, "val_")}
        if not math.isfinite(row["val_loss"]):
            raise EvaluationError(f"the validation loss is {row['val_loss']} after epoch {math.ceil(done.epochs)}")
        done.curve.append(row)
        if settings.keep == "last" or not done.row or row["val_accuracy"] > done.row["val_accuracy"]:
            done.row = row
            done.state = snapshot(network) if settings.keep == "best" else None
        if report is not None:
            report(row)
    if done.steps % per_epoch == 0:
        done.order = rng.get_state()
    done.moments = moments_of(optimizer, network)
    done.seconds = time.perf_counter() - began
    return done


@torch.inference_mode()
def measure(network: nn.Module, part: Batches, prefix: str) -> dict[str, float]:
    """Accuracy (percent) and loss (cross-entropy) over a part, in evaluation mode and float32.

    With several outputs: their mean accuracy, the sum of their losses, and the accuracy of each.
    """
    network.eval()
    right: dict[str, Tensor] = {}
    losses: list[Tensor] = []
    for x, y in part.in_order(256 if part.device == "cpu" else 1024):
        outputs = network(x)
        losses.append(total_loss(outputs, y, 0.0) * len(x))
        for name, (logits, labels) in pairs(outputs, y).items():
            hits = (logits.argmax(1) == labels).sum()
            right[name] = right[name] + hits if name in right else hits
    count = len(part)
    shares = {name: 100.0 * hits.item() / count for name, hits in right.items()}
    found = {
        f"{prefix}accuracy": sum(shares.values()) / len(shares),
        f"{prefix}loss": torch.stack(losses).double().sum().item() / count,
    }
    if len(shares) > 1:
        found |= {f"{prefix}accuracy_{name}": share for name, share in shares.items()}
    return found


def pairs(outputs: Tensor | Mapping[str, Tensor], y: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Output name → (logits (B, K), labels (B,)). One output needs no name, and may have any."""
    if isinstance(outputs, Tensor) or len(outputs) == len(y) == 1:
        ((name, labels),) = y.items()
        return {name: (outputs if isinstance(outputs, Tensor) else next(iter(outputs.values())), labels)}
    return {name: (outputs[name], labels) for name, labels in y.items()}


def total_loss(outputs: Tensor | Mapping[str, Tensor], y: Mapping[str, Tensor], smoothing: float) -> Tensor:
    """The sum over the outputs of their mean cross-entropy, in float32."""
    total: Tensor | None = None
    for logits, labels in pairs(outputs, y).values():
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        total = loss if total is None else total + loss
    assert total is not None
    return total


def rate(schedule: str, warm_up: float, progress: float) -> float:
    """The share of the full learning rate at `progress` in [0, 1): a linear rise over `warm_up`, then the schedule.

    >>> [round(rate("cosine", 0.2, p), 3) for p in (0.1, 0.2, 0.6, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warm_up:
        return progress / warm_up
    rest = min(1.0, (progress - warm_up) / (1.0 - warm_up))
    return {"cosine": 0.5 * (1.0 + math.cos(math.pi * rest)), "linear": 1.0 - rest, "constant": 1.0}[schedule]


def make_optimizer(network: nn.Module, settings: Train, device: str) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW. Biases and the scales of norms (one axis) are not decayed.

    Biases by their names: those of experts, or by neuron, have two axes.
    """
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    wide = [p for name, p in trained if p.dim() > 1 and not name.endswith("bias")]
    narrow = [p for name, p in trained if p.dim() <= 1 or name.endswith("bias")]
    if not wide and not narrow:
        raise EvaluationError("the network has no parameters, so there is nothing to train")
    groups = [{"params": wide, "weight_decay": settings.weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    fused = device.partition(":")[0] in (
        "cpu",
        "cuda",
    )  # one call for all parameters: small networks are bound by calls
    if settings.optimizer == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(groups, settings.lr, momentum=settings.momentum, nesterov=nesterov, fused=fused)
    return torch.optim.AdamW(groups, settings.lr, betas=(settings.momentum, 0.999), fused=fused)


def amp_dtype(settings: Train, device: str) -> torch.dtype | None:
    """bfloat16 where it is asked for, or by 'auto' on a GPU that has it; else None: float32 throughout."""
    auto = settings.amp == "auto" and device.startswith("cuda") and torch.cuda.is_bf16_supported(False)  # not emulated
    return torch.bfloat16 if auto or settings.amp == "bf16" else None


def casting(dtype: torch.dtype | None, device: str) -> Callable[[], AbstractContextManager[object]]:
    """A maker of contexts for the forward pass."""
    return nullcontext if dtype is None else lambda: torch.autocast(device.partition(":")[0], dtype)


class Clock:
    """How far a budget is spent. steps_before, seconds_before: what of it was spent earlier."""

    def __init__(
        self, budget: Budget, per_epoch: int, began: float, steps_before: int = 0, seconds_before: float = 0.0
    ) -> None:
        self._steps = steps_of(budget, per_epoch)
        self._before = steps_before
        self._seconds = budget.amount - seconds_before
        self._began = began

    def progress(self, steps: int) -> float:
        """At the middle of the step after `steps` steps, in [0, 1), of what was not spent earlier."""
        if self._steps is not None:
            return (steps - self._before + 0.5) / (self._steps - self._before)
        return min((time.perf_counter() - self._began) / self._seconds, 1.0)

    def over(self, steps: int) -> bool:
        """Whether nothing is left. The first step is always taken."""
        if self._steps is not None:
            return steps >= self._steps
        return steps > self._before and time.perf_counter() - self._began >= self._seconds


def steps_of(budget: Budget, per_epoch: int) -> int | None:
    """The steps of a budget, at least one; None for one of seconds."""
    if budget.unit == "seconds":
        return None
    return max(1, round(budget.amount * per_epoch if budget.unit == "epochs" else budget.amount))


class Losses:
    """The losses since the last epoch's end; looked at every `every` steps, so that a GPU need not be waited for."""

    def __init__(self, every: int, per_epoch: int, seen: Iterable[float] = ()) -> None:
        self._every = every
        self._per_epoch = per_epoch
        self._pending: list[Tensor] = []
        self.seen: list[float] = list(seen)

    def add(self, loss: Tensor, step: int) -> None:
        self._pending.append(loss)
        if len(self._pending) >= self._every:
            self.look(step)

    def __bool__(self) -> bool:
        """Whether there were any since the last call of `mean`."""
        return bool(self._pending or self.seen)

    def mean(self, step: int) -> float:
        """The mean since the last call."""
        self.look(step)
        mean = sum(self.seen) / len(self.seen)
        self.seen = []
        return mean

    def look(self, step: int) -> None:
        """Look at what is pending after `step` steps. Raises EvaluationError for a loss that is not finite."""
        if not self._pending:
            return
        values = torch.stack(self._pending).tolist() if len(self._pending) > 1 else [p.item() for p in self._pending]
        self._pending = []
        for place, value in enumerate(values):
            if not math.isfinite(value):
                at = step - len(values) + place + 1
                epoch = (at - 1) // self._per_epoch + 1
                raise EvaluationError(
                    f"the loss is {value} at step {at} (epoch {epoch}); a smaller lr, a longer warm_up or clip may help"
                )
        self.seen += values
