"""Run by a fresh Python: loads the forms of exported networks as their user will, and runs them on given inputs.

Reads a JSON list of `{"folder", "forms", "inputs", "results", "outputs", "seed"}` from standard input and the number of
threads from the command line. forms: 'source', 'pt2', 'onnx'. inputs: names of safetensors files, a batch each.
results: form → a file per batch, to which its outputs are written (`output:NAME`), and those of a second run
on the same inputs (`again:NAME`). outputs: names of the outputs, in order. Writes to
standard output a line `reloaded: JSON` per folder: form → null, or what went wrong. It knows nothing of the engine: an
export stands alone.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Runs = Callable[[Sequence[Tensor]], dict[str, Tensor]]


def source(folder: Path, place: int, outputs: Sequence[str]) -> Runs:
    """`model.py` with `weights.safetensors`."""
    spec = importlib.util.spec_from_file_location(f"exported_{place}", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    network = module.load()
    return lambda operands: _named(network(*operands))


def pt2(folder: Path, place: int, outputs: Sequence[str]) -> Runs:
    """`model.pt2`, without its source."""
    network = torch.export.load(folder / "model.pt2").module()
    return lambda operands: _named(network(*operands))


def onnx(folder: Path, place: int, outputs: Sequence[str]) -> Runs:
    """`model.onnx`, looked through by ONNX's checker, under onnxruntime."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(folder / "model.onnx", full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(operands: Sequence[Tensor]) -> dict[str, Tensor]:
        fed = {name: value.numpy() for name, value in zip(names, operands, strict=True)}
        results = [torch.from_numpy(value.copy()) for value in session.run(None, fed)]
        return {"": results[0]} if len(outputs) == 1 else dict(zip(outputs, results, strict=True))

    return run


FORMS: dict[str, Callable[[Path, int, Sequence[str]], Runs]] = {"source": source, "pt2": pt2, "onnx": onnx}


def _named(result: Any) -> dict[str, Tensor]:
    return result if isinstance(result, dict) else {"": result}


def run(job: dict[str, Any], form: str, place: int) -> None:
    """One form of a network: load, run each batch twice, write the outputs."""
    network = FORMS[form](Path(job["folder"]), place, job["outputs"])
    for batch, results in zip(job["inputs"], job["results"][form], strict=True):
        operands = [value for _, value in sorted(load_file(batch).items())]
        torch.manual_seed(job["seed"])
        found = {}
        for which in ("output", "again"):  # not seeded again: what draws numbers in eval mode shows itself
            with torch.no_grad():
                outputs = network([value.clone() for value in operands])
            found |= {f"{which}:{name}": value.contiguous().clone() for name, value in outputs.items()}
        save_file(found, results)


def main() -> None:
    """Run every job of standard input."""
    torch.set_num_threads(int(sys.argv[1]))
    for place, job in enumerate(json.load(sys.stdin)):
        troubles: dict[str, str | None] = {}
        for form in job["forms"]:
            try:
                run(job, form, place)
                troubles[form] = None
            except Exception as error:
                frames = traceback.extract_tb(error.__traceback__)
                line = next((frame.lineno for frame in reversed(frames) if frame.filename.endswith("model.py")), None)
                troubles[form] = f"{type(error).__name__}: {error}" + (f" (model.py, line {line})" if line else "")
        print("\nreloaded: " + json.dumps(troubles), flush=True)


if __name__ == "__main__":
    main()
