"""The parts of a space: frozen values, each of which says two things about itself and nothing else.

    part.py      what a part is, what its decisions are called, what is said of any part
    wiring.py    `Op`, `Seq`, `Parallel`, `Dag` with its `Entry` and `Edge`, and the merge of branches
    choices.py   `OneOf`, `SomeOf`, `Optional`
    copies.py    `Tie`, `Repeat`, `Recursive` with its `Again`, `Compute`

Each file imports those above it. `nas.core.language` has the functions with which a person writes parts.
"""

from nas.core.parts.choices import OneOf, Optional, SomeOf
from nas.core.parts.copies import Again, Compute, Recursive, Repeat, Tie
from nas.core.parts.part import (
    Choose,
    Item,
    Part,
    Piece,
    Setting,
    Sub,
    Tied,
    World,
    join,
    settle,
    shown,
)
from nas.core.parts.wiring import FITS, MERGES, Dag, Edge, Entry, Op, Parallel, Seq, short_name

__all__ = [
    "FITS", "MERGES", "Again", "Choose", "Compute", "Dag", "Edge", "Entry", "Item", "OneOf", "Op", "Optional",
    "Parallel", "Part", "Piece", "Recursive", "Repeat", "Seq", "Setting", "SomeOf", "Sub", "Tie", "Tied", "World",
    "join", "settle", "short_name", "shown",
]  # fmt: skip
