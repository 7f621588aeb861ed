"""Inputs on which a network of a run is looked at again: examples of the run's own data, as its networks were fed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas import runfolder
from nas.core.errors import NASError, StoreError
from nas.running import inside

if TYPE_CHECKING:
    from evaluators.data import Data
    from results.export import Examples
    from results.run import Run

COUNT = 16
"""Most examples that are taken."""
LARGEST = 2**30
"""Most numbers in data that are read for a few examples: reading decodes every file."""
PARTS = ("validation", "test", "train")


def examples_of(run: Run, count: int = COUNT) -> Examples:
    """Up to `count` examples of a run's data, normalised as in training, or seeded ones that say why.

    Raises: StoreError when the run does not say what its networks take.
    """
    from results.export import Examples
    from results.export.proof import examples

    inputs = run.inputs
    if inputs is None:
        raise StoreError(
            f"{run} does not say what its networks take (the fact 'inputs'), so it has no examples for them"
        )
    try:
        data = _data(run)
        part = next((name for name in PARTS if len(data.part(name))), PARTS[0])
        x = data.normaliser()(data.tensors(part)[0][:count])
        takes = [(spec.shape, spec.dtype) for spec in inputs.values()]
        if takes != [(tuple(x.shape[1:]), str(x.dtype).removeprefix("torch."))] or not len(x):
            raise _NotThereError("they are not what its networks take")
        return Examples((x,), f"{len(x)} examples of the {part} part of {data.name}")
    except (NASError, OSError) as error:
        drawn = examples(inputs)
        return Examples(drawn, f"{len(drawn[0])} seeded examples ({_short(error)})")


class _NotThereError(NASError):
    """A run whose data cannot be taken examples from."""


def _data(run: Run) -> Data:
    """The data of a run, read again. Raises NASError, with why not."""
    from evaluators.data import load

    facts = run.facts
    known = facts.get("data")
    if not isinstance(known, Mapping) or run.folder is None:
        raise _NotThereError("the run has no data")
    shapes = [spec.get("shape", ()) for spec in dict(known.get("inputs") or {}).values()]
    numbers = sum(math.prod(shape) for shape in shapes) * sum(dict(known.get("counts") or {}).values())
    if numbers > LARGEST:
        raise _NotThereError(f"reading {known.get('name')} for a few examples would take long")
    folder = run.folder.resolve()  # as it is called here
    with inside(facts.get("directory")):
        recipe, _ = runfolder.read_recipe(folder, facts.get("code") or {}, facts.get("directory") or "")
        spec: Any = recipe.get("data")
        if isinstance(spec, Mapping):
            if set(spec) == {"object"}:
                raise _NotThereError("its data were given as a Python object")
            spec = {**spec, "download": False} if spec.get("download") else dict(spec)
        data = load(spec)
    if data.fingerprint() != known.get("fingerprint"):
        raise _NotThereError(f"{data.name} is no longer what the run was trained on")
    return data


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"{text[:158]} …"
