"""A scene with places, as SVG text that looks right in a light and in a dark page."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from nas.core.graph import Graph
from nas.core.profile import InputSpec
from results.drawing import labels
from results.drawing.layout import GAP, HEADING, arrange, fold
from results.drawing.scene import Edge, Item, Scene, make_scene

MARGIN = 6.0

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_LIGHT = {
    "ink": "#1d2430", "soft": "#566072", "line": "#7d8798", "leaf": "#ffffff", "rim": "#8d97a8",
    "box": "rgba(70, 90, 120, .055)", "frame": "rgba(70, 90, 120, .32)",
    "conv": "#dceaf8", "conv-rim": "#3d7ab8", "pool": "#dcf2e6", "pool-rim": "#2f8a62",
    "merge": "#fdebc8", "merge-rim": "#b97a10", "attend": "#f9e0ea", "attend-rim": "#b4487a",
    "dense": "#e8e2f6", "dense-rim": "#6f58b0", "pass": "#f2f4f7", "pass-rim": "#8d97a8",
}  # fmt: skip
_DARK = {
    "ink": "#e8ecf2", "soft": "#a7b0bf", "line": "#7f8a9c", "leaf": "#252b36", "rim": "#7f8a9c",
    "box": "rgba(160, 185, 220, .06)", "frame": "rgba(160, 185, 220, .30)",
    "conv": "#1f3a57", "conv-rim": "#6aa7e6", "pool": "#1c4434", "pool-rim": "#58bf93",
    "merge": "#4d3a12", "merge-rim": "#e0a63c", "attend": "#4f2238", "attend-rim": "#e284ae",
    "dense": "#37305a", "dense-rim": "#a792e6", "pass": "#2a303b", "pass-rim": "#7f8a9c",
}  # fmt: skip


def _colours(colours: dict[str, str]) -> str:
    return " ".join(f"--nas-{name}: {value};" for name, value in colours.items())


def _rules() -> str:
    families = "".join(
        f".nas-{kind} > rect {{ fill: var(--nas-{kind}); stroke: var(--nas-{kind}-rim); }}\n"
        for kind in ("conv", "pool", "merge", "attend", "dense", "pass")
    )
    return f"""
.nas-graph text {{ font-family: {FONT}; fill: var(--nas-ink); text-anchor: middle; }}
.nas-graph .nas-title {{ font-size: {labels.TITLE}px; font-weight: 600; }}
.nas-graph .nas-detail {{ font-size: {labels.DETAIL}px; fill: var(--nas-soft); }}
.nas-graph .nas-heading {{ font-size: {labels.DETAIL}px; font-weight: 600; fill: var(--nas-soft); text-anchor: start; }}
.nas-graph .nas-count {{ font-size: {labels.DETAIL}px; font-weight: 700; text-anchor: end; }}
.nas-graph rect {{ fill: var(--nas-leaf); stroke: var(--nas-rim); stroke-width: 1; }}
.nas-graph .nas-box > rect {{ fill: var(--nas-box); stroke: var(--nas-frame); }}
.nas-graph .nas-end > rect {{ fill: none; stroke: var(--nas-frame); stroke-dasharray: 3 2; }}
.nas-graph .nas-edge {{ fill: none; stroke: var(--nas-line); stroke-width: 1.3; }}
.nas-graph .nas-stack {{ fill: none; stroke: var(--nas-rim); stroke-width: 1; }}
.nas-graph .nas-arrow {{ fill: var(--nas-line); }}
{families}"""


STYLE = (
    f".nas-graph {{ {_colours(_LIGHT)} }}\n"
    f"@media (prefers-color-scheme: dark) {{ .nas-graph {{ {_colours(_DARK)} }} }}\n" + _rules()
)
"""The style sheet of drawings. A page that holds several of them includes it once."""


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
    """The drawing of a decided graph, as the text of one `<svg>` element.

    inputs: shapes of what the graph takes; with them, a node that changes the shape tells the new one.
    collapse: equal nodes, and equal nested graphs, that follow one another are drawn once, with "× n".
    tallest: px that a column may be tall; a longer chain goes on in a column to the right. None: one column.
    widest: px that all columns together should take at most; they may then be taller.
    style: put the style sheet (STYLE) into it, so that the text is a file of its own.
    title: what it shows, for screen readers.

    Raises: ShapeError when the graph does not fit `inputs`.
    """
    scene = make_scene(graph, collapse=collapse, inputs=inputs)
    arrange(scene)
    if tallest is not None:
        fold(scene, tallest, widest)
    parts: list[str] = []
    _write_scene(scene, parts)
    wide, high = scene.width + 2 * MARGIN, scene.height + 2 * MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nas-graph" role="img" width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {wide:.0f} {high:.0f}">'
    )
    named = f"<title>{escape(title)}</title>" if title else ""
    return f"{head}{named}{f'<style>{STYLE}</style>' if style else ''}{''.join(parts)}</svg>"


def escape(text: str) -> str:
    """`text` for XML, which has no place at all for most control characters."""
    return html.escape(_NO_XML.sub("\ufffd", text))


def _write_scene(scene: Scene, parts: list[str], prefix: str = "", *, framed: bool = False) -> None:
    for edge in scene.edges:
        _write_edge(edge, parts, arrow=not _goes_on(edge.target, framed=framed))
    for item in scene.items:
        if item.inner is not None:
            _write_box(item, parts, prefix)
        else:
            _write_leaf(item, parts, prefix)
    if not framed:
        for port in [*scene.inputs, *scene.outputs]:
            _write_end(port, parts)
    elif len(scene.outputs) > 1 or len(scene.inputs) > 1:
        _write_ports(scene, parts)


def _goes_on(target: Item, *, framed: bool) -> bool:
    """Whether an edge to this target has no arrow, because a line goes on from there: at the edge of a box."""
    if target.inner is not None:
        return len(target.inner.inputs) == 1
    return framed and target.kind == "output" and target.height == 0


def _write_edge(edge: Edge, parts: list[str], *, arrow: bool) -> None:
    parts.append(f'<path class="nas-edge" d="{path_of(edge, 4.0 if arrow else 0.0)}"/>')
    if arrow:
        x = edge.target.x + edge.target.entries[edge.end]
        parts.append(f'<path class="nas-arrow" d="M{x:.1f} {edge.target.y:.1f}l-3.6 -6h7.2z"/>')


def path_of(edge: Edge, short: float) -> str:
    """The way of an edge, as an SVG path that ends `short` of its target.

    Curves run between the bands of layers only; within a band an edge goes straight down, beside the items in it.
    """
    source, target = edge.source, edge.target
    x, end_x = source.x + source.exits[edge.start], target.x + target.entries[edge.end]
    tip = target.y - short
    path = [f"M{x:.1f} {source.y + source.height:.1f}V{source.bottom:.1f}"]
    if edge.turn is not None:
        path.append(f"v10H{edge.turn:.1f}V{target.y - GAP:.1f}H{end_x:.1f}V{tip:.1f}")
    else:
        y = source.bottom
        for bend in edge.bends:
            path.append(f"{_curve(x, y, bend.x, bend.top)}V{bend.bottom:.1f}")
            x, y = bend.x, bend.bottom
        path.append(f"{_curve(x, y, end_x, min(target.top, tip))}V{tip:.1f}")
    return "".join(path)


def _curve(x: float, y: float, end_x: float, end_y: float) -> str:
    if abs(x - end_x) < 0.5:
        return f"L{end_x:.1f} {end_y:.1f}"
    half = (y + end_y) / 2
    return f"C{x:.1f} {half:.1f} {end_x:.1f} {half:.1f} {end_x:.1f} {end_y:.1f}"


def _write_leaf(item: Item, parts: list[str], prefix: str) -> None:
    left, small = item.x - item.width / 2, item.kind in ("merge", "pass") and not item.details
    parts.append(f'<g class="nas-leaf nas-{item.kind}"><title>{escape(prefix + item.address + item.tooltip)}</title>')
    _write_stack(item, parts)
    round_ = item.height / 2 if small else 5
    parts.append(_rect(left, item.y, item.width, item.height, round_))
    middle = item.x - (13 if item.count > 1 else 0)
    base = item.y + (14 if small else 16)
    parts.append(f'<text class="nas-title" x="{middle:.1f}" y="{base:.1f}">{escape(item.title)}</text>')
    for place, line in enumerate(item.details, start=1):
        parts.append(f'<text class="nas-detail" x="{middle:.1f}" y="{base + 13 * place:.1f}">{escape(line)}</text>')
    if item.count > 1:
        parts.append(f'<text class="nas-count" x="{left + item.width - 8:.1f}" y="{base:.1f}">× {item.count}</text>')
    parts.append("</g>")


def _write_stack(item: Item, parts: list[str]) -> None:
    """The rims of what stands behind an item that stands for several."""
    if item.count > 1:
        left, right, low = item.x - item.width / 2, item.x + item.width / 2, item.y + item.height
        for step in (3, 6) if item.count > 2 else (3,):
            parts.append(
                f'<path class="nas-stack" d="M{right + step - 3:.1f} {item.y + step:.1f}q3 0 3 3V{low + step - 5:.1f}'
                f'q0 5 -5 5H{left + step + 3:.1f}q-3 0 -3 -3"/>'
            )


def _write_box(item: Item, parts: list[str], prefix: str) -> None:
    assert item.inner is not None
    left = item.x - item.width / 2
    parts.append(f'<g class="nas-box"><title>{escape(prefix + item.address + item.tooltip)}</title>')
    _write_stack(item, parts)
    parts.append(_rect(left, item.y, item.width, item.height, 7))
    base = item.y + 14
    parts.append(f'<text class="nas-heading" x="{left + 9:.1f}" y="{base:.1f}">{escape(item.title)}</text>')
    if item.count > 1:
        parts.append(f'<text class="nas-count" x="{left + item.width - 9:.1f}" y="{base:.1f}">× {item.count}</text>')
    parts.append("</g>")
    if len(item.entries) == 1:
        parts.append(f'<path class="nas-edge" d="M{item.x + item.entries[0]:.1f} {item.y:.1f}v{HEADING:g}"/>')
    parts.append(f'<g transform="translate({item.x - item.inner.width / 2:.1f} {item.y + HEADING:.1f})">')
    _write_scene(item.inner, parts, f"{prefix}{item.address}/", framed=True)
    parts.append("</g>")


def _write_end(port: Item, parts: list[str]) -> None:
    parts.append('<g class="nas-end">')
    parts.append(_rect(port.x - port.width / 2, port.y, port.width, port.height, port.height / 2))
    parts.append(f'<text class="nas-detail" x="{port.x:.1f}" y="{port.y + 14:.1f}">{escape(port.title)}</text></g>')


def _write_ports(scene: Scene, parts: list[str]) -> None:
    """Names of the inputs and outputs of a box that has several."""
    for port in [*(scene.inputs if len(scene.inputs) > 1 else ()), *(scene.outputs if len(scene.outputs) > 1 else ())]:
        parts.append(f'<text class="nas-detail" x="{port.x:.1f}" y="{port.y + 11:.1f}">{escape(port.title)}</text>')


def _rect(x: float, y: float, wide: float, high: float, round_: float) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="{round_:.1f}"/>'
