"""A network from anywhere, ready to be called: an export, a torch.export program, an ONNX file, a module in Python.

net/                        a folder that `nas export` wrote
net/model.pt2               a torch.export program
net/model.onnx              an ONNX model, run by onnxruntime on the CPU
file.py:name, module:name   an nn.Module, a class of one, or a function that returns one

All but an ONNX file can run code of whoever wrote it: `model.py` and Python files are run, and torch reads a program's
odd parts with pickle. Name only what you trust.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import ExportError, RecipeError, told
from nas.core.imports import load_object
from nas.core.profile import InputSpec
from nas.core.roles import STORE
from nas.runfolder import BEST

if TYPE_CHECKING:
    from torch import nn

    from results.export import Architecture

KINDS = {".pt2": "a torch.export program", ".onnx": "an ONNX model"}


@dataclass(frozen=True, eq=False)
class Network:
    """A network and what is known of it.

    title: what to call it. kind: what it is. inputs: what it takes, in order; None where only data can tell.
    feed: mean and deviation by which its inputs are normalised; None where nobody said.
    class_names: output name → names of the classes it was trained for. recorded: metrics that came with it.
    cpu_only: whether it runs on the CPU whatever device there is.
    """

    title: str
    kind: str
    module: nn.Module
    inputs: Mapping[str, InputSpec] | None = None
    feed: tuple[Sequence[float], Sequence[float]] | None = None
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    recorded: Mapping[str, float] = field(default_factory=dict)
    cpu_only: bool = False


def find_network(what: str, threads: int = 1) -> Network:
    """The network that a text names. threads: those of onnxruntime; torch's are set where it is measured.

    Raises: ExportError for a folder or file that holds no network, or a package that is missing; RegistryError,
        RecipeError for a Python object that is none.
    """
    path = Path(what).expanduser()
    if path.suffix in KINDS:
        if not path.is_file():
            raise ExportError(f"there is no file {what!r}; expected {KINDS[path.suffix]}")
        return _program(path) if path.suffix == ".pt2" else _onnx(path, threads)
    if path.is_dir():
        return _folder(path)
    if ":" in what:
        return _python(what)
    if path.suffix == ".py" and path.is_file():
        raise RecipeError(f"{what!r} names a file; say which network in it, as in '{what}:name'")
    if path.is_file():
        raise ExportError(
            f"{what!r} is a file of another kind; expected .pt2, .onnx, file.py:name, or an export's folder"
        )
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, beside, 1)
    raise ExportError(
        f"{what!r} names no network: expected a folder that nas export wrote, a file .pt2 or .onnx, or file.py:name"
        + (f"; did you mean {str(path.parent / near[0])!r}?" if near else "")
    )


def _folder(path: Path) -> Network:
    from results.export import load, read

    if (path / STORE).is_file():
        best = f", or name {path / BEST}" if (path / BEST).is_dir() else ""
        raise ExportError(f"{path} is a run; take one of its networks home (nas export {path} TRIAL --to FOLDER){best}")
    known = read(path)
    return Network(str(path), "an export", load(path), known.inputs, **_said(known))


def _said(known: Architecture) -> dict[str, Any]:
    """What an export says of itself, beside its network."""
    about = known.about
    data = about.get("data") or {}
    numbers = data.get("normalisation") or {}
    feed = (numbers["mean"], numbers["std"]) if numbers.get("mean") else ((), ()) if data else None
    return {"feed": feed, "class_names": data.get("class_names") or {}, "recorded": about.get("metrics") or {}}


def _beside(path: Path) -> dict[str, Any]:
    """What the export says that a file lies in; {} for a file from elsewhere."""
    from results.export import read
    from results.export.about import ARCHITECTURE

    return _said(read(path.parent)) if (path.parent / ARCHITECTURE).is_file() else {}


def _program(path: Path) -> Network:
    import torch

    log = logging.getLogger("torch.export")  # which tells a traceback of its own before the error is raised
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        program = torch.export.load(path)
    except Exception as error:  # whatever the reader meets in a file that is no program
        raise ExportError(f"{path} cannot be read as a torch.export program: {told(error)}") from error
    finally:
        log.setLevel(level)
    given, named = program.example_inputs or ((), {})
    operands = [*given, *named.values()]
    inputs = {
        f"input{place}" if place else "input": _spec(tuple(x.shape[1:]), str(x.dtype))
        for place, x in enumerate(operands)
    }
    module = program.module()
    adapter = _adapter(module, list(module.parameters()), module.to)
    return Network(str(path), KINDS[".pt2"], adapter, inputs or None, **_beside(path))


def _onnx(path: Path, threads: int) -> Network:
    try:
        import onnx  # noqa: F401 - counts the weights
        import onnxruntime
    except ImportError as error:
        from results.export.formats import INSTALL

        raise ExportError(f"{path} needs the package {error.name}, which is not installed: {INSTALL}") from None
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of its own kinds, which it does not share with Python's
        raise ExportError(f"{path} cannot be read as an ONNX model: {told(error)}") from error
    names = [entry.name for entry in session.get_inputs()]
    outputs = [entry.name for entry in session.get_outputs()]
    inputs = {entry.name: _spec(tuple(entry.shape[1:]), entry.type) for entry in session.get_inputs()}

    def run(*batch: Any) -> Any:
        found = session.run(outputs, {name: x.numpy() for name, x in zip(names, batch, strict=True)})
        tensors = [torch.from_numpy(value) for value in found]
        return tensors[0] if len(tensors) == 1 else dict(zip(outputs, tensors, strict=True))

    sizes = [torch.empty(tuple(tensor.dims), device="meta") for tensor in _weights(path)]
    return Network(str(path), KINDS[".onnx"], _adapter(run, sizes), inputs, cpu_only=True, **_beside(path))


_FLOATS = (1, 10, 11, 16)
"""ONNX's numbers for float32, float16, float64 and bfloat16; integers among the initializers are shapes."""


def _weights(path: Path) -> Iterator[Any]:
    import onnx

    held = onnx.load(path, load_external_data=False).graph.initializer
    return (tensor for tensor in held if tensor.data_type in _FLOATS)


def _spec(shape: tuple[Any, ...], kind: str) -> InputSpec:
    if not all(isinstance(side, int) for side in shape):
        raise ExportError(f"an input has the shape {shape}; expected fixed sizes behind the batch")
    return InputSpec(shape, "int64", 2) if "int64" in kind else InputSpec(shape)


def _adapter(
    call: Callable[..., Any], parameters: Sequence[Any], move: Callable[[Any], Any] | None = None
) -> nn.Module:
    """What is called like a module but is none, as one. Its modes are fixed: it was exported in eval mode."""
    from torch import nn

    class Called(nn.Module):
        def parameters(self, recurse: bool = True) -> Iterator[Any]:
            return iter(parameters)

        def to(self, device: Any) -> nn.Module:  # type: ignore[override]
            if move is not None:
                move(device)
            return self

        def forward(self, *batch: Any) -> Any:
            return call(*batch)

    return Called().eval()


def _python(what: str) -> Network:
    from torch import nn

    thing = load_object(what, Path.cwd())
    made = thing
    if not isinstance(thing, nn.Module):
        if not callable(thing):
            raise RecipeError(f"{what} is a {type(thing).__name__}; expected an nn.Module, or what returns one")
        try:
            made = thing()
        except Exception as error:  # somebody's own code
            raise RecipeError(f"{what}() failed: {told(error)}; it is called without arguments") from error
    if not isinstance(made, nn.Module):
        raise RecipeError(f"{what}() gives a {type(made).__name__}; expected an nn.Module")
    return Network(what, "a module", made)
