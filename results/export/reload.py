"""Run by a fresh Python: loads exported folders as their user will, and runs them on given inputs.

Reads a JSON list of `{"folder", "inputs", "outputs", "seed"}` from standard input (the last two name safetensors files)
and the number of threads from the command line; writes what each network gave to `outputs`, and to standard output a
line `reloaded: JSON` per folder: null, or what went wrong. It knows nothing of the engine: an export stands alone.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def run(job: dict[str, Any], place: int) -> None:
    """One folder: load, run, write the outputs."""
    spec = importlib.util.spec_from_file_location(f"exported_{place}", Path(job["folder"]) / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    network = module.load()
    operands = [value.clone() for _, value in sorted(load_file(job["inputs"]).items())]
    torch.manual_seed(job["seed"])
    with torch.no_grad():
        result = network(*operands)
    outputs = result if isinstance(result, dict) else {"": result}
    save_file({f"output:{name}": value.contiguous().clone() for name, value in outputs.items()}, job["outputs"])


def main() -> None:
    """Run every job of standard input."""
    torch.set_num_threads(int(sys.argv[1]))
    for place, job in enumerate(json.load(sys.stdin)):
        trouble = None
        try:
            run(job, place)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            line = next((frame.lineno for frame in reversed(frames) if frame.filename.endswith("model.py")), None)
            trouble = f"{type(error).__name__}: {error}" + (f" (model.py, line {line})" if line else "")
        print("\nreloaded: " + json.dumps(trouble), flush=True)


if __name__ == "__main__":
    main()
