"""What is written about an exported network: its architecture as JSON, and words for its docstring and README.

The caller's `about` may hold anything that JSON can. Known keys: `title`, `space`, `trial` and `run` say where it comes
from, `again` with which command, `decisions` (address → option) and `metrics` (name → number) what it is, `units`
(name → unit) in which metrics are whose names do not tell, `data` (`name`, `class_names`, `normalisation` with `mean`
and `std`) what it was trained on, `fused` what was fused of it and `fused_cost` (`params`, `macs`) what it costs since.
"""

from __future__ import annotations

import json
import platform
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from nas.core.errors import ExportError, GraphError
from nas.core.graph import Graph
from nas.core.lower import identifier
from nas.core.profile import InputSpec, profile
from nas.core.values import thaw
from results.units import written

ARCHITECTURE = "architecture.json"
FORMAT = 1
"""Version of the layout of architecture.json."""
WIDTH = 120


@dataclass(frozen=True)
class Architecture:
    """What architecture.json holds. about: the caller's words, `decisions` and `metrics` among them.

    trained: whether the weights were given; else they are those with which torch starts. proofs: how far each form is
    from the built module, as `results.export.proof.Proof.to_dict` has it. examples: on which inputs that was seen.
    """

    graph: Graph
    inputs: Mapping[str, InputSpec]
    about: Mapping[str, Any]
    versions: Mapping[str, str]
    max_abs_difference: float | None = None
    trained: bool = True
    proofs: tuple[Mapping[str, Any], ...] = ()
    examples: str = ""


def check(about: Mapping[str, Any]) -> dict[str, Any]:
    """`about` as JSON values. Raises ExportError naming the key whose value JSON cannot hold."""
    found: dict[str, Any] = {}
    for name, value in about.items():
        if name in ("decisions", "metrics", "units") and not isinstance(value, Mapping):
            raise ExportError(f"about[{name!r}] is {value!r}; expected a mapping")
        value = {key: thaw(inner) for key, inner in value.items()} if isinstance(value, Mapping) else thaw(value)
        try:
            found[str(name)] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ExportError(f"about[{name!r}] cannot be written as JSON: {error}") from None
    return found


def versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Versions of what made the export. more: packages that had a part in it."""
    found = {"python": platform.python_version()}
    for name in ("espalier-nas", "torch", "safetensors", *more):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def to_json(architecture: Architecture) -> str:
    """The text of architecture.json."""
    rest = {name: value for name, value in architecture.about.items() if name not in ("decisions", "metrics")}
    data = {
        "format": FORMAT,
        "about": rest,
        "metrics": architecture.about.get("metrics", {}),
        "decisions": architecture.about.get("decisions", {}),
        "inputs": {
            name: {"shape": list(spec.shape), "dtype": spec.dtype, "vocabulary": spec.vocabulary}
            for name, spec in architecture.inputs.items()
        },
        "graph": architecture.graph.to_dict(),
        "trained": architecture.trained,
        "max_abs_difference": architecture.max_abs_difference,
        "proofs": [dict(proof) for proof in architecture.proofs],
        "examples": architecture.examples,
        "versions": dict(architecture.versions),
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read(folder: Path | str) -> Architecture:
    """The architecture of an exported folder. Raises ExportError when its file is missing, damaged or newer."""
    path = Path(folder) / ARCHITECTURE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExportError(f"{folder} holds no {ARCHITECTURE}; expected a folder that `nas export` wrote") from None
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error
    version = data.get("format") if isinstance(data, dict) else None
    if not isinstance(version, int):
        held = "names no format" if isinstance(data, dict) else f"holds a {type(data).__name__}, not a mapping"
        raise ExportError(f"{path} is damaged: it {held}; export the network again")
    if version > FORMAT:
        raise ExportError(f"{path} has the format {version!r}; this version reads up to {FORMAT}; update espalier-nas")
    try:
        inputs = {
            name: InputSpec(tuple(row["shape"]), row["dtype"], row["vocabulary"])
            for name, row in data["inputs"].items()
        }
        about = {**data["about"], "metrics": data["metrics"], "decisions": data["decisions"]}
        graph = Graph.from_dict(data["graph"])
        proofs, examples = tuple(data.get("proofs", ())), data.get("examples", "")  # exports before these were written
        known = data["versions"], data["max_abs_difference"], data["trained"]
        return Architecture(graph, inputs, about, *known, proofs, examples)
    except (KeyError, TypeError, AttributeError, GraphError) as error:
        raise ExportError(f"{path} is damaged: {type(error).__name__}: {error}") from error


# ---- words -----------------------------------------------------------------------------------------------------------


def title(about: Mapping[str, Any]) -> str:
    """One line: what the network is and where it comes from."""
    name = str(about.get("title") or "A network")
    places = [f"{word} {about[word]}" for word in ("space", "run", "trial") if about.get(word) not in (None, "")]
    return _line(f"{name} found by Espalier" + (f" ({', '.join(places)})" if places else ""))


def facts(architecture: Architecture) -> list[tuple[str, str]]:
    """Rows (word, value): inputs, outputs, costs, metrics."""
    costs = profile(architecture.graph, architecture.inputs)
    rows = [("Input", f"{name} {_shape(spec.shape)} {spec.dtype}") for name, spec in architecture.inputs.items()]
    several = len(costs.outputs) > 1
    rows += [
        ("Output", f"{name} {_shape(shape)}" if several else _shape(shape)) for name, shape in costs.outputs.items()
    ]
    fused, now = architecture.about.get("fused"), architecture.about.get("fused_cost")
    params, macs = (now["params"], now["macs"]) if now else (costs.params, costs.macs)
    before = f"; in the search {costs.params:,} and {costs.macs:,}" if now else ""
    rows.append(("Cost", f"{params:,} parameters, {macs:,} multiply-adds for one input{before}"))
    if fused:
        rows.append(("Fused", f"{fused}; for use, not for more training" if now else str(fused)))
    known = {"params": costs.params, "macs": costs.macs}
    shown = {n: v for n, v in dict(architecture.about.get("metrics", {})).items() if known.get(n) != v}
    rows += _preparation(architecture.about.get("data"))
    if not architecture.trained:
        rows.append(("Weights", "untrained, as torch starts them"))
    if shown:
        word = "Metrics" if architecture.trained else "Metrics of the search, not of these weights"
        units = architecture.about.get("units", {})
        rows.append((word, ", ".join(f"{name} {_metric(name, value, units)}" for name, value in shown.items())))
    return rows


def _preparation(data: Any) -> list[tuple[str, str]]:
    """What the network was trained on, and what has to be done to an input first."""
    if not isinstance(data, Mapping):
        return []
    rows = [("Data", str(data["name"]))] if data.get("name") else []
    numbers = data.get("normalisation")
    if isinstance(numbers, Mapping) and numbers.get("mean") and numbers.get("std"):
        mean, std = (", ".join(f"{value:.6g}" for value in numbers[word]) for word in ("mean", "std"))
        if len(numbers["mean"]) > 4:
            mean, std = "the mean", "the deviation given in architecture.json"
        rows.append(("Feed", f"inputs minus {mean}, divided by {std}, as in training"))
    return rows


def introduction(architecture: Architecture) -> str:
    """The docstring of model.py."""
    rows = facts(architecture)
    lines = [f"{title(architecture.about)}.", ""]
    for word, value in rows:
        lines += textwrap.wrap(f"{word + ':':8} {value}", WIDTH, subsequent_indent=" " * 9)
    decisions = dict(architecture.about.get("decisions", {}))
    if decisions:
        wide = min(max(map(len, decisions)), 60)
        lines += ["", "Decisions:", *(_line(f"    {name:{wide}}  {_option(v)}") for name, v in decisions.items())]
    return "\n".join(line.rstrip() for line in lines)


def readme(architecture: Architecture, files: Mapping[str, str], formats: Mapping[str, str]) -> str:
    """README.md: what it is, a line of use for each form, what each file is.

    formats: name → file of what was written beside the source ('pt2', 'onnx').
    """
    names = inputs_in_words(architecture.inputs)
    drawn = [f"{name} = {_example(spec)}" for name, spec in zip(names, architecture.inputs.values(), strict=True)]
    drawn[0] += "  # any number of examples"
    fed = ", ".join(names)
    imports = [*(["import onnxruntime"] if "onnx" in formats else []), "import torch", "from model import load"]
    lines = ["# model.py, in eval mode, with its weights: torch and safetensors", f"result = load()({fed})"]
    if "pt2" in formats:
        program = f'torch.export.load("{formats["pt2"]}").module()'
        lines += ["# without its source: torch alone", f"result = {program}({fed})"]
    if "onnx" in formats:
        given = ", ".join(f'"{name}": {name}.numpy()' for name in names)
        session = f'onnxruntime.InferenceSession("{formats["onnx"]}")'
        lines += ["# without torch, which only drew the inputs", f"results = {session}.run(None, {{{given}}})"]
    code = [*imports, "", *drawn, "", *lines]
    rows = "\n".join(f"- {word}: {value}" for word, value in facts(architecture))
    listed = "\n".join(f"- `{name}`: {what}" for name, what in files.items())
    parts = [f"# {title(architecture.about)}", rows, "```python\n" + "\n".join(code) + "\n```", listed]
    again = architecture.about.get("again")
    if again and len(formats) < 2:
        parts.append(f"`{again}` also writes what is not here: a `torch.export` program and ONNX.")
    return "\n\n".join(parts) + "\n"


def inputs_in_words(names: Iterable[str]) -> list[str]:
    """Names of inputs as the forms of a network have them: Python identifiers, all different, none of a keyword."""
    found: list[str] = []
    for name in names:
        word = identifier(name)
        while word in found or word in ("load", "torch", "result", "results", "onnxruntime"):
            word += "_"
        found.append(word)
    return found


def _example(spec: InputSpec) -> str:
    sizes = ", ".join(map(str, (8, *spec.shape)))
    if spec.dtype == "int64":
        return f"torch.randint({spec.vocabulary or 2}, ({sizes}))"
    return f"torch.randn({sizes})"


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['N', *map(str, shape)])})"


def _metric(name: str, value: Any, units: Mapping[str, str]) -> str:
    return written(name, value, units) if isinstance(value, int | float) else str(value)


def _option(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


def _line(text: str) -> str:
    """A text as one line of a docstring; what is too long is cut, architecture.json has it whole."""
    text = re.sub(r"\s*[\r\n]+\s*", " ", text)
    return text if len(text) <= WIDTH - 8 else text[: WIDTH - 10] + " …"
