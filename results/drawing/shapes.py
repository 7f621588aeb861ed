"""A scene with places as a list of plain shapes (rectangles, texts, ways): all that any kind of picture is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from results.drawing.layout import GAP, HEADING
from results.drawing.looks import LOOKS
from results.drawing.scene import Edge, Item, Scene

Step: TypeAlias = tuple[str, tuple[float, ...]]
"""A step of a way, as SVG has them: ('M', x y), ('L', x y), ('Q', a point and the end), ('C', two points and the end),
('Z',)."""


@dataclass(frozen=True)
class Rect:
    """x, y: the upper left corner. radius: of its corners. All in px. open: its rim is dashed."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    look: str
    open: bool = False


@dataclass(frozen=True)
class Text:
    """x: where its look anchors it. y: its base line."""

    x: float
    y: float
    text: str
    look: str


@dataclass(frozen=True)
class Way:
    """Lines and curves."""

    steps: tuple[Step, ...]
    look: str
    open: bool = False


Shape: TypeAlias = Rect | Text | Way


@dataclass(frozen=True)
class Group:
    """Shapes that are one thing; `tooltip` tells of it, '' for nothing."""

    shapes: tuple[Shape, ...]
    tooltip: str = ""


def shapes_of(
    scene: Scene, x: float = 0.0, y: float = 0.0, prefix: str = "", *, framed: bool = False
) -> Iterator[Group]:
    """The shapes of a scene whose upper left corner is at x, y, from the back to the front.

    prefix: the address of the scene, with its slash. framed: it is the inside of a box.
    """
    for edge in scene.edges:
        arrow = not _goes_on(edge.target, framed=framed)
        shapes: list[Shape] = [Way(_moved(way_of(edge, 4.0 if arrow else 0.0), x, y), "edge", edge.open)]
        if arrow:
            tip_x, tip_y = x + edge.target.x + edge.target.entries[edge.end], y + edge.target.y
            corners: tuple[Step, ...] = (
                ("M", (tip_x, tip_y)), ("L", (tip_x - 3.6, tip_y - 6)), ("L", (tip_x + 3.6, tip_y - 6)), ("Z", ()),
            )  # fmt: skip
            shapes.append(Way(corners, "arrow"))
        yield Group(tuple(shapes))
    for item in scene.items:
        if item.inner is not None:
            yield from _box(item, item.inner, x, y, prefix)
        else:
            yield Group(tuple(_leaf(item, x, y)), prefix + item.address + item.tooltip)
    if not framed:
        for port in [*scene.inputs, *scene.outputs]:
            left, top = x + port.x - port.width / 2, y + port.y
            rim = Rect(left, top, port.width, port.height, port.height / 2, "end")
            yield Group((rim, Text(x + port.x, top + 14, port.title, "detail")))
    else:
        for ports in (scene.inputs, scene.outputs):
            if len(ports) > 1:  # several are told apart by their names
                yield Group(tuple(Text(x + port.x, y + port.y + 11, port.title, "detail") for port in ports))


def _goes_on(target: Item, *, framed: bool) -> bool:
    """Whether an edge to this target has no arrow, because a line goes on from there: at the edge of a box."""
    if target.inner is not None:
        return len(target.inner.inputs) == 1
    return framed and target.kind == "output" and target.height == 0


def way_of(edge: Edge, short: float) -> tuple[Step, ...]:
    """The way of an edge within its scene, which ends `short` of its target.

    Curves run between the bands of layers only; within a band an edge goes straight down, beside the items in it.
    """
    source, target = edge.source, edge.target
    x, end_x = source.x + source.exits[edge.start], target.x + target.entries[edge.end]
    tip = target.y - short
    steps: list[Step] = [("M", (x, source.y + source.height)), ("L", (x, source.bottom))]
    if edge.turn is not None:
        low, high = source.bottom + 10, target.y - GAP
        corners = ((x, low), (edge.turn, low), (edge.turn, high), (end_x, high), (end_x, tip))
        return (*steps, *(("L", corner) for corner in corners))
    y = source.bottom
    for bend in edge.bends:
        steps += [_curve(x, y, bend.x, bend.top), ("L", (bend.x, bend.bottom))]
        x, y = bend.x, bend.bottom
    return (*steps, _curve(x, y, end_x, min(target.top, tip)), ("L", (end_x, tip)))


def _curve(x: float, y: float, end_x: float, end_y: float) -> Step:
    if abs(x - end_x) < 0.5:
        return "L", (end_x, end_y)
    half = (y + end_y) / 2
    return "C", (x, half, end_x, half, end_x, end_y)


def _moved(steps: tuple[Step, ...], x: float, y: float) -> tuple[Step, ...]:
    return tuple((word, tuple(n + (y if i % 2 else x) for i, n in enumerate(numbers))) for word, numbers in steps)


def _leaf(item: Item, x: float, y: float) -> Iterator[Shape]:
    left, top, small = x + item.x - item.width / 2, y + item.y, item.small
    yield from _stack(item, x, y)
    look = item.kind if item.kind in LOOKS else "leaf"
    yield Rect(left, top, item.width, item.height, item.height / 2 if small else 5, look, item.open)
    middle, base = x + item.x - (13 if item.count > 1 else 0), top + (14 if small else 16)
    yield Text(middle, base, item.title, "title")
    for place, line in enumerate(item.details, start=1):
        yield Text(middle, base + 13 * place, line, "detail")
    if item.count > 1:
        yield Text(left + item.width - 8, base, f"× {item.count}", "count")


def _stack(item: Item, x: float, y: float) -> Iterator[Shape]:
    """The rims of what stands behind an item that stands for several."""
    left, right = x + item.x - item.width / 2, x + item.x + item.width / 2
    top, low = y + item.y, y + item.y + item.height
    for step in (3, 6)[: item.behind]:
        edge = right + step
        steps: list[Step] = [
            ("M", (edge - 3, top + step)), ("Q", (edge, top + step, edge, top + step + 3)),
            ("L", (edge, low + step - 5)), ("Q", (edge, low + step, edge - 5, low + step)),
            ("L", (left + step + 3, low + step)), ("Q", (left + step, low + step, left + step, low + step - 3)),
        ]  # fmt: skip
        yield Way(tuple(steps), "stack")


def _box(item: Item, inner: Scene, x: float, y: float, prefix: str) -> Iterator[Group]:
    left, top = x + item.x - item.width / 2, y + item.y
    look = item.kind if item.kind in LOOKS else "box"
    shapes: list[Shape] = [*_stack(item, x, y), Rect(left, top, item.width, item.height, 7, look, item.open)]
    shapes.append(Text(left + 9, top + 14, item.title, "heading"))
    if item.count > 1:
        shapes.append(Text(left + item.width - 9, top + 14, f"× {item.count}", "count"))
    yield Group(tuple(shapes), prefix + item.address + item.tooltip)
    if len(inner.inputs) == 1:
        start = x + item.x + item.entries[0]
        yield Group((Way((("M", (start, top)), ("L", (start, top + HEADING))), "edge"),))
    corner = x + item.x - inner.width / 2
    inside = f"{prefix}{item.address}/" if item.address else prefix
    yield from shapes_of(inner, corner, top + HEADING, inside, framed=True)
