"""Evaluator `supernet`: trains a supernet of the space once; then a candidate is measured with inherited weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evaluators.devices import resolve
from evaluators.metrics import metric
from evaluators.supernet.rules import Rule
from evaluators.train import Train
from nas.core.errors import EvaluationError, RecipeError
from nas.core.records import Budget, Candidate, Measurement, Metric
from nas.core.registry import made, names, register
from nas.core.roles import INHERITED
from nas.core.space import Space

if TYPE_CHECKING:
    from evaluators.supernet.trained import TrainedSupernet

NUMBERS = 1
"""Raised when training or measuring changes in a way that changes the numbers."""

AFTER = ("fine_tune", "fine_tune_lr", "hopeless", "memory_gib", "keep", "device")
"""Fields that a trained supernet does not depend on."""

WAYS = ("inherited", "tuned", "scratch")
"""How a finalist comes by its weights."""


@register("evaluator", "supernet")
@dataclass(frozen=True, eq=False)
class SupernetEvaluator(Train):
    """All networks of the space in one set of weights, trained once; each is then measured with what it inherits.

    weights: how networks share: 'elastic', 'separate', 'mixture', 'balanced', or a mapping of name and fields.
    statistics: of batch norms: 'shared', 'shadow', or a mapping.
    training: which networks are trained in a step: 'uniform', 'fair', 'sandwich', 'sorted', or a mapping.
    epochs: how long the supernet is trained. batch_size, optimizer, lr and so on as for `train`: of the supernet, and
        of finalists.
    fine_tune: which share of a finalist's budget its inherited weights are trained for, at `fine_tune_lr` times lr; 0:
        they are not. keep: which epoch of a finalist's trainings is taken.
    hopeless: a candidate whose accuracy, in percent, is below this on the first quarter of the validation part is not
        measured on the rest; 0: all are.
    memory_gib: a supernet whose training would take more for its weights is refused.

    `prepare` trains it, or takes up what was trained. In the search a candidate's numbers are those of the validation
    part with inherited weights. A finalist is measured with inherited weights, then fine-tuned, and trained from
    scratch; it keeps the better of these two.
    """

    weights: Any = "elastic"
    statistics: Any = "shared"
    training: Any = "uniform"
    epochs: float = 20
    fine_tune: float = 0.25
    fine_tune_lr: float = 0.3
    hopeless: float = 0.0
    memory_gib: float = 8.0
    space: Any = field(kw_only=True)

    title: ClassVar[str] = "supernet"
    in_process: ClassVar[bool] = True
    reports: ClassVar[bool] = False
    prepares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises RecipeError naming a field; RegistryError for an unknown name in one."""
        super().__post_init__()
        if not isinstance(self.space, Space):
            raise RecipeError(f"supernet: space is {self.space!r}; expected a Space")
        self._number("fine_tune", below=1.0 + 1e-9)
        self._number("fine_tune_lr", above=0.0)
        self._number("hopeless", below=100.0)
        self._number("memory_gib", above=0.0)
        parts = (self.sharing, self.norms, self.rule)  # made now, so that what is wrong is said now
        if self.rule.average and not getattr(parts[0], "experts", 1) > 1:
            raise RecipeError(
                f"supernet: training average is {self.rule.average:g}, but weights {_name(self.weights)!r} have no "
                "experts to average; use weights {name: mixture, experts: 2 or more}, or leave average out"
            )
        object.__setattr__(self, "_place", None)
        object.__setattr__(self, "_trained", None)

    # ---- its parts ---------------------------------------------------------------------------------------------------

    @cached_property
    def sharing(self) -> Any:
        """How decisions become weights, an `Elastic`."""
        from nas.core.supernet.sharing import Elastic

        return _part("weights", self.weights, Elastic)

    @cached_property
    def norms(self) -> Any:
        """Which batch norms are kept apart, a `Shared`."""
        from nas.core.supernet.norms import Shared

        return _part("statistics", self.statistics, Shared)

    @cached_property
    def rule(self) -> Rule:
        """Which networks are trained in a step."""
        found: Rule = _part("training", self.training, Rule)
        return found

    @property
    def settings(self) -> Train:
        """How finalists are trained."""
        return Train(**{entry.name: getattr(self, entry.name) for entry in fields(Train)})

    # ---- what the search asks ----------------------------------------------------------------------------------------

    def prepare(self, folder: Path, seed: int, report: Callable[[Mapping[str, float]], object] | None = None) -> None:
        """Train the supernet, or go on where its last checkpoint was written, or take up the trained one.

        Args:
            folder: where its checkpoints are; one folder per supernet.
            seed: of its weights and of all draws.
            report: called every few seconds with `epoch` of `epochs`, `train_loss` and `seconds`; after each epoch with
                the row of the curve, which for mixtures has gate_entropy, gate_variance and expert_cosine too.

        Raises: RecipeError for a checkpoint of another supernet, naming what differs, and where it would need more
            than `memory_gib`; EvaluationError when a loss is not finite, or when the outputs do not fit the labels.
        """
        from evaluators.supernet.trained import prepare

        object.__setattr__(self, "_trained", prepare(self, Path(folder), seed, report))
        object.__setattr__(self, "_place", (Path(folder), seed))

    def evaluate(  # type: ignore[override]  # a supernet is trained before, and goes on from no single network
        self,
        candidate: Candidate,
        budget: Budget,
        seed: int,
        *,
        folder: Path | None = None,
        stage: str = "search",
        report: Callable[[Mapping[str, float]], object] | None = None,
    ) -> Measurement:
        """Measure a candidate with the weights that it inherits.

        Args:
            budget: of a finalist's trainings; a search candidate needs none.
            folder: where a finalist leaves `weights.safetensors`, those whose accuracy is reported.
            stage: 'finalist': also fine-tuned and trained from scratch, and measured on the test part.
            report: called with the rows of the curve of a finalist's training from scratch.

        Raises: EvaluationError before `prepare`.
        """
        trained = self.trained
        if stage != "finalist":
            return trained.measure(candidate)
        from evaluators.supernet.finalists import measure_finalist

        return measure_finalist(trained, candidate, budget, seed, folder, report)

    def inherit(self, candidate: Candidate, folder: Path) -> Path:
        """Write the weights that a candidate inherits to `folder/weights.safetensors`, as its plain network has them.

        Beside it, `inherited.json` says how far that network is from the supernet under the candidate's decisions.

        Raises: EvaluationError before `prepare`.
        """
        from evaluators.supernet.proof import compared
        from evaluators.training.weights import write

        state, known = compared(self.trained, candidate)
        path = write(state, Path(folder), {"weights": "inherited"})
        (Path(folder) / INHERITED).write_text(json.dumps(known), encoding="utf-8")
        return path

    @property
    def gates(self) -> Mapping[str, Any]:
        """How experts are combined, by layer; {} without experts. Raises EvaluationError before `prepare`."""
        from evaluators.supernet.experts import combined

        return combined(self.trained.supernet, self.trained.training.watched)

    @property
    def preparation(self) -> Sequence[Mapping[str, float]]:
        """The supernet's training, a row per epoch. Raises EvaluationError before `prepare`."""
        return self.trained.training.curve

    @property
    def trained(self) -> TrainedSupernet:
        """The trained supernet; in another process than the one that prepared it, read from its checkpoint.

        Raises: EvaluationError where nothing was prepared.
        """
        if self._trained is None:  # type: ignore[attr-defined]
            if self._place is None:  # type: ignore[attr-defined]
                raise EvaluationError(
                    "supernet: evaluate was called before prepare(folder, seed), which trains the supernet; a search "
                    "calls it, a script must do so itself"
                )
            from evaluators.supernet.trained import reopen

            object.__setattr__(self, "_trained", reopen(self, *self._place))  # type: ignore[attr-defined]
        found: TrainedSupernet = self._trained  # type: ignore[attr-defined]
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be shared, and why; known once it is prepared."""
        return self.trained.warnings

    def metrics(self) -> Iterable[Metric]:
        """Accuracies are percent. Those of the test part, and those by way of training, are there for finalists."""
        parts = [f"{part}_{kind}" for part in ("val", "test") for kind in ("accuracy", "loss")]
        by_way = [f"{part}_accuracy_{way}" for way in WAYS for part in ("val", "test")]
        tasks = self.data.tasks if len(self.data.tasks) > 1 else ()
        by_task = [f"{part}_accuracy_{task}" for part in ("val", "test") for task in tasks]
        return [metric(name) for name in [*parts, *by_way, *by_task]]

    def identity(self, seed: int) -> dict[str, Any]:
        """What a trained supernet depends on."""
        fixed = {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if entry.name not in (*AFTER, "data", "space", "weights", "statistics", "training")
        }
        return {
            "space": self.space.fingerprint(),
            "data": self.data.fingerprint(),
            "weights": repr(self.sharing),
            "statistics": repr(self.norms),
            "training": repr(self.rule),
            **fixed,
            "seed": seed,
            "numbers": NUMBERS,
        }

    def fingerprint(self) -> str:
        """Space, data, all fields, the device's kind, and torch's version; the seed is a key of its own."""
        known = self.identity(0) | {name: getattr(self, name) for name in AFTER if name not in ("device", "memory_gib")}
        known |= {"device": resolve(self.device), "torch": version("torch")}
        return f"supernet{NUMBERS}:{json.dumps(known, sort_keys=True)}"

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the trained supernet itself stays behind, which is read again from its checkpoint."""
        return {**self.__dict__, "_trained": None}


def _part(kind: str, given: Any, role: type) -> Any:
    found = made(kind, given)
    if not isinstance(found, role):
        raise RecipeError(
            f"supernet: {kind} is {given!r}; expected a name, a mapping of name and fields, or a {role.__name__}; "
            f"names: {', '.join(map(repr, names(kind)))}"
        )
    return found


def _name(given: Any) -> str:
    if isinstance(given, Mapping):
        return str(given.get("name"))
    return given if isinstance(given, str) else type(given).__name__.lower()
