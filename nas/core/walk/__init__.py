"""Everything that follows from `Part.structure()` alone. No code here knows any part by name.

    deciding.py    `Choice`, and taking all decisions in order
    counting.py    how many ways there are, the one with a given number, all of them
    addresses.py   every choice that can be active, by address
    nodes.py       what stands at the place of a node, for weights that are told apart by it

The last three import the first.
"""

from nas.core.walk.addresses import DEEPEST, LIMIT, VISITS, universe
from nas.core.walk.counting import Counter, listing
from nas.core.walk.deciding import Choice, address_of, decide, place_of, reachable, visit_all
from nas.core.walk.nodes import BARE, Place, places

__all__ = [
    "BARE", "DEEPEST", "LIMIT", "VISITS", "Choice", "Counter", "Place", "address_of", "decide", "listing", "place_of",
    "places", "reachable", "universe", "visit_all",
]  # fmt: skip
