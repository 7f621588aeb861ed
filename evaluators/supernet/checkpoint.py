"""Checkpoints of a supernet's training: tensors as safetensors, everything else as JSON; nothing is unpickled.

    supernet.json                 the facts, and which file holds the tensors; written last
    supernet-STEP.safetensors     weights, statistics, the optimizer's moments

A reader, and a training that was killed while it wrote, see the last complete checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from evaluators.training.weights import write
from nas.core.errors import EvaluationError, RecipeError

NAME = "supernet.json"
VERSION = 1


def save(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint in place of the one before. `facts` hold `step` and `identity`.

    Raises: EvaluationError when it cannot be written; the one before is then still there.
    """
    title = f"supernet-{facts['step']}.safetensors"
    try:
        path = write(_apart(tensors), folder, {}, title)
        unfinished = folder / f".{NAME}.{os.getpid()}"
        with unfinished.open("w") as file:
            json.dump({"version": VERSION, "tensors": title, "digest": _digest(path), **facts}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / NAME)
    except (OSError, SafetensorError) as error:
        raise EvaluationError(f"the checkpoint in {folder} cannot be written: {error}") from error
    for other in folder.glob("supernet-*.safetensors"):
        if other.name != title:
            other.unlink()


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, each with memory of its own: modules of a user's may share theirs."""
    found: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().to("cpu").contiguous()
        found[name] = plain.clone() if plain.untyped_storage().data_ptr() in places else plain
        places.add(plain.untyped_storage().data_ptr())
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def load(folder: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The last checkpoint in a folder, or None where there is none.

    Raises: RecipeError when it belongs to another supernet, naming what differs; EvaluationError when it is damaged.
    """
    if not (folder / NAME).is_file():
        return None
    try:
        facts = json.loads((folder / NAME).read_text())
        differs = _differences(facts["identity"], identity) if facts["version"] == VERSION else ["its format"]
        tensors = {} if differs else load_file(folder / facts["tensors"])
        if not differs:
            _check(facts, folder)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise EvaluationError(
            f"the checkpoint {folder / NAME} cannot be read ({type(error).__name__}: {error}); "
            "remove it to train the supernet anew"
        ) from error
    if differs:
        raise RecipeError(
            f"the checkpoint in {folder} is of another supernet: {'; '.join(differs)}; "
            "go back to what it was, or choose another folder to train a new one"
        )
    return tensors, facts


def _check(facts: Mapping[str, Any], folder: Path) -> None:
    """Raise ValueError for facts that no training wrote, or tensors that are not those it wrote."""
    if facts["digest"] != _digest(folder / facts["tensors"]):
        raise ValueError(f"{facts['tensors']} is not what was written")
    for name, kind in (("step", int), ("seconds", int | float), ("curve", list), ("grown", list), ("losses", list)):
        if not isinstance(facts[name], kind) or isinstance(facts[name], bool):
            raise ValueError(f"{name} is {facts[name]!r}")


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    here = json.loads(json.dumps(here))
    names = dict.fromkeys([*here, *there])
    return [
        f"{name} was {there.get(name)!r}, now it is {here.get(name)!r}"
        for name in names
        if there.get(name) != here.get(name)
    ]
