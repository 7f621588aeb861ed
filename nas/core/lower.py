"""A graph as a flat list of layers: what building, exporting and drawing the inside of blocks have in common.

Names on the way become one dotted path per layer (`stage1.block2.depthwise.conv`), each part a Python identifier.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nas.core.errors import ShapeError
from nas.core.graph import Graph
from nas.core.profile import InputSpec, expand
from nas.core.table import Call, Layer, Shape


@dataclass(frozen=True)
class Step:
    """One layer: its path, its torch call, the paths (or input names) of its operands, its output's shape."""

    path: str
    call: Call
    operands: tuple[str, ...]
    shape: Shape


@dataclass(frozen=True)
class Lowered:
    """All layers in order. outputs: output name → path."""

    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, str], ...]


_MEMBERS = """
T_destination add_module add_submodule append apply bfloat16 buffers call_super_init children code compile cpu
cuda delete_all_unused_submodules delete_submodule double dump_patches eval extend extra_repr float forward
get_buffer get_extra_state get_parameter get_submodule graph half insert ipu load_state_dict meta modules mtia
named_buffers named_children named_modules named_parameters parameters pop print_readable recompile
register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule shape_env share_memory state_dict to
to_empty to_folder train training type xpu zero_grad
"""
TAKEN = frozenset(_MEMBERS.split()) | {"self"}
"""What every module has already, so that no submodule (and no argument of its forward) can be called so."""


def identifier(name: str) -> str:
    """A name as a Python identifier that a submodule can have.

    >>> identifier("conv-3x3"), identifier("1"), identifier("class"), identifier("train")
    ('conv_3x3', '_1', 'class_', 'train_')
    """
    text = re.sub(r"\W", "_", name)
    hidden = text.startswith("_")
    text = f"_{text}" if text[:1].isdigit() else text
    return f"{text}_" if hidden or keyword.iskeyword(text) or text in TAKEN else text


def lower(graph: Graph, inputs: Mapping[str, InputSpec]) -> Lowered:
    """The layers of a graph. Identities are resolved. Raises ShapeError."""
    steps: list[Step] = []
    taken: set[str] = set()
    names = tuple(_free(identifier(name), taken) for name in graph.inputs)
    shapes = tuple(inputs[name].shape for name in graph.inputs)
    outputs = _lower(graph, tuple(zip(names, shapes, strict=True)), "", steps, taken)
    return Lowered(names, tuple(steps), tuple((name, outputs[name][0]) for name in graph.output_names))


_Value = tuple[str, Shape]
"""A path and the shape of what it holds."""


def _lower(
    graph: Graph, operands: tuple[_Value, ...], prefix: str, steps: list[Step], taken: set[str]
) -> dict[str, _Value]:
    place: dict[str, _Value] = dict(zip(graph.inputs, operands, strict=True))
    for node in graph.nodes:
        given = tuple(place[ref] for ref in node.inputs)
        path = _free(prefix + identifier(node.name), taken)
        if isinstance(node.op, str):
            try:
                made = expand(node.op, node.attributes, tuple(shape for _, shape in given))
            except ShapeError as error:
                raise ShapeError(f"{path} → {error}") from None
        else:
            made = node.op
        if isinstance(made, Layer):
            place[node.name] = _step(made, path, given, steps)
            continue
        inner = _lower(made, given, f"{path}.", steps, taken)
        place[node.name] = next(iter(inner.values()))
        place.update({f"{node.name}:{output}": value for output, value in inner.items()})
    return {name: place[ref] for name, ref in graph.outputs}


def _step(layer: Layer, path: str, given: tuple[_Value, ...], steps: list[Step]) -> _Value:
    if layer.call.target == "nn.Identity" or (layer.call.operands == "fold" and len(given) == 1):
        return given[0][0], layer.shape
    steps.append(Step(path, layer.call, tuple(name for name, _ in given), layer.shape))
    return path, layer.shape


def _free(path: str, taken: set[str]) -> str:
    while path in taken:
        path += "_"
    taken.add(path)
    return path
