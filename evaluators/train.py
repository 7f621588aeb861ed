"""Evaluator `train`: trains the candidate's network on the data and measures it. The loop: `evaluators.training`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from evaluators.data import load
from evaluators.devices import check_device, resolve
from evaluators.metrics import metric
from nas.core.errors import RecipeError, nearest
from nas.core.records import Budget, Candidate, Measurement, Metric
from nas.core.registry import register

LEGAL = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "linear", "constant"),
    "augment": ("none", "shift", "flip", "cutout", "flip_shift", "shift_cutout", "flip_cutout", "flip_shift_cutout"),
    "amp": ("auto", "bf16", "off"),
    "keep": ("last", "best"),
}
VERSION = 1
"""Raised when the loop changes in a way that changes its numbers."""


@register("evaluator", "train")
@dataclass(frozen=True, eq=False)
class Train:
    """Training, from scratch or from where an earlier training of the same network stopped.

    data: what to train on; anything that `evaluators.data.load` takes.
    epochs: how long, where the recipe gives no budget.
    batch_size, optimizer ('adamw', 'sgd'), lr (at its highest), weight_decay (not on biases and norms), momentum (also
        AdamW's first beta), schedule ('cosine', 'linear', 'constant') after a rise over the share `warm_up` of the
        budget, label_smoothing, clip (largest norm of the gradient; 0: not clipped).
    augment: 'none', or 'flip', 'shift', 'cutout' joined by '_'; for images.
    device: 'auto' is the GPU where there is one. amp: 'auto' is bfloat16 on such a GPU, 'off' elsewhere.
    keep: which epoch is reported and saved: the 'last', or the 'best' on the validation part, whose number is then
        somewhat too good.

    Continued, a network gets what is left of its budget. Its weights, the optimizer's moments and the order of batches
    go on as if nothing had been in between; the learning rate goes through its schedule once more in the rest, from the
    rise over `warm_up` of it to the decay. With a constant schedule and no rise that is the uninterrupted training, bit
    by bit. 'best' is then the best epoch of the rest.

    The numbers are those of the validation part; only finalists are measured on the test part. Validation and test run
    in float32. With the same seed, version of torch and number of threads, a CPU gives the same numbers.
    """

    data: Any
    epochs: float = 8
    batch_size: int = 64
    optimizer: str = "adamw"
    lr: float = 0.008
    weight_decay: float = 0.02
    momentum: float = 0.9
    schedule: str = "cosine"
    warm_up: float = 0.15
    label_smoothing: float = 0.05
    clip: float = 1.0
    augment: str = "none"
    device: str = "auto"
    amp: str = "auto"
    keep: str = "last"

    title: ClassVar[str] = "train"
    writes_files: ClassVar[bool] = True
    knows_stage: ClassVar[bool] = True
    reports: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises RecipeError naming a field, or a device that is not there; DataError for data that cannot be read."""
        check_device(self.device, self.title)
        object.__setattr__(self, "data", load(self.data))
        for name, legal in LEGAL.items():
            if getattr(self, name) not in legal:
                raise RecipeError(
                    f"{self.title}: {name} {getattr(self, name)!r}; {nearest(getattr(self, name), legal)}"
                )
        self._number("epochs", above=0.0)
        self._number("batch_size", least=1, whole=True)
        self._number("lr", above=0.0)
        self._number("weight_decay")
        self._number("momentum", below=1.0)
        self._number("warm_up", below=1.0)
        self._number("label_smoothing", below=1.0)
        self._number("clip")
        if self.augment != "none" and self.data.kind != "image":
            raise RecipeError(
                f"{self.title}: augment {self.augment!r} is for images, the data are {self.data.kind}; use 'none'"
            )

    def evaluate(
        self,
        candidate: Candidate,
        budget: Budget,
        seed: int,
        *,
        folder: Path | None = None,
        stage: str = "search",
        report: Callable[[Mapping[str, float]], object] | None = None,
        before: Path | None = None,
        spent: Budget | None = None,
        checkpoint: bool = False,
    ) -> Measurement:
        """Train and measure.

        Args:
            budget: epochs, steps or seconds of training; a part of an epoch counts.
            folder: where to leave `weights.safetensors`.
            stage: 'finalist' also measures on the test part.
            report: called with the row of the curve after each epoch.
            before, spent: the folder where an earlier evaluation left a checkpoint, and its budget, which counts
                towards this one; epochs and steps are counted from its beginning, times from that of this evaluation.
            checkpoint: whether to leave one beside the weights.

        Raises: EvaluationError when a loss is not finite, or the outputs do not fit the labels.
        """
        from evaluators.training.run import run

        return run(
            self, candidate.graph, budget, seed, folder, stage, report, before=before, spent=spent, leave=checkpoint
        )

    @property
    def continues(self) -> bool:
        """It does; a class made from this one with an `evaluate` of its own says for itself whether that does."""
        return type(self).evaluate is Train.evaluate

    def metrics(self) -> Iterable[Metric]:
        """Accuracies are percent; the test's are there for finalists only."""
        names = [
            "val_accuracy",
            "val_loss",
            "train_loss",
            "params",
            "macs",
            "train_seconds",
            "test_accuracy",
            "test_loss",
        ]
        if len(self.data.tasks) > 1:
            names += [f"{part}_accuracy_{task}" for part in ("val", "test") for task in self.data.tasks]
        return [metric(name) for name in names]

    def fingerprint(self) -> str:
        """Data, fields (but not `epochs`: the budget is a key of its own), the device's kind, and torch's version."""
        fixed = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("data", "epochs")
        }
        fixed |= {"data": self.data.fingerprint(), "device": resolve(self.device), "torch": version("torch")}
        return f"train{VERSION}:{json.dumps(fixed, sort_keys=True)}"

    @property
    def default_budget(self) -> Budget:
        return Budget(self.epochs)

    def _number(
        self, name: str, least: float = 0.0, above: float | None = None, below: float = math.inf, whole: bool = False
    ) -> None:
        """Make sure that a field is a number in its range. YAML reads 1e-3, without a point, as a text."""
        value = getattr(self, name)
        try:
            number = float(value)
            fits = not isinstance(value, bool) and least <= number < below and (above is None or number > above)
            fits = fits and (not whole or number == int(number))
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            low = f"above {above:g}" if above is not None else f"of at least {least:g}"
            high = f" and below {below:g}" if below < math.inf else ""
            raise RecipeError(
                f"{self.title}: {name} is {value!r}; expected a {'whole ' if whole else ''}number {low}{high}"
            )
        object.__setattr__(self, name, int(number) if whole else number)
