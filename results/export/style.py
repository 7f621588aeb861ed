"""Expressions laid out as ruff's formatter lays them out at 120 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 120


@dataclass(frozen=True)
class Text:
    """An expression that stays on one line. strength: how tightly its outermost operator binds."""

    text: str
    strength: int = 9

    @property
    def flat(self) -> str:
        return self.text

    @property
    def forced(self) -> bool:
        return False

    def lines(self, indent: int, before: int, after: int) -> list[str]:
        return [self.text]


@dataclass(frozen=True)
class Bracket:
    """Something in brackets: `head(a, b=c)`, `[a, b]`, `{"a": b}`. open: always one argument per line."""

    head: str
    arguments: tuple[tuple[str, Expression], ...]
    brackets: str = "()"
    open: bool = False
    strength: int = 9

    @property
    def flat(self) -> str:
        inside = ", ".join(f"{key}{value.flat}" for key, value in self.arguments)
        return f"{self.head}{self.brackets[0]}{inside}{self.brackets[1]}"

    @property
    def forced(self) -> bool:
        return self.open or any(value.forced for _, value in self.arguments)

    def lines(self, indent: int, before: int, after: int) -> list[str]:
        """Its lines, of which the first follows `before` columns, and the last is followed by `after` more.

        Lines but the first start with their own indentation, relative to `indent`.
        """
        if not self.forced and indent + before + len(self.flat) + after <= WIDTH:
            return [self.flat]
        comma = "," if self.open or len(self.arguments) > 1 or self.brackets != "()" else ""
        found = [self.head + self.brackets[0]]
        for key, value in self.arguments:
            inner = value.lines(indent + 4, len(key), len(comma))
            found.append(f"    {key}{inner[0]}")
            found += [f"    {line}" for line in inner[1:]]
            found[-1] += comma
        return [*found, self.brackets[1]]


@dataclass(frozen=True)
class Operation:
    """Operands of one left-associative operator: `a + b + c`."""

    sign: str
    operands: tuple[Expression, ...]
    strength: int

    def _operand(self, place: int) -> str:
        operand = self.operands[place]
        weak = operand.strength < self.strength or (place > 0 and operand.strength == self.strength)
        return f"({operand.flat})" if weak else operand.flat

    @property
    def flat(self) -> str:
        return f" {self.sign} ".join(self._operand(place) for place in range(len(self.operands)))

    @property
    def forced(self) -> bool:
        return False

    def lines(self, indent: int, before: int, after: int) -> list[str]:
        if indent + before + len(self.flat) + after <= WIDTH:
            return [self.flat]
        rest = [f"    {self.sign} {self._operand(place)}" for place in range(1, len(self.operands))]
        return ["(", f"    {self._operand(0)}", *rest, ")"]


Expression = Text | Bracket | Operation


def call(head: str, *arguments: Expression | str) -> Bracket:
    """`head(arguments)`."""
    return Bracket(head, tuple(("", Text(value) if isinstance(value, str) else value) for value in arguments))


def many(members: Sequence[Expression], brackets: str = "[]") -> Bracket:
    """A list of members."""
    return Bracket("", tuple(("", member) for member in members), brackets)


def statement(before: str, value: Expression, indent: int, comment: str = "") -> list[str]:
    """Lines of `before` and an expression, indented, with a comment behind where there is room for it."""
    lines = value.lines(indent, len(before), 0)
    lines[0] = before + lines[0]
    return remark([" " * indent + line for line in lines], comment)


def remark(lines: list[str], comment: str) -> list[str]:
    """The lines, with a comment behind the last where there is room for it."""
    if comment and len(lines[-1]) + 4 + len(comment) <= WIDTH:
        lines[-1] += f"  # {comment}"
    return lines


def signature(name: str, parameters: Sequence[str], result: str, indent: int) -> list[str]:
    """Lines of `def name(parameters) -> result:`."""
    head = f"{' ' * indent}def {name}("
    flat = f"{head}{', '.join(parameters)}) -> {result}:"
    if len(flat) <= WIDTH:
        return [flat]
    inner = [f"{' ' * indent}    {parameter}," for parameter in parameters]
    return [head, *inner, f"{' ' * indent}) -> {result}:"]
