"""What an exporter cannot express, in the words of the person whose network it is."""

from __future__ import annotations

from collections.abc import Mapping

from nas.core.graph import Graph
from nas.core.lower import lower
from nas.core.profile import InputSpec
from results.export.formats import FORMATS, INSTALL
from results.export.tree import Block, leaves

INSTEAD = {
    "values": "compute both and choose with torch.where, or use torch.cond",
    "batch": "take the number of examples from x.shape[0], and let torch loop over them, not Python",
    "operator": "model.pt2 can hold it (--formats pt2), or compute it from other operations",
    "other": "write it with torch operations on tensors of fixed rank",
}
"""What works, by the kind of refusal."""
SOURCE = "model.py with its weights runs as it is (--formats none)"


def sentences(
    refused: Mapping[str, Mapping[str, str]], graph: Graph, inputs: Mapping[str, InputSpec], root: Block
) -> dict[str, str]:
    """Format → which part it cannot express, why, and what works instead; formats with one reason share a sentence.

    refused: format → what `results.export.convert` said: `path` of the module, `why`, its `kind`, the line of `code`.
    """
    together: dict[str, list[str]] = {}
    for name, found in refused.items():
        together.setdefault(_sentence(found, graph, inputs, root), []).append(name)
    return {
        name: f"{' and '.join(FORMATS[one].file for one in names)}: {text}"
        for text, names in together.items()
        for name in names
    }


def _sentence(found: Mapping[str, str], graph: Graph, inputs: Mapping[str, InputSpec], root: Block) -> str:
    if found["kind"] == "package":
        again = f"pip uninstall -y {found['module']}; {INSTALL}"
        return f"{found['module']} is installed and cannot be imported ({found['why']}); install it again: {again}"
    at = named(found["path"], found["module"], graph, inputs, root) if found["path"] else "the network as a whole"
    line = f", in `{found['code'][:80]}`" if found["code"] else ""
    instead = f"{INSTEAD[found['kind']]}; {SOURCE}"
    return f"{found['exporter']} cannot express {at}: {found['why']}{line}. Instead: {instead}"


def named(path: str, module: str, graph: Graph, inputs: Mapping[str, InputSpec], root: Block) -> str:
    """A part as the user knows it: its address, and the class of what stands there. module: the class if torch's."""
    return f"{address(path, graph, inputs)} ({_what(path, module, root)})"


def address(path: str, graph: Graph, inputs: Mapping[str, InputSpec]) -> str:
    """A module's path in the user's own names, `stage/1st-one` for `stage._1st_one`; inside their classes as it is."""
    if not path:
        return ""
    parts = path.split(".")
    best: tuple[int, str] = (0, path.replace(".", "/"))
    for step in lower(graph, inputs).steps:
        own, names = step.path.split("."), step.site.split("/")
        same = next((i for i, (a, b) in enumerate(zip(own, parts, strict=False)) if a != b), min(len(own), len(parts)))
        if same > best[0] and len(own) == len(names):
            best = same, "/".join([*names[:same], *parts[same:]])
    return best[1]


def _what(path: str, module: str, root: Block) -> str:
    """What stands at a path: a user's class by its name, an operation by its own."""
    for item in leaves(root):
        if item.path == path and item.what.target == "user":  # type: ignore[union-attr]
            return f"class {item.what.args[0].rpartition(':')[2]}"  # type: ignore[union-attr]
    return f"class {module}"
