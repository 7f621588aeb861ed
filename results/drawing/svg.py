"""A picture as SVG text."""

from __future__ import annotations

import html
import re

from results.drawing.looks import STYLE
from results.drawing.picture import MARGIN, Picture
from results.drawing.shapes import Rect, Shape, Step, Text

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text_of(picture: Picture, *, style: bool) -> str:
    """The text of one `<svg>` element. style: with the style sheet in it."""
    wide, high = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nas-graph" role="img" width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {wide:.0f} {high:.0f}">'
    ]
    if picture.title:
        parts.append(f"<title>{escape(picture.title)}</title>")
    if style:
        parts.append(f"<style>{STYLE}</style>")
    for group in picture.groups:
        shapes = "".join(map(_text, group.shapes))
        parts.append(f"<g><title>{escape(group.tooltip)}</title>{shapes}</g>" if group.tooltip else shapes)
    return "".join([*parts, "</svg>"])


def escape(text: str) -> str:
    """`text` for XML, which has no place at all for most control characters."""
    return html.escape(_NO_XML.sub("\ufffd", text))


def _text(shape: Shape) -> str:
    if isinstance(shape, Text):
        return f'<text class="nas-{shape.look}" x="{shape.x:.1f}" y="{shape.y:.1f}">{escape(shape.text)}</text>'
    look = f"nas-{shape.look}{' nas-open' if shape.open else ''}"
    if isinstance(shape, Rect):
        return (
            f'<rect class="{look}" x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" '
            f'height="{shape.height:.1f}" rx="{shape.radius:.1f}"/>'
        )
    return f'<path class="{look}" d="{path_of(shape.steps)}"/>'


def path_of(steps: tuple[Step, ...]) -> str:
    """Steps as the `d` of a path."""
    return "".join(word + " ".join(f"{number:.1f}" for number in numbers) for word, numbers in steps)
