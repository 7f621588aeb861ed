"""Shapes as comments: (N, 16, 32, 32), or (N, channels, H, W) where a class stands for blocks of several sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nas.core.table import Shape
from results.export.classes import Class
from results.export.tree import Ref

_LETTERS = {"C": "channels", "H": "height", "W": "width", "L": "length", "D": "features"}


def legend(text: str) -> str:
    """What the letters of the shapes in comments mean."""
    shapes = " ".join(re.findall(r"\(N, [^)]*\)", text))
    used = [f"{letter} {word}" for letter, word in _LETTERS.items() if re.search(rf"\b{letter}\b", shapes)]
    return f"\n\nShapes: N batch, {', '.join(used)}." if used else "\n\nShapes: N is the batch." if shapes else ""


class Shapes:
    """Shapes of values in all blocks of a class, as comments; '' where one text cannot say it for all of them."""

    def __init__(self, made: Class) -> None:
        self._blocks = made.blocks
        self._sizes = {tuple(p.column): p.name for p in made.parameters if p.kind == "size"}
        self._strides = {tuple(p.column): p.name for p in made.parameters if p.kind == "stride"}
        self._inputs = [self._inward(place) for place in range(len(made.model.inputs))]

    def of(self, ref: Ref) -> str:
        """The comment for a value."""
        return self._text([block.shape_of(ref) for block in self._blocks])

    def sentence(self) -> str:
        """From which shapes to which."""
        model = self._blocks[0]
        sources = [self.of(Ref(-1, place)) for place in range(len(model.inputs))]
        results = [self.of(ref) for _, ref in model.outputs]
        if not all(sources) or not all(results):
            return ""
        return f"{' and '.join(sources)} to {' and '.join(results)}" if sources and results else ""

    def _inward(self, place: int) -> list[tuple[str, tuple[int, ...]]]:
        """Letters for the sides of an input that are not the same in all blocks."""
        shapes = [block.input_shapes[place] for block in self._blocks]
        letters = {3: "CHW", 2: "LD", 1: "D"}.get(len(shapes[0]), "")
        if len({len(shape) for shape in shapes}) > 1:
            return []
        return [(letter, tuple(shape[side] for shape in shapes)) for side, letter in enumerate(letters)]

    def _text(self, shapes: Sequence[Shape]) -> str:
        if len({len(shape) for shape in shapes}) > 1:
            return ""
        wide = 0 if len(shapes[0]) == 3 else len(shapes[0]) - 1
        sides = [
            self._side(tuple(shape[side] for shape in shapes), side == wide, len(shapes[0]), side)
            for side in range(len(shapes[0]))
        ]
        return f"({', '.join(['N', *sides])})" if all(sides) else ""

    def _side(self, column: tuple[int, ...], wide: bool, rank: int, side: int) -> str:
        if wide and column in self._sizes:
            return self._sizes[column]
        if len(set(column)) == 1:
            return str(column[0])
        for known in self._inputs:
            if len(known) != rank:
                continue
            letter, inward = known[side]
            if column == inward:
                return letter
            if wide:
                continue
            for stride in (2, 4):
                if column == tuple(-(-size // stride) for size in inward):
                    return f"{letter} / {stride}"
            for strides, name in self._strides.items():
                if column == tuple(-(-size // stride) for size, stride in zip(inward, strides, strict=True)):
                    return f"{letter} / {name}"
        return ""
