"""The operation table: what each operation is, declared once.

An operation is declared as one function of its operands' shapes and its attributes. It returns

- a `Layer`: output shape, the one torch call that it is, parameter and MAC counts; or
- a part made of other operations, in the same language in which spaces are written, with nothing left open.

Everything else (shapes, costs, torch modules, exported source, elastic forms) is derived from these. Shapes have no
batch dimension: images (C, H, W), sequences (L, D), vectors (D,), token sequences (L,).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from nas.core.errors import GraphError, RegistryError, ShapeError, nearest
from nas.core.parts import FITS, OneOf, Part, SomeOf, Tie
from nas.core.values import FrozenDict

Shape: TypeAlias = tuple[int, ...]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """One call of torch that a layer is.

    target: 'nn.NAME' (a module of torch.nn), 'modules.NAME' (a module of `nas.core.modules`), 'torch.NAME' or
        'modules.NAME' in lower case (a function), 'operator.NAME', or 'user' (a module class of the user's own, named
        in `args[0]`).
    operands: how a function takes them: 'each' (f(a, b, c)), 'fold' (f(f(a, b), c)), or 'tuple' (f((a, b, c), …)).
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: FrozenDict = field(default_factory=FrozenDict)
    operands: str = "each"

    @property
    def is_module(self) -> bool:
        """A module with a constructor, as against a function of the operands."""
        return self.target == "user" or self.target.partition(".")[2][:1].isupper()


@dataclass(frozen=True)
class Layer:
    """What a layer is for given operand shapes. Counts are for one input, MACs as torch's own counter has them."""

    shape: Shape
    call: Call
    params: int = 0
    macs: int = 0


@dataclass(frozen=True)
class Legal:
    """Which values an attribute may have, in words and as a test."""

    words: str
    test: Callable[[Any], bool]


def whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number (no bool) of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Positive: TypeAlias = Annotated[int, Legal("a whole number above 0", lambda v: whole(v, 1))]
Width: TypeAlias = Annotated[
    int | None, Legal("a whole number above 0, or None for as many as come in", lambda v: v is None or whole(v, 1))
]
Kernel: TypeAlias = Annotated[
    int | tuple[int, int],
    Legal(
        "a whole number above 0, or a pair of these (height, width)",
        lambda v: whole(v, 1) or (isinstance(v, tuple) and len(v) == 2 and all(whole(k, 1) for k in v)),
    ),
]
Padding: TypeAlias = Annotated[
    int | None, Legal("a whole number of 0 or more, or None for half the kernel", lambda v: v is None or whole(v, 0))
]
Odd: TypeAlias = Annotated[int, Legal("an odd whole number above 0", lambda v: whole(v, 1) and v % 2 == 1)]
Fraction: TypeAlias = Annotated[float, Legal("a number from 0 to 1", lambda v: _number(v) and 0 <= v <= 1)]
Factor: TypeAlias = Annotated[float, Legal("a number above 0", lambda v: _number(v) and v > 0)]
Flag: TypeAlias = Annotated[bool, Legal("true or false", lambda v: isinstance(v, bool))]
ACTIVATIONS = {
    "relu": "ReLU", "relu6": "ReLU6", "gelu": "GELU", "silu": "SiLU", "hardswish": "Hardswish",
    "leaky_relu": "LeakyReLU", "elu": "ELU", "tanh": "Tanh", "sigmoid": "Sigmoid", "hardsigmoid": "Hardsigmoid",
}  # fmt: skip
"""Activations, and the modules of torch.nn that they are."""
Activation: TypeAlias = Annotated[
    str | None,
    Legal(f"one of {', '.join(ACTIVATIONS)}, or None", lambda v: v is None or v in ACTIVATIONS),
]
Fit: TypeAlias = Annotated[
    str | None, Legal(f"{', '.join(map(repr, FITS))}, or None", lambda v: v is None or v in FITS)
]


@dataclass(frozen=True)
class Attribute:
    """An attribute of an operation: its default (or `inspect.Parameter.empty`) and its legal values."""

    name: str
    default: Any
    legal: Legal

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Operation:
    """One entry of the table.

    arity: least and most operands (None: any number).
    commutes: the order of operands does not matter (where the operation does not fit their shapes).
    silent: the output is all zeros, so no path goes through it.
    source: a digest of the source of a user's class: an edited class is another operation.
    keeps_zero: zeros in, zeros out. idempotent: doing it twice is doing it once. random: draws numbers while training.
    """

    name: str
    function: Callable[..., Layer | Part]
    attributes: Mapping[str, Attribute]
    arity: tuple[int, int | None] = (1, 1)
    commutes: bool = False
    silent: bool = False
    source: str = ""
    keeps_zero: bool = False
    idempotent: bool = False
    random: bool = False

    def check(self, attributes: Mapping[str, Any], where: str) -> None:
        """Raise GraphError for an unknown attribute, an illegal value (of any option), or a missing attribute."""
        for name, setting in attributes.items():
            if name not in self.attributes:
                known = self.attributes
                way = nearest(name, known) if known else f"it takes none; write op({self.name!r})"
                raise GraphError(f"{where}: {self.name} has no attribute {name!r}; {way}")
            for value in values_of(setting):
                if not self.attributes[name].legal.test(value):
                    raise GraphError(
                        f"{where}: {self.name} with {name}={value!r}; expected {self.attributes[name].legal.words}"
                    )
        missing = [name for name, spec in self.attributes.items() if spec.required and name not in attributes]
        if missing:
            raise GraphError(
                f"{where}: {self.name} needs {', '.join(missing)}; write op({self.name!r}, {missing[0]}=…)"
            )

    def complete(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes with defaults filled in, in the order of the declaration. Raises GraphError as `check`."""
        self.check(attributes, self.name)
        return {name: attributes.get(name, spec.default) for name, spec in self.attributes.items()}

    def apply(self, shapes: tuple[Shape, ...], attributes: Mapping[str, Any]) -> Layer | Part:
        """The layer, or the part, that it is for these operands. Raises ShapeError."""
        least, most = self.arity
        if len(shapes) < least or (most is not None and len(shapes) > most):
            wanted = str(least) if most == least else f"{least} or more" if most is None else f"{least} to {most}"
            hint = "; in a dag, say how they merge: (part, sources, 'add')" if most == 1 else ""
            raise ShapeError(f"{self.name} takes {wanted} operand{'s' * (most != 1)}, got {len(shapes)}{hint}")
        return self.function(*shapes, **attributes)


_TABLE: dict[str, Operation] = {}


def operation(*, name: str = "", arity: tuple[int, int | None] = (1, 1), **facts: bool) -> Callable[[F], F]:
    """Declare an operation: a function `(*shapes, **attributes) -> Layer | Part`; annotations say the legal values.

    facts: the true or false fields of `Operation`.
    """

    def enter(function: F) -> F:
        title = name or function.__name__
        known = _TABLE.get(title)
        if known is not None and known.function.__module__ != function.__module__:
            raise RegistryError(
                f"operation {title!r} is declared twice: in {known.function.__module__} and in {function.__module__}"
            )
        hints = get_type_hints(function, include_extras=True)
        attributes = {
            p.name: Attribute(p.name, p.default, _legal(hints[p.name]))
            for p in inspect.signature(function).parameters.values()
            if p.kind is inspect.Parameter.KEYWORD_ONLY
        }
        _TABLE[title] = Operation(title, function, attributes, arity, **facts)  # type: ignore[arg-type]
        return function

    return enter


def _legal(hint: Any) -> Legal:
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, Legal):
                return extra
    raise TypeError(f"an attribute annotated {hint!r} says no legal values; use one of nas.core.table's types")


def values_of(setting: Any) -> Iterable[Any]:
    """Every value that a setting may take."""
    if isinstance(setting, Tie):
        return values_of(setting.part)
    if isinstance(setting, OneOf):
        return [value for _, value in setting.options]
    if isinstance(setting, SomeOf):
        return list(setting.options and [tuple(v for _, v in setting.options)])
    return [setting]


TABLE: Mapping[str, Operation] = _TABLE
"""All declared operations; `nas.core.operations` fills it and finds entries in it."""
