"""A picture as pixels or as PDF, by matplotlib: the same shapes as in the SVG, in light colours."""

from __future__ import annotations

import warnings
from math import sqrt
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve
from matplotlib.text import Text as Label

from results.drawing.looks import LIGHT, LOOKS, OPEN, PAPER
from results.drawing.picture import MARGIN, Picture
from results.drawing.shapes import Rect, Shape, Step, Text

PX = 96.0
"""Px of a drawing in an inch, as style sheets have it; matplotlib's points are 72."""

MOST = 60_000_000
"""Most pixels of a PNG: 240 MB while it is made."""

SIDE = 30_000
"""Most pixels of its longer side: what programs that show pictures still take."""

_SIDES: dict[str, Literal["left", "center", "right"]] = {"start": "left", "middle": "center", "end": "right"}

_WORDS = {"M": [Curve.MOVETO], "L": [Curve.LINETO], "Q": 2 * [Curve.CURVE3], "C": 3 * [Curve.CURVE4]}


def write(picture: Picture, path: Path, scale: float) -> None:
    """Write a picture; the ending of the path says as what. scale: pixels per px, where that is not too many."""
    figure = figure_of(picture)
    wide, high = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    scale = min(scale, sqrt(MOST / (wide * high)), SIDE / max(wide, high))
    # text in a PDF stays text; a sign that the font lacks is drawn as a box, which needs no words on the terminal
    with rc_context({"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(
            path, dpi=scale * PX, facecolor=PAPER, metadata={"Title": picture.title} if picture.title else {}
        )


def figure_of(picture: Picture) -> Figure:
    """The figure, of the drawing's own size in inches."""
    wide, high = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    figure = Figure(figsize=(wide / PX, high / PX))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-MARGIN, picture.width + MARGIN), ylim=(picture.height + MARGIN, -MARGIN))
    axes.set_axis_off()
    place = 0
    for group in picture.groups:
        for shape in group.shapes:
            place += 1
            artist = _artist(shape)
            artist.set_zorder(place)
            artist.set_transform(axes.transData)
            axes.add_artist(artist)
    return figure


def _artist(shape: Shape) -> Artist:
    look = LOOKS[shape.look]
    if isinstance(shape, Text):
        return Label(
            shape.x, shape.y, _printable(shape.text), color=LIGHT[look.fill or "ink"], parse_math=False,
            fontsize=(look.size or 1.0) * 72 / PX, fontweight="bold" if look.weight >= 600 else "normal",
            fontfamily="DejaVu Sans", verticalalignment="baseline",
            horizontalalignment=_SIDES[look.anchor],
        )  # fmt: skip
    rim: dict[str, Any] = {
        "facecolor": LIGHT[look.fill] if look.fill else "none",
        "edgecolor": LIGHT[look.stroke] if look.stroke else "none",
        "linewidth": look.width * 72 / PX if look.stroke else 0.0,
    }
    dash = OPEN if shape.open else look.dash
    if dash is not None:  # counted in widths of the line
        rim["linestyle"] = (0, tuple(length / look.width for length in dash))
    if isinstance(shape, Rect):
        radius = min(shape.radius, shape.width / 2, shape.height / 2)
        return FancyBboxPatch(
            (shape.x, shape.y), shape.width, shape.height, boxstyle=f"round,pad=0,rounding_size={radius}", **rim
        )
    return PathPatch(_curve(shape.steps), capstyle="butt", **rim)


def _curve(steps: tuple[Step, ...]) -> Curve:
    points: list[tuple[float, float]] = []
    codes: list[int] = []
    for word, numbers in steps:
        if word == "Z":
            points.append(points[0])
            codes.append(int(Curve.CLOSEPOLY))
            continue
        points += list(zip(numbers[::2], numbers[1::2], strict=True))
        codes += [int(code) for code in _WORDS[word]]
    return Curve(points, codes)


def _printable(text: str) -> str:
    """A text on one line, without what no font has."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
