"""The text of `model.py`: a network as a person would write it, importing torch and the standard library only."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass

from nas.core.operations import find
from nas.core.table import Call
from results.export.classes import Chain, Class, Made, Member, classes_of
from results.export.copied import Copied, Sources
from results.export.forward import Forward, Run, variable
from results.export.naming import name_classes
from results.export.parameters import EMPTY, literal, type_of
from results.export.shapes import Shapes, legend
from results.export.style import Bracket, Expression, Text, call, signature, statement
from results.export.tree import Block, Ref, leaves

LOAD = '''
def load(path: str | Path = WEIGHTS) -> Network:
    """The network with its weights, in eval mode."""
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError("reading the weights needs the package safetensors: pip install safetensors") from error
    network = Network()
    network.load_state_dict(load_file(path))
    return network.eval()
'''
OWN = ("Network", "WEIGHTS", "load")
"""Names that every model.py has."""


@dataclass(frozen=True)
class Source:
    """The text of model.py. kept: modules beyond torch and the standard library that it imports, with the reason."""

    text: str
    kept: tuple[str, ...]


def source_of(root: Block, introduction: str) -> Source:
    """The source of a network, from the tree of its blocks. introduction: the text of the module's docstring.

    Raises: ExportError when a user's class cannot be found in its file.
    """
    copied = Sources(OWN).copy([item.what for item in leaves(root) if isinstance(item.what, Call)])
    classes = classes_of(root)
    name_classes(classes, copied.names)
    writer = _Writer(copied, classes)
    bodies = [writer.write(made) for made in classes]
    needed = [("pathlib", "Path"), *(("collections", "OrderedDict") for _ in range(writer.ordered)[:1])]
    needed += [("torch", "Tensor"), ("torch", "nn")]
    body = "\n\n".join([*(text.rstrip() + "\n" for text in copied.texts), *bodies, LOAD.lstrip("\n")])
    if re.search(r"\btorch\.", "".join(bodies)):
        needed.append(("torch", ""))
    head = copied.header(needed)
    words = f'"""{_safe(introduction.strip())}{legend("".join(bodies))}\n"""\n'
    constant = 'WEIGHTS = Path(__file__).with_name("weights.safetensors")\n'
    return Source(f"{words}\n{head}\n{constant}\n\n{body}", copied.kept)


def _safe(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")


class _Writer:
    def __init__(self, copied: Copied, classes: Sequence[Class]) -> None:
        self._copied = copied
        self._reserved = {*copied.names, *OWN, "torch", "nn", "math", "OrderedDict", "Path", "Tensor"}
        self._reserved |= {made.name for made in classes}
        self.ordered = 0

    def write(self, made: Class) -> str:
        """The source of one class."""
        chain = made.model.is_chain and made.name != "Network"
        shapes = Shapes(made)
        base = "nn.Sequential" if chain else "nn.Module"
        lines = [f"class {made.name}({base}):", *_docstring(made, shapes), ""]
        if made.members or made.parameters:
            lines += signature("__init__", ["self", *self._parameters(made)], "None", 4)
            lines += self._chain(made) if chain else self._submodules(made)
        if not chain:
            lines += [*([""] if made.members else []), *self._forward(made, shapes)]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _parameters(made: Class) -> list[str]:
        return [
            f"{p.name}: {type_of(p.column)}" + ("" if p.default is EMPTY else f" = {literal(p.default)}")
            for p in made.parameters
        ]

    # ---- __init__ ----------------------------------------------------------------------------------------------------

    def _chain(self, made: Class) -> list[str]:
        return statement("", call("super().__init__", self._ordered(made.members)), 8)

    def _submodules(self, made: Class) -> list[str]:
        lines = ["        super().__init__()"]
        values = [self._expression(member) for member in made.members]
        runs = {run.place: run for run in _runs([m.name for m in made.members], [v.flat for v in values], 4)}
        skip = -1
        for place, (member, value) in enumerate(zip(made.members, values, strict=True)):
            if place <= skip:
                continue
            run = runs.get(place)
            if run is None:
                lines += statement(f"self.{member.name} = ", value, 8)
                continue
            skip = place + run.last - run.first
            lines.append(f"        for i in {run.numbers}:")
            lines += statement("", call("self.add_module", f'f"{run.prefix}{{i}}"', value), 12)
        return lines

    def _expression(self, member: Member) -> Expression:
        if isinstance(member, Chain):
            return call("nn.Sequential", self._ordered(member.members))
        return self._made(member)

    def _made(self, made: Made) -> Expression:
        head = made.constructor.name if isinstance(made.constructor, Class) else self._copied.spelled(made.constructor)
        shown = [slot for slot in made.slots if not slot.omitted]
        pairs = [("" if slot.positional else f"{slot.argument}=", Text(slot.text or "")) for slot in shown]
        return Bracket(head, tuple(pairs))

    def _ordered(self, members: Sequence[Member]) -> Expression:
        """The `OrderedDict` of a chain; equal members in a row are made in a comprehension."""
        self.ordered = 1
        values = [self._expression(member) for member in members]
        runs = _runs([member.name for member in members], [value.flat for value in values], 3)
        if len(runs) == 1 and runs[0].last - runs[0].first + 1 == len(members):
            pair = f'(f"{runs[0].prefix}{{i}}", {values[0].flat}) for i in {runs[0].numbers}'
            return call("OrderedDict", Text(pair))
        pairs: list[tuple[str, Expression]] = []
        by_place = {run.place: run for run in runs}
        skip = -1
        for place, (member, value) in enumerate(zip(members, values, strict=True)):
            if place <= skip:
                continue
            run = by_place.get(place)
            if run is None:
                pairs.append((f"{member.name}=", value))
            else:
                skip = place + run.last - run.first
                pairs.append(("**", Text(f'{{f"{run.prefix}{{i}}": {value.flat} for i in {run.numbers}}}')))
        return Bracket("OrderedDict", tuple(pairs), open=len(pairs) > 1)

    # ---- forward -----------------------------------------------------------------------------------------------------

    def _forward(self, made: Class, shapes: Shapes) -> list[str]:
        block = made.model
        arguments = _arguments(block, self._reserved)
        several = len(block.outputs) > 1
        network = made.name == "Network"
        result = "Tensor" if block.outputs else "None"
        if several:
            hints = ", ".join("Tensor" for _ in block.outputs)
            result = "dict[str, Tensor]" if network else f"tuple[{hints}]"
        body = Forward(
            block, arguments, self._reserved, shapes.of, self._copied.spelled, _rows(block)
        ).lines(network and several)  # fmt: skip
        head = signature("forward", ["self", *(f"{name}: Tensor" for name in arguments)], result, 4)
        return head + (body or ["        return"])


def _arguments(block: Block, reserved: set[str]) -> list[str]:
    """Names of what `forward` takes: `x` for the one input of a block, else the user's words."""
    if len(block.inputs) == 1 and (block.path or block.inputs[0] in ("input", "x")):
        return ["x"]
    names: list[str] = []
    for name in map(variable, block.inputs):
        while name in names or name in reserved or name == "self":
            name += "_"
        names.append(name)
    return names


def _rows(block: Block) -> list[Run]:
    """Submodules in a row with counting names, each taking the one result of the one before, of one shape."""
    items = block.items
    uses = [ref for item in items for ref in item.operands] + [ref for _, ref in block.outputs]
    found: list[Run] = []
    start = 0
    for place in range(1, len(items) + 1):
        follows = (
            place < len(items)
            and items[place].is_module
            and items[place].operands == (Ref(place - 1),)
            and items[place - 1].is_module
            and len(items[place - 1].operands) == 1
            and items[place].shapes == items[place - 1].shapes
            and len(items[place].shapes) == 1
            and uses.count(Ref(place - 1)) == 1
        )
        if not follows:
            stretch = items[start:place]
            found += _runs([item.name for item in stretch], [""] * len(stretch), 4, start)
            start = place
    return found


def _runs(names: Sequence[str], values: Sequence[str], least: int, offset: int = 0) -> list[Run]:
    """Stretches of at least `least` equal values whose names are one word with counting numbers."""
    found: list[Run] = []
    start = 0
    for place in range(1, len(names) + 1):
        if place < len(names) and values[place] == values[start] and _number(names[place], names[place - 1]):
            continue
        if place - start >= least:
            prefix, first = _numbered(names[start])
            found.append(Run(prefix, first, first + place - start - 1, start + offset))
        start = place
    return found


def _numbered(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(0|[1-9]\d*)", name)
    return (match[1], int(match[2])) if match else (name, -1)


def _number(name: str, before: str) -> bool:
    word, number = _numbered(name)
    previous, last = _numbered(before)
    return word == previous and last >= 0 and number == last + 1


# ---- words -----------------------------------------------------------------------------------------------------------

_WORDS = {
    "Conv2d": "convolution", "BatchNorm2d": "batch norm", "BatchNorm1d": "batch norm", "LayerNorm": "layer norm",
    "GroupNorm": "group norm", "Linear": "linear layer", "AdaptiveAvgPool2d": "global average pooling",
    "AvgPool2d": "average pooling", "MaxPool2d": "max pooling", "Flatten": "flattening", "Dropout": "dropout",
    "Embedding": "embedding", "Position": "learned positions", "LengthMean": "mean over the length",
    "ToSequence": "pixels as a sequence", "Upsample": "upsampling",
}  # fmt: skip


def _docstring(made: Class, shapes: Shapes) -> list[str]:
    what, where = _description(made), shapes.sentence()
    if len(what) + len(where) + 12 <= 118:
        return [f'    """{_safe(what)}{", " if where else ""}{where}."""']
    return [f'    """{_safe(what)}.', "", f"    {where[:1].upper()}{where[1:]}.", '    """']


def _description(made: Class) -> str:
    model = made.model
    if made.name == "Network":
        return "The network"
    if model.is_plain:
        layers = [item.what.target.partition(".")[2] for item in model.items if isinstance(item.what, Call)]
        text = ", ".join(_WORDS.get(layer, layer) for layer in layers)
        return text[:1].upper() + text[1:]
    operations = {block.operation for block in made.blocks}
    if len(operations) == 1 and None not in operations and not model.fused:
        words = inspect.getdoc(find(next(iter(operations)) or "").function) or ""
        text = re.split(r"[.;:](?:\s|$)|, \(", words)[0].replace("×", "x").strip()
        if text:
            return text
    if None in operations and model.owner:
        return f"The {model.title} of {'an' if model.owner[0] in 'aeio' else 'a'} {model.owner}"
    place = model.path.replace(".", "/")
    others = len(made.blocks) - 1
    return f"The part at {place}" + (f" and {others} more place{'s' if others > 1 else ''}" if others else "")
