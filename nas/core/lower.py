"""A graph as a flat list of layers: what building, exporting and drawing the inside of blocks have in common.

Names on the way become one dotted path per layer (`stage1.block2.depthwise.conv`), each part a Python identifier.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nas.core.errors import ShapeError
from nas.core.graph import Graph
from nas.core.profile import InputSpec, expand
from nas.core.table import Call, Layer, Shape
from nas.core.walk import BARE, Place


@dataclass(frozen=True)
class Step:
    """One layer: its path, its torch call, the paths (or input names) of its operands, its output's shape.

    site: its place in the space: the names of its nodes and of the options taken on the way, joined by '/'. labels: the
    names of the operands where they are used, from outside the block if they come from there. alone: for each operand,
    which of several paths it is where it is the only one taken, or ''.
    """

    path: str
    call: Call
    operands: tuple[str, ...]
    shape: Shape
    site: str = ""
    labels: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()


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


def lower(graph: Graph, inputs: Mapping[str, InputSpec], taken: Mapping[str, Place] | None = None) -> Lowered:
    """The layers of a graph. Identities are resolved.

    taken: address of a node → what stands there without a node of its own (`nas.core.walk.places`).

    Raises: ShapeError.
    """
    names: set[str] = set()
    heads = tuple(_free(identifier(name), names) for name in graph.inputs)
    operands = tuple(_Value(head, inputs[name].shape, name) for head, name in zip(heads, graph.inputs, strict=True))
    maker = _Lowering([], names, taken or {})
    outputs = maker.graph(graph, operands, "", "", "/".join((taken or {}).get("", BARE).options))
    return Lowered(heads, tuple(maker.steps), tuple((name, outputs[name].path) for name in graph.output_names))


class _Value(NamedTuple):
    """What holds a value: its path, its shape, what it is called where it is used, and which path it is alone."""

    path: str
    shape: Shape
    label: str
    alone: str = ""


@dataclass
class _Lowering:
    steps: list[Step]
    names: set[str]
    taken: Mapping[str, Place]

    def graph(
        self, graph: Graph, operands: tuple[_Value, ...], prefix: str, address: str, site: str
    ) -> dict[str, _Value]:
        """The values of a graph's outputs; its layers are added."""
        place: dict[str, _Value] = dict(zip(graph.inputs, operands, strict=True))
        for node in graph.nodes:
            given = tuple(place[ref] for ref in node.inputs)
            path = _free(prefix + identifier(node.name), self.names)
            here = f"{address}/{node.name}" if address else node.name
            taken = self.taken.get(here, BARE)
            at = "/".join((*([site] if site else []), node.name, *taken.options))
            if isinstance(node.op, str):
                try:
                    made = expand(node.op, node.attributes, tuple(value.shape for value in given))
                except ShapeError as error:
                    raise ShapeError(f"{path} → {error}") from None
            else:
                made = node.op
            if isinstance(made, Layer):
                place[node.name] = self.layer(made, path, at, given, node.name, taken.alone)
                continue
            if made is node.op:  # a graph of the user's calls its inputs its own way; an operation's block does not
                given = tuple(v._replace(label=name) for v, name in zip(given, made.inputs, strict=True))
            inner = self.graph(made, given, f"{path}.", here, at)
            place[node.name] = next(iter(inner.values()))._replace(label=node.name, alone=taken.alone)
            place.update(
                {
                    f"{node.name}:{output}": value._replace(label=f"{node.name}:{output}")
                    for output, value in inner.items()
                }
            )
        return {name: place[ref] for name, ref in graph.outputs}

    def layer(
        self, layer: Layer, path: str, site: str, given: tuple[_Value, ...], label: str, alone_here: str
    ) -> _Value:
        """The value of a layer: of a new step, or its operand where the layer changes nothing."""
        if layer.call.target == "nn.Identity" or (layer.call.operands == "fold" and len(given) == 1):
            return _Value(given[0].path, layer.shape, label, alone_here)
        names, labels = tuple(value.path for value in given), tuple(value.label for value in given)
        alone = tuple(value.alone for value in given)
        self.steps.append(Step(path, layer.call, names, layer.shape, site, labels, alone))
        return _Value(path, layer.shape, label, alone_here)


def _free(path: str, taken: set[str]) -> str:
    while path in taken:
        path += "_"
    taken.add(path)
    return path
