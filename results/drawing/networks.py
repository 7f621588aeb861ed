"""Drawings of decided networks: as SVG text, as a picture, as files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nas.core.graph import Graph
from nas.core.profile import InputSpec
from results.drawing.columns import fold
from results.drawing.layout import arrange
from results.drawing.picture import Picture
from results.drawing.scene import make_scene
from results.drawing.shapes import shapes_of


def picture(
    graph: Graph,
    inputs: Mapping[str, InputSpec] | None = None,
    *,
    collapse: bool = False,
    tallest: float | None = None,
    widest: float = float("inf"),
    title: str = "",
) -> Picture:
    """The drawing of a decided graph.

    inputs: shapes of what the graph takes; with them, a node that changes the shape tells the new one, and tooltips
        tell shapes and costs.
    collapse: equal nodes, and equal nested graphs, that follow one another are drawn once, with "× n".
    tallest: px that a column may be tall; a longer chain goes on in a column to the right. None: one column.
    widest: px that all columns together should take at most; they may then be taller.
    title: what it shows, for screen readers.

    Raises: ShapeError when the graph does not fit `inputs`.
    """
    scene = make_scene(graph, collapse=collapse, inputs=inputs)
    arrange(scene)
    if tallest is not None:
        fold(scene, tallest, widest)
    return Picture(tuple(shapes_of(scene)), scene.width, scene.height, title)


def draw(
    graph: Graph,
    inputs: Mapping[str, InputSpec] | None = None,
    *,
    collapse: bool = False,
    tallest: float | None = None,
    widest: float = float("inf"),
    style: bool = True,
    title: str = "",
) -> str:
    """The same as the text of one `<svg>` element. style: with the style sheet (STYLE) in it, so that it is a file."""
    made = picture(graph, inputs, collapse=collapse, tallest=tallest, widest=widest, title=title)
    return made.svg(style=style)


def draw_png(
    graph: Graph,
    inputs: Mapping[str, InputSpec] | None,
    path: str | os.PathLike[str],
    *,
    collapse: bool = False,
    tallest: float | None = None,
    widest: float = float("inf"),
    title: str = "",
    scale: float = 2.0,
) -> Path:
    """The same as a file: PNG on white, or SVG or PDF where the path ends so. See `picture` and `Picture.save`."""
    made = picture(graph, inputs, collapse=collapse, tallest=tallest, widest=widest, title=title)
    return made.save(path, scale=scale)
