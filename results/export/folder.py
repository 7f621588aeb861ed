"""Takes a network home: a folder with source, weights, architecture and a README, proved equal before it appears."""

from __future__ import annotations

import dataclasses
import errno
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import ExportError
from nas.core.graph import Graph
from nas.core.profile import InputSpec
from results.export.about import check, read
from results.export.draft import MODEL, OURS, WEIGHTS, Examples, Exported, Proof, prove, write
from results.export.formats import FORMATS, chosen, lacking

if TYPE_CHECKING:
    from torch import Tensor, nn


def export(
    graph: Graph,
    inputs: Mapping[str, InputSpec],
    weights: Mapping[str, Tensor] | None,
    to: Path | str,
    about: Mapping[str, Any],
    examples: Examples | Sequence[Tensor] | Tensor | None = None,
    *,
    formats: Iterable[str] | str | None = None,
    fold_norms: bool = False,
    merge_branches: bool = False,
    proofs: Sequence[Proof] = (),
    replace: bool = False,
) -> Exported:
    """Write the network of `graph` to the folder `to`, reload all its forms in a fresh process, and compare.

    weights: its state dict; None: those with which `nas.core.build` starts. about: see `results.export.about`.
    examples: inputs, batch first, one per input of the graph, on which outputs are compared; None: seeded ones.
    formats: what to write beside the source (`results.export.formats`); None: all that can be, and what cannot is told
    in `left_out`; what is named has to be written. fold_norms, merge_branches: fuse layers (`results.export.fuse`).
    proofs: what was measured of this network before; judged, and shown too.

    The folder appears whole or not at all. An earlier export is written over where `replace` is said, and refused
    otherwise; so is a folder that holds anything else, always.

    Raises: ExportError: a folder in the way, weights that do not fit, a layer that cannot be written, a package that is
        missing, or outputs that differ by more than `FORMS` allows.
    """
    about, names, left_out = check(about), *ready(formats)
    for known in proofs:
        known.check()
    to = target(to, replace)
    with _beside(to) as place:
        fusing = {"fold_norms": fold_norms, "merge_branches": merge_branches}
        draft = write(graph, inputs, weights, place, about, examples, **fusing)
        draft = dataclasses.replace(
            draft, formats=names, by_name=formats is not None, left_out=left_out, proofs=tuple(proofs)
        )
        exported = prove([draft])[0]
        _appear(place, to, replace)
    return dataclasses.replace(exported, folder=to)


def ready(formats: Iterable[str] | str | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """The formats that can be written here, and why others cannot.

    Raises: ExportError for an unknown format, and for one that was asked for by name whose package is missing.
    """
    names = chosen(formats)
    missing = lacking(names)
    if missing and formats is not None:
        raise ExportError("; ".join(f"format {name}: {why}" for name, why in missing.items()))
    left_out = {name: f"{FORMATS[name].file} is left out, as {why}" for name, why in missing.items()}
    return tuple(name for name in names if name not in missing), left_out


def target(to: Path | str, replace: bool = False) -> Path:
    """The folder to write to, absolute. Raises ExportError when it cannot be one, or as `in_the_way` does."""
    try:
        to = Path(to).expanduser()
        os.access(to, os.F_OK)  # refuses a null byte, which `exists` takes for a name that is not there
        in_the_way(to, replace)
        to = to.absolute()
        if to.is_dir() and to.resolve() in (Path.cwd(), *Path.cwd().parents):
            raise ExportError(f"{to} is the folder you are in, and would be replaced under you; give one inside it")
        there = next(place for place in to.parents if place.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            why = "may not be written to" if there.is_dir() else "is a file"
            raise ExportError(f"{to} cannot be written: {there} {why}; give another folder")
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, ExportError):
            raise
        why = getattr(error, "strerror", None) or error
        raise ExportError(f"{str(to)[:80]!r} cannot be a folder: {why}; give another path") from error
    return to


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


# ---- the folder ------------------------------------------------------------------------------------------------------


def in_the_way(to: Path, replace: bool) -> None:
    """Raise ExportError when `to` holds anything but an earlier export, or one that is not to be replaced."""
    if not to.exists() and not to.is_symlink():
        return
    if not to.is_dir():
        raise ExportError(f"{to} is a file; give the folder to write to another name")
    held = sorted(path.name for path in to.iterdir() if path.name != "__pycache__")
    odd = [name for name in held if name not in OURS]
    if odd:
        shown = ", ".join(odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
        raise ExportError(f"{to} holds other things ({shown}); give an empty or new folder")
    if held:
        try:
            about = read(to).about
        except ExportError as error:
            raise ExportError(f"{to} holds {', '.join(held)}, but no earlier export; give a new folder") from error
        if not replace:  # somebody may have changed its source, or trained its weights on
            of = [f"{word}{about[name]}" for name, word in (("trial", "trial "), ("run", "of ")) if name in about]
            which = f" ({' '.join(of)})" if of else ""
            raise ExportError(
                f"{to} holds an earlier export{which}; say --replace to write over it, or give another folder"
            )


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """A hidden folder to work in, on the disk of `to`. Whatever happens, it goes, with the folders made for it.

    Raises: ExportError for what the disk refuses, in the block too.
    """
    made = [parent for parent in to.parents if not parent.exists()]
    place = None
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".export-", dir=to.parent))
        yield place
    except OSError as error:
        raise ExportError(f"{to} cannot be written: {error.strerror or error}; give another folder") from error
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # the first that holds something: the export, or what somebody put there meanwhile
            for parent in made:
                parent.rmdir()


def _appear(place: Path, to: Path, replace: bool) -> None:
    """Rename the finished folder to its place; an earlier export that is replaced goes once the new one is there.

    Raises: ExportError when another export has appeared there meanwhile, and is not to be replaced.
    """
    in_the_way(to, replace)
    os.chmod(place, 0o777 & ~_umask())
    if not to.is_symlink():
        shutil.rmtree(to / "__pycache__", ignore_errors=True)
        try:  # in one step: of two that want one place, one is told so
            os.rename(place, to)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        in_the_way(to, replace)
    old = Path(tempfile.mkdtemp(prefix=".export-", dir=to.parent))
    try:
        try:
            os.rename(to, old / "earlier")
            os.rename(place, to)
        except BaseException:  # an interrupt must not take both
            if not to.exists():
                os.rename(old / "earlier", to)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
