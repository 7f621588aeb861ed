"""What a drawing writes on a node: the operation as people say it, its attributes short, and how wide a text is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.core.errors import GraphError
from nas.core.graph import Node
from nas.core.operations import find
from nas.core.table import Operation

TITLE, DETAIL = 12.0, 10.5
"""Font sizes in px."""

LONGEST = 150.0
"""Most px that a line of details takes before it is broken."""

MERGES = ("add", "concat", "mean", "mul", "max", "join", "gate")
"""Operations whose work is to bring several operands together; they are drawn round."""

FAMILIES = (
    ("pass", ("identity", "zero", "skip")),
    ("pool", ("pool", "downsample", "subsample", "upsample", "resize", "reduce")),
    ("conv", ("conv", "separable", "depthwise", "residual", "stem", "patches", "project", "squeeze")),
    ("attend", ("attention", "attend", "transformer", "position")),
    ("dense", ("linear", "dense", "mlp", "head", "embedding", "tokens")),
)
"""Family of operations → what the names of its members hold. It only picks a colour; the text says what a node is."""

_WIDE = {"narrow": 0.34, "wide": 0.99, "upper": 0.72, "space": 0.32}
_NARROW = set("iljtfrI.,:;'|!()[]/\\ -")


def width(text: str, size: float, *, bold: bool = False) -> float:
    """How many px `text` takes at most, in the widest of the usual sans-serif fonts (DejaVu Sans, Verdana)."""
    em = 0.0
    for char in text:
        if char == " ":
            em += _WIDE["space"]
        elif char in _NARROW:
            em += _WIDE["narrow"] + (0.08 if char in "rt-" else 0.0)
        elif char in "mwMW@%×+=→…" or ord(char) > 0x2E80:
            em += _WIDE["wide"]
        elif char.isupper():
            em += _WIDE["upper"]
        else:
            em += 0.64
    return em * size * (1.12 if bold else 1.0)


def family(op: str) -> str:
    """The family of an operation, by its name; 'merge', or 'other' for one that is nobody's."""
    if op in MERGES or ":" in op:
        return "merge" if op in MERGES else "other"
    return next((name for name, parts in FAMILIES if any(part in op for part in parts)), "other")


def title(node: Node, *, kernel_open: bool = False) -> str:
    """The operation in a word or two: `conv 3×3`, or the class name of a user's own module.

    kernel_open: the kernel is not decided yet, so it is not part of the name.
    """
    op = str(node.op)
    if ":" in op:
        return shorten(op.rpartition(":")[2].rpartition(".")[2], 24)
    kernel = _value(node, "kernel") if not kernel_open else None
    words = op.replace("_", " ")
    return shorten(words if kernel is None else f"{words} {times(kernel)}", 28)


def details(node: Node, shape: tuple[int, ...] | None = None) -> list[str]:
    """The attributes that say something, short: those at their defaults say nothing.

    shape: the shape of the output, to be told in place of the width.
    """
    operation = _operation(node)
    said = []
    for name, value in node.attributes.items():
        default = operation.attributes[name].default if operation and name in operation.attributes else ...
        if name == "kernel" or (shape and name == "width") or (value == default and type(value) is type(default)):
            continue
        said.append(_attribute(name, value))
    if shape is not None:
        said.append(f"→ {times(shape)}")
    return lines([text for text in said if text])


def lines(parts: Sequence[str]) -> list[str]:
    """Parts joined by dots into as few lines as fit in LONGEST."""
    found: list[str] = []
    for part in parts:
        joined = f"{found[-1]} · {part}" if found else part
        if found and width(joined, DETAIL) <= LONGEST:
            found[-1] = joined
        else:
            found.append(part)
    return found


def everything(node: Node) -> str:
    """What a tooltip says behind the address: operation, all attributes, operands in order."""
    given = ", ".join(f"{name}={value!r}" for name, value in node.attributes.items())
    return f" = {node.title}({given}) of {', '.join(node.inputs)}"


def shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _operation(node: Node) -> Operation | None:
    """The table's entry; None for an operation that is not in it, which can still be drawn."""
    if not isinstance(node.op, str) or ":" in node.op:
        return None
    try:
        return find(node.op)
    except GraphError:
        return None


def _value(node: Node, name: str) -> Any:
    """An attribute, or the value that the table gives when it is left out; None where there is neither."""
    if name in node.attributes:
        return node.attributes[name]
    operation = _operation(node)
    if operation is None or name not in operation.attributes or operation.attributes[name].required:
        return None
    return operation.attributes[name].default


def times(value: Any) -> str:
    """A kernel or a shape: 3 → 3×3, (1, 7) → 1×7, (16, 8, 8) → 16×8×8."""
    pair = value if isinstance(value, tuple) else (value, value)
    return "×".join(str(side) for side in pair)


def _attribute(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if value is True:
        return words
    if value is False:
        return f"no {words}"
    if value is None:
        return "no activation" if name == "act" else ""
    if isinstance(value, str):
        return shorten(value if name == "act" else f"{words} {value}", 24)
    if isinstance(value, float):
        return f"{words} {value:g}"
    if isinstance(value, tuple):
        return shorten(f"{words} {times(value)}", 24)
    return f"{words} {value}"
