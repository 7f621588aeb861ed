"""Drawings of networks and of spaces, for people: layers from top to bottom, nesting as boxes, merges visible.

networks what a network is drawn as; spaces   what a space is drawn as; declared, options   what is asked of its parts
scene    what is drawn: which nested graphs get a box, which equal nodes become one
layout   where: a layered drawing without overlaps; columns   a long chain in columns
costs    what parts give and cost: for tooltips, and as a table of layers
labels   what is written on a node, and how wide that is
shapes   rectangles, texts and ways: all that a picture is made of; looks   how they look
picture  what is finished; svg, plot   the files it becomes; files   those of a whole front
"""

from results.drawing.costs import layers_of
from results.drawing.files import save_networks
from results.drawing.looks import STYLE
from results.drawing.networks import draw, draw_png, picture
from results.drawing.picture import FORMATS, Picture, check_ending
from results.drawing.spaces import draw_space, space_picture

__all__ = [
    "FORMATS", "STYLE", "Picture", "check_ending", "draw", "draw_png", "draw_space", "layers_of", "picture",
    "save_networks", "space_picture",
]  # fmt: skip
