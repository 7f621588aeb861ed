"""Everything that follows from `Part.structure()` alone. No code here knows any part by name.

    deciding.py    `Choice`, and taking all decisions in order
    options.py     one choice's options: finding, drawing, those next to one
    counting.py    how many ways there are, the one with a given number, all of them
    addresses.py   every choice that can be active, by address
    nodes.py       what stands at the place of a node, for weights that are told apart by it

All others import the first, and nothing else here.
"""

from nas.core.walk.addresses import DEEPEST, LIMIT, VISITS, universe
from nas.core.walk.counting import Counter, listing
from nas.core.walk.deciding import Choice, address_of, decide, reachable, visit_all
from nas.core.walk.nodes import BARE, Place, places
from nas.core.walk.options import draw, near_options, option_of, other_option, place_of, shown_options

__all__ = [
    "BARE", "DEEPEST", "LIMIT", "VISITS", "Choice", "Counter", "Place", "address_of", "decide", "draw", "listing",
    "near_options", "option_of", "other_option", "place_of", "places", "reachable", "shown_options", "universe",
    "visit_all",
]  # fmt: skip
