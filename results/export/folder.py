"""Takes a network home: a folder with source, weights, architecture and a README, proved equal before it appears."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import ExportError, ShapeError, nearest
from nas.core.graph import Graph
from nas.core.profile import InputSpec
from results.export.about import ARCHITECTURE, Architecture, check, introduction, read, readme, to_json, versions

if TYPE_CHECKING:
    from torch import Tensor, nn

    from results.export.proof import Claim

MODEL, WEIGHTS, README = "model.py", "weights.safetensors", "README.md"
FILES = {
    MODEL: "the network as plain torch source; `load()` returns it in eval mode",
    WEIGHTS: "its weights",
    ARCHITECTURE: "graph, inputs, decisions, metrics and versions",
}
"""Every file of an export but the README, and what it is."""


@dataclass(frozen=True)
class Exported:
    """An export that was proved: its folder, its files, the largest absolute difference of any output.

    notes: what a user of the folder has to know, such as a package that a module of theirs imports.
    """

    folder: Path
    files: tuple[str, ...]
    max_abs_difference: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A form that `json.dumps` takes."""
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "max_abs_difference": self.max_abs_difference,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Draft:
    """Files in a folder that nobody has proved yet."""

    architecture: Architecture
    claim: Claim
    notes: tuple[str, ...]
    alone: bool


def export(
    graph: Graph,
    inputs: Mapping[str, InputSpec],
    weights: Mapping[str, Tensor] | None,
    to: Path | str,
    about: Mapping[str, Any],
    examples: Sequence[Tensor] | Tensor | None = None,
) -> Exported:
    """Write the network of `graph` to the folder `to`, reload it in a fresh process, and compare.

    weights: its state dict; None: those with which `nas.core.build` starts. about: see `results.export.about`.
    examples: inputs, batch first, one per input of the graph, on which outputs are compared; None: seeded ones.

    The folder appears whole or not at all. An earlier export is replaced; a folder that holds anything else is refused.

    Raises: ExportError: a folder in the way, weights that do not fit, a layer that cannot be written, or outputs that
        differ by more than 0.0.
    """
    about = check(about)
    try:
        to = Path(to).expanduser().absolute()
        os.access(to, os.F_OK)  # refuses a null byte, which `exists` takes for a name that is not there
        in_the_way(to)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, ExportError):
            raise
        why = getattr(error, "strerror", None) or error
        raise ExportError(f"{str(to)[:80]!r} cannot be a folder: {why}; give another path") from error
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".export-", dir=to.parent))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ExportError(f"{str(to.parent)!r} cannot be written: {why}; give another folder") from error
    try:
        draft = write(graph, inputs, weights, place, about, examples)
        exported = prove([draft])[0]
        _appear(place, to)
    except OSError as error:
        raise ExportError(f"{to} cannot be written: {error}") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return replace(exported, folder=to)


def load(folder: Path | str) -> nn.Module:
    """The network of an exported folder, in eval mode. It runs the folder's `model.py`.

    Raises: ExportError when a file is missing or damaged.
    """
    folder = Path(folder).absolute()
    for name in (MODEL, WEIGHTS):
        if not (folder / name).is_file():
            raise ExportError(f"{folder} holds no {name}; expected a folder that `nas export` wrote")
    name = f"nas_exported_{folder.name}_{abs(hash(str(folder)))}"
    spec = importlib.util.spec_from_file_location(name, folder / MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        network: nn.Module = module.load(folder / WEIGHTS)
    except Exception as error:
        del sys.modules[name]
        raise ExportError(f"{folder} cannot be loaded: {type(error).__name__}: {error}") from error
    return network


# ---- steps -----------------------------------------------------------------------------------------------------------


def write(
    graph: Graph,
    inputs: Mapping[str, InputSpec],
    weights: Mapping[str, Tensor] | None,
    place: Path,
    about: Mapping[str, Any],
    examples: Sequence[Tensor] | Tensor | None = None,
) -> Draft:
    """Write all files into an empty folder, and say what has to be proved. Raises ExportError."""
    from safetensors.torch import save

    from nas.core.build import build
    from results.export import proof
    from results.export.source import source_of
    from results.export.tree import tree_of

    inputs = {name: inputs[name] for name in graph.inputs}
    architecture = Architecture(graph, inputs, about, versions(), trained=weights is not None)
    try:
        network = build(graph, inputs)
        source = source_of(tree_of(graph, inputs), introduction(architecture))
    except ShapeError as error:
        raise ExportError(f"this graph is no network: {error}") from error
    if weights is not None:
        _fill(network, weights)
    state = _state(network)
    operands = proof.examples(inputs) if examples is None else _operands(examples, inputs)
    claim = proof.Claim(place, operands, proof.outputs_of(network, operands))
    (place / MODEL).write_text(source.text, encoding="utf-8")
    (place / WEIGHTS).write_bytes(save(state))
    (place / ARCHITECTURE).write_text(to_json(architecture), encoding="utf-8")
    (place / README).write_text(readme(architecture, FILES), encoding="utf-8")
    return Draft(architecture, claim, source.kept, not source.kept)


def prove(drafts: Sequence[Draft]) -> list[Exported]:
    """Reload drafts in one fresh process and compare; the difference is written to each architecture.json.

    Raises: ExportError naming the folder, for the first that fails.
    """
    from results.export import proof

    found = proof.differences([draft.claim for draft in drafts], alone=all(draft.alone for draft in drafts))
    exported = []
    for draft, difference in zip(drafts, found, strict=True):
        if isinstance(difference, str):
            raise ExportError(f"the export does not reload: {difference}")
        if not difference <= proof.TOLERANCE:
            raise ExportError(
                f"the reloaded network differs from the built one by {difference:g}, allowed is {proof.TOLERANCE:g}; "
                "does a module of yours keep numbers outside its state dict, or draw some when it is made?"
            )
        folder = draft.claim.folder
        text = to_json(replace(draft.architecture, max_abs_difference=difference))
        (folder / ARCHITECTURE).write_text(text, encoding="utf-8")
        exported.append(Exported(folder, (*FILES, README), difference, draft.notes))
    return exported


def _fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights. Raises ExportError naming keys that are missing, unknown or of another shape."""
    own = network.state_dict()
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    if missing or unknown:
        odd = f"{unknown[0]!r} is not in the network; {nearest(unknown[0], missing or own)}" if unknown else ""
        raise ExportError(
            f"the weights are not this network's: {len(missing)} missing {missing[:3]}, {len(unknown)} unknown "
            f"{unknown[:3]}. {odd}".rstrip()
        )
    for name, value in weights.items():
        if getattr(value, "shape", None) != own[name].shape:
            shape = tuple(getattr(value, "shape", ()))
            raise ExportError(f"weight {name!r} has shape {shape}, the network needs {tuple(own[name].shape)}")
    try:
        network.load_state_dict(dict(weights))
    except (RuntimeError, TypeError) as error:
        raise ExportError(f"the weights do not fit this network: {error}") from error


def _state(network: nn.Module) -> dict[str, Tensor]:
    """The state dict as safetensors takes it: each tensor by itself. Raises ExportError for what is no tensor."""
    import torch

    state: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise ExportError(
                f"{name!r} in the state dict is a {type(value).__name__}; weights.safetensors holds tensors only"
            )
        state[name] = value.detach().cpu().contiguous().clone()
    return state


def _operands(examples: Sequence[Tensor] | Tensor, inputs: Mapping[str, InputSpec]) -> tuple[Tensor, ...]:
    """The caller's examples on the CPU. Raises ExportError when they do not fit the inputs."""
    import torch

    given = (examples,) if isinstance(examples, torch.Tensor) else tuple(examples)
    if len(given) != len(inputs):
        raise ExportError(f"{len(given)} examples for the inputs {list(inputs)}; give one batch for each")
    for (name, spec), value in zip(inputs.items(), given, strict=True):
        if tuple(value.shape[1:]) != spec.shape or not len(value):
            wanted = ", ".join(map(str, spec.shape))
            raise ExportError(f"examples of input {name!r} have shape {tuple(value.shape)}; expected (N, {wanted})")
    return tuple(
        value.detach().cpu().to(getattr(torch, spec.dtype)) for spec, value in zip(inputs.values(), given, strict=True)
    )


# ---- the folder ------------------------------------------------------------------------------------------------------


def in_the_way(to: Path) -> None:
    """Raise ExportError when `to` holds anything but an earlier export."""
    if not to.exists() and not to.is_symlink():
        return
    if not to.is_dir():
        raise ExportError(f"{to} is a file; give the folder to write to another name")
    held = sorted(path.name for path in to.iterdir() if path.name != "__pycache__")
    odd = [name for name in held if name not in (*FILES, README)]
    if odd:
        shown = ", ".join(odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
        raise ExportError(f"{to} holds other things ({shown}); give an empty or new folder")
    if held:
        try:
            read(to)
        except ExportError as error:
            raise ExportError(f"{to} holds {', '.join(held)}, but no earlier export; give a new folder") from error


def _appear(place: Path, to: Path) -> None:
    """Rename the finished folder to its place; an earlier export goes once the new one is there."""
    in_the_way(to)
    os.chmod(place, 0o777 & ~_umask())
    if not to.exists():
        os.rename(place, to)
        return
    old = Path(tempfile.mkdtemp(prefix=".export-", dir=to.parent))
    try:
        os.rename(to, old / "earlier")
        try:
            os.rename(place, to)
        except OSError:
            os.rename(old / "earlier", to)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
