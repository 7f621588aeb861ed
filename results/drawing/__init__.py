"""Drawings of decided networks for people: layers from top to bottom, nested graphs as boxes, merges visible.

scene    what is drawn: which nested graphs get a box, which equal nodes become one
layout   where: a layered drawing without overlaps
costs    what parts give and cost: for tooltips, and as a table of layers
labels   what is written on a node, and how wide that is
shapes   rectangles, texts and ways: all that a picture is made of; looks   how they look
picture  what is finished; svg, plot   the files it becomes
"""

from results.drawing.costs import layers_of
from results.drawing.looks import STYLE
from results.drawing.networks import draw, draw_png, picture
from results.drawing.picture import FORMATS, Picture

__all__ = ["FORMATS", "STYLE", "Picture", "draw", "draw_png", "layers_of", "picture"]
