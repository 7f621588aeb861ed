"""A drawing of a decided network as SVG, for people: layers from top to bottom, nested graphs as boxes, merges visible.

scene    what is drawn: which nested graphs get a box, which equal nodes become one
layout   where: a layered drawing without overlaps
labels   what is written on a node, and how wide that is
svg      the text of it all
"""

from results.drawing.svg import STYLE, draw

__all__ = ["STYLE", "draw"]
