"""`Data`: examples to learn from, in three parts, with all that must be known before anything is trained.

Letters: N examples, C channels, H rows, W columns, F features, L tokens.

Images are kept channels first, (N, C, H, W), as they came (uint8 stays uint8: a quarter of the memory); feature tables
are (N, F) float32; token sequences (N, L) int64. `Data.normalise` turns them into what a network sees.

The test part is for finalists only: nothing here reads it after loading, except `fingerprint` and `counts`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core.errors import DataError, nearest
from nas.core.profile import InputSpec

if TYPE_CHECKING:
    import torch

SPLITS = ("train", "validation", "test")
INPUT = "x"
"""The name of the one input that networks for such data have."""


@dataclass(frozen=True, eq=False)
class Examples:
    """One part of the data.

    x: (N, C, H, W), (N, F) or (N, L).
    labels: output name → class numbers, (N,) int64.
    """

    x: np.ndarray
    labels: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: np.ndarray) -> Examples:
        """The examples at `index`, (M,) integers."""
        return Examples(self.x[index], {name: codes[index] for name, codes in self.labels.items()})


@dataclass(frozen=True, eq=False)
class Data:
    """Labelled examples: what was found, how it is normalised, and the arrays.

    name: what to call it in messages and reports.
    kind: 'image', 'features' or 'tokens'.
    class_names: output name → names of its classes; one entry, or one per task of a branched network.
    mean, std: of the training part, per channel or feature, in the units of the arrays; empty: not normalised.
    how: sentences on how the source was read.
    spec: the mapping that `evaluators.data.load` takes to make this again; None for data made in memory.
    reload: (spec, fingerprint) → the same data in another process; None for data made in memory, which then travels to
        worker processes as arrays.
    """

    name: str
    kind: str
    train: Examples
    validation: Examples
    test: Examples
    class_names: Mapping[str, tuple[str, ...]]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    vocabulary: int | None = None
    how: tuple[str, ...] = ()
    spec: Mapping[str, Any] | None = field(default=None, repr=False)
    reload: Callable[[Mapping[str, Any], str], Data] | None = field(default=None, repr=False)

    # ---- what a space needs --------------------------------------------------------------------------------------

    @cached_property
    def inputs(self) -> Mapping[str, InputSpec]:
        """Input name → shape of one example, dtype, and vocabulary of tokens."""
        shape = tuple(int(size) for size in self.train.x.shape[1:])
        if self.kind == "tokens":
            return {INPUT: InputSpec(shape, "int64", self.vocabulary)}
        return {INPUT: InputSpec(shape)}

    @property
    def classes(self) -> int | dict[str, int]:
        """The number of classes; for several tasks, by output name."""
        counts = {name: len(names) for name, names in self.class_names.items()}
        return counts if len(counts) > 1 else next(iter(counts.values()))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the label sets, in order."""
        return tuple(self.class_names)

    # ---- the parts -----------------------------------------------------------------------------------------------

    def part(self, split: str) -> Examples:
        """The examples of 'train', 'validation' or 'test'. Raises DataError for another name."""
        if split not in SPLITS:
            raise DataError(f"split {split!r}; {nearest(split, SPLITS)}")
        examples: Examples = getattr(self, split)
        return examples

    def tensors(self, split: str, device: str | torch.device = "cpu") -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """A part as torch tensors, as they came (not normalised).

        Returns: x, (N, …); output name → labels, (N,) int64.
        """
        import torch

        examples = self.part(split)
        x = torch.from_numpy(np.ascontiguousarray(examples.x)).to(device)
        return x, {name: torch.from_numpy(codes).to(device) for name, codes in examples.labels.items()}

    def normaliser(self, device: str | torch.device = "cpu") -> Callable[[torch.Tensor], torch.Tensor]:
        """A function from a batch as it came to what a network sees: float32, (x - mean) / std; tokens pass through."""
        import torch

        if self.kind == "tokens":
            return lambda x: x
        if not self.mean:
            return lambda x: x.to(torch.float32)
        shape = (1, -1, 1, 1) if self.kind == "image" else (1, -1)
        mean = torch.tensor(self.mean, dtype=torch.float32, device=device).view(shape)
        scale = (1.0 / torch.tensor(self.std, dtype=torch.float64)).to(device=device, dtype=torch.float32).view(shape)
        return lambda x: (x.to(torch.float32) - mean) * scale

    # ---- what was found ------------------------------------------------------------------------------------------

    @property
    def counts(self) -> dict[str, int]:
        """Split → number of examples."""
        return {split: len(self.part(split)) for split in SPLITS}

    def describe(self) -> dict[str, Any]:
        """What was found and how it was read, as JSON takes it."""
        train = self.train.x
        per_class = {
            name: np.bincount(codes, minlength=len(self.class_names[name])) for name, codes in self.train.labels.items()
        }
        return {
            "name": self.name,
            "kind": self.kind,
            "inputs": {name: {"shape": list(spec.shape), "dtype": spec.dtype} for name, spec in self.inputs.items()},
            "classes": self.classes,
            "class_names": {name: list(names) for name, names in self.class_names.items()},
            "counts": self.counts,
            "per_class": {name: [int(count.min()), int(count.max())] for name, count in per_class.items()},
            "dtype": str(train.dtype),
            "range": [float(train.min()), float(train.max())],
            "normalisation": {"mean": list(self.mean), "std": list(self.std)},
            "how": list(self.how),
            "fingerprint": self.fingerprint(),
        }

    def summary(self) -> str:
        """One line for a person.

        >>> from evaluators.data import load
        >>> load("digits").summary()
        'digits: 1 x 8 x 8 images, 10 classes, 1,150 for training, 288 for validation, 359 held out for the test'
        """
        shape = " x ".join(str(size) for size in self.train.x.shape[1:])
        things = {"image": f"{shape} images", "features": f"{shape} features", "tokens": f"{shape} tokens"}[self.kind]
        tasks = ", ".join(
            f"{len(names)} classes{f' of {name}' if len(self.class_names) > 1 else ''}"
            for name, names in self.class_names.items()
        )
        n = self.counts
        return (
            f"{self.name}: {things}, {tasks}, {n['train']:,} for training, {n['validation']:,} for validation, "
            f"{n['test']:,} held out for the test"
        )

    def fingerprint(self) -> str:
        """A digest of all that a network sees: every array of every part, the classes, the normalisation."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        state = hashlib.blake2b(digest_size=16)
        facts = [self.kind, {k: list(v) for k, v in self.class_names.items()}, self.mean, self.std, self.vocabulary]
        state.update(json.dumps(facts).encode())
        for split in SPLITS:
            examples = self.part(split)
            for name, array in [("", examples.x), *examples.labels.items()]:
                state.update(f"{split}/{name}:{array.dtype.str}{array.shape}".encode())
                state.update(np.ascontiguousarray(array).data.cast("B"))
        return "data1:" + state.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.reload is not None and self.spec is not None:
            return self.reload, (dict(self.spec), self.fingerprint())
        state = (self.name, self.kind, self.train, self.validation, self.test, dict(self.class_names))
        return Data, (*state, self.mean, self.std, self.vocabulary, self.how, self.spec)
