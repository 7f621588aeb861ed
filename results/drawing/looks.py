"""How the shapes of a drawing look, declared once: a style sheet and a printed picture are both made of it."""

from __future__ import annotations

from dataclasses import dataclass

from results.drawing import labels

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

PAPER = "#ffffff"
"""What is behind a picture that is printed; an SVG has the page itself behind it."""

LIGHT = {
    "ink": "#1d2430", "soft": "#566072", "line": "#7d8798", "leaf": "#ffffff", "rim": "#8d97a8",
    "box": "#465a780e", "frame": "#465a7852", "choice": "#6f58b012", "choice-rim": "#6f58b0a0",
    "conv": "#dceaf8", "conv-rim": "#3d7ab8", "pool": "#dcf2e6", "pool-rim": "#2f8a62",
    "merge": "#fdebc8", "merge-rim": "#b97a10", "attend": "#f9e0ea", "attend-rim": "#b4487a",
    "dense": "#e8e2f6", "dense-rim": "#6f58b0", "pass": "#f2f4f7", "pass-rim": "#8d97a8",
}  # fmt: skip
"""Colours on a light page; eight digits hold the opacity."""
DARK = {
    "ink": "#e8ecf2", "soft": "#a7b0bf", "line": "#7f8a9c", "leaf": "#252b36", "rim": "#7f8a9c",
    "box": "#a0b9dc0f", "frame": "#a0b9dc4d", "choice": "#a792e618", "choice-rim": "#a792e6a0",
    "conv": "#1f3a57", "conv-rim": "#6aa7e6", "pool": "#1c4434", "pool-rim": "#58bf93",
    "merge": "#4d3a12", "merge-rim": "#e0a63c", "attend": "#4f2238", "attend-rim": "#e284ae",
    "dense": "#37305a", "dense-rim": "#a792e6", "pass": "#2a303b", "pass-rim": "#7f8a9c",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """fill, stroke: names of colours, or None. width: of the stroke in px. dash: px on and off. size: of a text in px.

    weight: of a text. anchor: which part of a text stands at its x ('start', 'middle', 'end').
    """

    fill: str | None = None
    stroke: str | None = None
    width: float = 1.0
    dash: tuple[float, float] | None = None
    size: float | None = None
    weight: int = 400
    anchor: str = "middle"

    @property
    def rules(self) -> str:
        """As declarations of a style sheet."""
        said = {
            "fill": f"var(--nas-{self.fill})" if self.fill else "none",
            "stroke": f"var(--nas-{self.stroke})" if self.stroke else "none",
        }
        if self.stroke:
            said["stroke-width"] = f"{self.width:g}"
        if self.dash:
            said["stroke-dasharray"] = f"{self.dash[0]:g} {self.dash[1]:g}"
        if self.size:
            said |= {"font-size": f"{self.size:g}px", "font-weight": f"{self.weight}", "text-anchor": self.anchor}
        return "; ".join(f"{name}: {value}" for name, value in said.items())


LOOKS = {
    "leaf": Look("leaf", "rim"),
    **{kind: Look(kind, f"{kind}-rim") for kind in ("conv", "pool", "merge", "attend", "dense", "pass", "choice")},
    "box": Look("box", "frame"),
    "end": Look(None, "frame", dash=(3, 2)),
    "stack": Look(None, "rim"),
    "edge": Look(None, "line", width=1.3),
    "arrow": Look("line"),
    "title": Look("ink", size=labels.TITLE, weight=600),
    "detail": Look("soft", size=labels.DETAIL),
    "heading": Look("soft", size=labels.DETAIL, weight=600, anchor="start"),
    "count": Look("ink", size=labels.DETAIL, weight=700, anchor="end"),
}
"""Name of a look → what it is. A shape without a look of its own name is drawn as a 'leaf'."""

OPEN = (4.0, 3.0)
"""Dashes of what may be there or not."""


def _colours(colours: dict[str, str]) -> str:
    return " ".join(f"--nas-{name}: {value};" for name, value in colours.items())


STYLE = "\n".join(
    [
        f".nas-graph {{ {_colours(LIGHT)} }}",
        f"@media (prefers-color-scheme: dark) {{ .nas-graph {{ {_colours(DARK)} }} }}",
        f".nas-graph text {{ font-family: {FONT}; }}",
        *(f".nas-graph .nas-{name} {{ {look.rules}; }}" for name, look in LOOKS.items()),
        f".nas-graph .nas-open {{ stroke-dasharray: {OPEN[0]:g} {OPEN[1]:g}; }}",
        "",
    ]
)
"""The style sheet of drawings. A page that holds several of them includes it once."""
