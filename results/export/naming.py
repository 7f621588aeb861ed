"""Names of the classes in a network's source: what a person would call them, each once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from nas.core.lower import identifier
from nas.core.table import Call
from results.export.classes import Class
from results.export.tree import Block, Item, Ref

SPELLED = {"mbconv": "MBConv", "mlp": "MLP", "nb201": "NB201", "nb101": "NB101"}
"""Words that are not written with one capital."""

LAYERS = {
    "Conv2d": "Conv", "BatchNorm2d": "Norm", "BatchNorm1d": "Norm", "LayerNorm": "Norm", "GroupNorm": "Norm",
    "MaxPool2d": "MaxPool", "AvgPool2d": "AvgPool", "AdaptiveAvgPool2d": "Pool", "SqueezeExcite": "SE",
}  # fmt: skip
"""Short names of layers."""

VAGUE = frozenset(("Left", "Right", "First", "Second", "Third", "Body", "Part", "Branch", "Merge", "Short"))
"""Words that say nothing of what a block does."""

_FUNCTIONS = {"operator.add": "Sum", "operator.mul": "Product", "torch.maximum": "Max", "torch.cat": "Concat"}
_WEIGHTS = ("nn.Conv2d", "nn.Linear")
_AROUND = re.compile(r"nn\.(\w*Norm\w*|\w*ReLU\w*|GELU|SiLU|Hardswish|ELU|Tanh|Sigmoid|Hardsigmoid|Dropout)")


def name_classes(classes: Sequence[Class], taken: Collection[str]) -> None:
    """Give every class a name; the last one is `Network`. No name is in `taken`."""
    used = {*taken, "Network"}
    classes[-1].name = "Network"
    groups: dict[str, list[Class]] = {}
    for made in classes[:-1]:
        groups.setdefault(_base(made.blocks), []).append(made)
    for base, group in groups.items():
        for made, names in zip(group, _candidates(base, group), strict=True):
            made.name = next(name for name in names if name not in used)
            used.add(made.name)


def _base(blocks: Sequence[Block]) -> str:
    """What the blocks of a class are called: their layers, their operation, or the user's name for them."""
    first = blocks[0]
    titles = Counter(block.title for block in blocks)
    if first.is_plain and (len(titles) > 1 or 2 * sum(block.operation is not None for block in blocks) > len(blocks)):
        layers = [item.what.target for item in first.items if isinstance(item.what, Call)]
        weights = [layer for layer in layers if layer in _WEIGHTS]
        if len(weights) == 1 and all(_AROUND.fullmatch(layer) for layer in layers if layer not in _WEIGHTS):
            return "".join(_token(first, item) for item in first.items)
    if len(blocks) > 1 and first.operation is None:
        titles = Counter(re.sub(r"[-_.]?\d+$", "", block.title) or block.title for block in blocks)
    name = camel(titles.most_common(1)[0][0])
    return camel(first.owner) + name if first.operation is None and first.owner else name


def _candidates(base: str, group: Sequence[Class]) -> list[list[str]]:
    """Names for each class of a group, best first: the bare one, what it has that others lack, where it stands."""
    shallow, deep = (_tails([Counter(_tokens(made.model, inside)) for made in group]) for inside in (False, True))
    found = []
    for made, *tails in zip(group, shallow, deep, strict=True):
        names = [base + tail for tail in tails if tail is not None][:1]
        names += [f"{base}Block"] if len(group) == 1 else []
        places = _places(made.model)
        vague = made.model.operation is None and (base[-1].isdigit() or base in VAGUE)
        if len(made.blocks) > 1 or vague:
            places = places[1:] or places
        if vague:
            tokens = _tokens(made.model, inside=False)
            names = ["".join(tokens) if len(tokens) <= 3 else "Block"] if len(made.blocks) > 1 else []
        names += places if made.model.operation is None else [place + base for place in places]
        names += [f"{base}{number}" for number in range(1, len(group) + 2)]
        names += [f"{base}Block{number}" for number in range(2, 10_000)]
        found.append(names)
    return found


def _tails(tokens: Sequence[Counter[str]]) -> list[str | None]:
    """What tells each class from the others of its group, in at most two words; None for all where that is unclear."""
    common = tokens[0].copy()
    for more in tokens:
        common &= more
    tails = ["".join(dict.fromkeys((own - common).elements())) for own in tokens]
    short = all(len(set((own - common).elements())) <= 2 for own in tokens)
    return list(tails) if short and len(set(tails)) == len(tails) else [None] * len(tails)


def _places(block: Block) -> list[str]:
    """Names from where a block stands: its own word, with the word around it, and so on; `blocks` of `block1` is left
    out.
    """
    words = block.path.split(".")
    said = [
        word for word, inner in zip(words, [*words[1:], ""], strict=True) if word != inner.rstrip("0123456789") + "s"
    ]
    return ["".join(map(camel, said[-depth:])) for depth in range(1, len(said) + 1)]


def _tokens(block: Block, inside: bool) -> list[str]:
    """One word per step. inside: operations are looked into as well."""
    found: list[str] = []
    for item in block.items:
        named = not isinstance(item.what, Block) or item.what.operation is not None or not item.what.owner
        found += [_token(block, item)] if named else []
        if isinstance(item.what, Block) and (inside or item.what.operation is None):
            found += _tokens(item.what, inside)
    return found


def _token(block: Block, item: Item) -> str:
    """One word for a step of a block."""
    if isinstance(item.what, Block):
        return LAYERS.get(camel(item.what.title), camel(item.what.title))
    target = item.what.target
    if target == "operator.add" and Ref(-1) in item.operands:
        return "Residual"
    if not item.is_module:
        return _FUNCTIONS.get(target, camel(target.partition(".")[2]))
    if target == "user":
        return camel(item.what.args[0].rpartition(":")[2].rpartition(".")[2])
    layer = target.partition(".")[2]
    return LAYERS.get(layer, layer)


def camel(name: str) -> str:
    """A name as a class is written.

    >>> camel("squeeze_excite"), camel("mbconv"), camel("path-A"), camel("1x1")
    ('SqueezeExcite', 'MBConv', 'PathA', 'Block1x1')
    """
    words = [word for word in re.split(r"[\W_]+", identifier(name)) if word]
    text = "".join(SPELLED.get(word, word[:1].upper() + word[1:]) for word in words)
    return text if text[:1].isalpha() else f"Block{text}"
