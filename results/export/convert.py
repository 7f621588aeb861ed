"""Run by a fresh Python: makes model.pt2 and model.onnx of exported folders, as a user of `model.py` would.

Reads a JSON list of `{"folder", "inputs", "formats", "packages", "input_names", "output_names", "suspects"}` from
standard input (`inputs` names a safetensors file; `packages`: format → what it needs; `suspects` are paths of modules
that are looked at first when something fails) and the number of threads from the command line. Writes to standard
output a line `converted: JSON` per folder: format → null, or what its exporter refused: `{"path", "module", "kind",
"why", "code"}`. It knows nothing of the engine.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

EXAMPLES = 4
"""Examples that a program is traced with. Not 1: torch takes that for a size that never changes."""
LARGEST = 1_900_000_000
"""Most bytes of weights in one ONNX file; the format ends at 2 GB."""


def program_of(network: nn.Module, operands: Sequence[Tensor]) -> ExportedProgram:
    """The program of a network whose operands all have the examples first."""
    size = len(operands[0])
    batch = Dim("batch", min=1)
    shapes = tuple({0: batch} if value.ndim and len(value) == size else None for value in operands)
    return torch.export.export(network, tuple(operands), dynamic_shapes=_under(network, shapes))


def _under(network: nn.Module, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Shapes as the exporter wants them where the operands are collected by `*args`."""
    code = getattr(type(network).forward, "__code__", None)
    gathers = code is not None and code.co_flags & 0x04 and code.co_argcount == 1
    return (shapes,) if gathers else shapes


def write_program(program: ExportedProgram, path: Path) -> None:
    """Save a program, without the examples that it was made with and the places of source files on this machine."""
    args, kwargs = program.example_inputs
    program.example_inputs = tuple(torch.zeros_like(value) for value in args), kwargs
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            node.meta.pop("stack_trace", None)
    torch.export.save(program, path)


def onnx_of(program: ExportedProgram, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Any:
    """The ONNX form of a program, not saved yet."""
    return torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=list(inputs) or None, output_names=list(outputs) or None
    )


def write_onnx(made: Any, path: Path) -> None:
    """Save an ONNX network, without the exporter's notes, its first dimension called `batch`."""
    import onnx

    model = made.model_proto
    sizes = [d.dim_param for value in model.graph.input for d in value.type.tensor_type.shape.dim[:1] if d.dim_param]
    values = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    for old in dict.fromkeys(sizes):
        for dim in (d for value in values for d in value.type.tensor_type.shape.dim):
            if dim.dim_param:
                dim.dim_param = re.sub(rf"\b{re.escape(old)}\b", "batch", dim.dim_param)
    for thing in (model, model.graph, *model.graph.node, *values, *model.graph.initializer):
        if hasattr(thing, "metadata_props"):
            del thing.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if size > LARGEST:
        onnx.save(model, path, save_as_external_data=True, location=path.name + ".data")
    else:
        onnx.save(model, path)


# ---- what cannot be expressed ----------------------------------------------------------------------------------------


def refusal(
    error: Exception,
    network: nn.Module,
    operands: Sequence[Tensor],
    attempt: Callable[[nn.Module, Sequence[Tensor]], Any],
    suspects: Sequence[str],
) -> dict[str, str]:
    """Which module an exporter refuses, and why: the innermost one that it refuses by itself, too."""
    given = _operands_of_all(network, operands)

    def first(places: Sequence[str]) -> tuple[str, Exception] | None:
        for place in places:
            try:
                attempt(network.get_submodule(place), given[place])
            except Exception as trouble:
                return place, trouble
        return None

    def inside(place: str) -> list[str]:
        """The modules in a module; those of a list that does not run itself."""
        found = []
        for name, _ in network.get_submodule(place).named_children():
            inner = f"{place}.{name}" if place else name
            found += [inner] if inner in given else inside(inner)
        return found

    path = ""
    found = first([place for place in suspects if place in given]) or first(inside(""))
    while found is not None:
        path, error = found
        found = first(inside(path))
    kind, why = reason(error)
    module = type(network.get_submodule(path)).__name__
    return {"path": path, "module": module, "kind": kind, "why": why, "code": _code(error)}


def _operands_of_all(network: nn.Module, operands: Sequence[Tensor]) -> dict[str, tuple[Tensor, ...]]:
    """Path → operands of each module that runs on tensors alone."""
    given: dict[str, tuple[Tensor, ...]] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if args and not kwargs and all(isinstance(value, Tensor) for value in args):
                given.setdefault(path, tuple(value.detach().clone() for value in args))

        return hook

    hooks = [
        module.register_forward_pre_hook(note(path), with_kwargs=True)
        for path, module in network.named_modules()
        if path
    ]
    try:
        with torch.no_grad():
            network(*(value.clone() for value in operands))
    finally:
        for hook in hooks:
            hook.remove()
    return given


def reason(error: BaseException) -> tuple[str, str]:
    """Of what kind a refusal is ('values', 'batch', 'operator' or 'other'), and why, in one line."""
    chain: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in chain:
        chain.append(step)
        step = step.__cause__ or step.__context__
    texts = [str(one) for one in chain]
    for text in texts:
        operator = re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", text)
        if operator:
            return "operator", f"ONNX has no operator for {operator[1]}"
    if any(type(one).__name__ == "GuardOnDataDependentSymNode" for one in chain) or "data-dependent" in texts[0]:
        return "values", "what it does depends on the values of a tensor"
    if "Constraints violated" in texts[0] or "specialized it to be a constant" in texts[0]:
        return "batch", "its program would hold for one number of examples only"
    deepest = chain[-1] if "onnx" in type(error).__module__ else error
    lines = [line.strip() for line in str(deepest).splitlines() if line.strip()]
    first = re.sub(r"\x1b\[[0-9;]*m", "", lines[0]) if lines else ""
    return "other", f"{type(deepest).__name__}: {first}"[:200].removesuffix(": ")


def _broken(packages: Sequence[str]) -> dict[str, str] | None:
    """The first package that is installed and cannot be imported, as a refusal: no part of the network is at fault."""
    for package in packages:
        try:
            importlib.import_module(package)
        except Exception as error:  # whatever it does when it is imported: a library of another version, a file gone
            return _of_package(package, error)
    return None


def _of_package(package: str, error: BaseException) -> dict[str, str]:
    return {"path": "", "module": package, "kind": "package", "why": reason(error)[1], "code": ""}


def _code(error: BaseException) -> str:
    """The line of model.py in which an exporter stopped."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.line or "" for f in reversed(frames) if Path(f.filename).name == "model.py"), "")


# ---- work ------------------------------------------------------------------------------------------------------------


def load_source(folder: Path) -> ModuleType:
    """The module `model.py` of a folder."""
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["model"] = module
    spec.loader.exec_module(module)
    return module


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One folder: format → None, or what was refused."""
    folder = Path(job["folder"])
    try:
        network = load_source(folder).load()
    except Exception:  # a source that does not load is for `reload.py` to tell, with its line
        return dict.fromkeys(job["formats"])
    given = [value for _, value in sorted(load_file(job["inputs"]).items())]
    operands = [torch.cat([value] * EXAMPLES)[: max(2, min(EXAMPLES, len(value)))].clone() for value in given]
    try:
        program = program_of(network, operands)
    except Exception as error:
        found = refusal(error, network, operands, program_of, job["suspects"])
        return {name: {**found, "exporter": "torch.export"} for name in job["formats"]}
    done: dict[str, Any] = {}
    broken = _broken(job["packages"].get("onnx", ()))
    if broken is not None:
        done["onnx"] = {**broken, "exporter": "torch.onnx"}
    elif "onnx" in job["formats"]:
        try:
            made = onnx_of(program, job["input_names"], job["output_names"])
            write_onnx(made, folder / "model.onnx")
            done["onnx"] = None
        except ImportError as error:  # packages that are there, and lack what torch.onnx takes from them
            package = (error.name or "").partition(".")[0] or "onnxscript"
            done["onnx"] = {**_of_package(package, error), "exporter": "torch.onnx"}
        except Exception as error:
            found = refusal(
                error, network, operands, lambda module, args: onnx_of(program_of(module, args)), job["suspects"]
            )
            done["onnx"] = {**found, "exporter": "torch.onnx"}
    if "pt2" in job["formats"]:
        write_program(program, folder / "model.pt2")
        done["pt2"] = None
    return done


def main() -> None:
    """Run every job of standard input."""
    torch.set_num_threads(int(sys.argv[1]))
    for job in json.load(sys.stdin):
        print("\nconverted: " + json.dumps(run(job)), flush=True)


if __name__ == "__main__":
    main()
