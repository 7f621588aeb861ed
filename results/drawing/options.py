"""What a choice of a space says in a drawing: its options in few words, and its address with all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nas.core.parts import Choose, OneOf, Part, Repeat, Setting, Tie
from nas.core.subsets import Subsets
from nas.core.values import Value
from nas.core.walk import address_of
from results.drawing.labels import shorten

SHORT, LONG = 40, 300
"""Signs that options take on a node, and in a tooltip."""

_MARKS = set(',;{}"')
"""Signs of which lists of options are made."""


def plain(value: Any) -> str:
    """A value as people write it; a text that could not be told from what is around it stands in quotes.

    >>> plain("relu"), plain(""), plain("a, b"), plain((3, None))
    ('relu', '""', '"a, b"', '(3, none)')
    """
    if isinstance(value, tuple):
        return f"({', '.join(map(plain, value))})"
    if isinstance(value, str) and (value != value.strip() or not value or set(value) & _MARKS):
        return json.dumps(value, ensure_ascii=False)
    words = [word for known, word in ((None, "none"), (True, "yes"), (False, "no")) if value is known]
    return words[0] if words else str(value)


def listed(values: Sequence[Any], longest: int) -> str:
    """Values in braces; of many the first ones and how many there are.

    >>> listed([3, 5, 7], 40), listed(range(100), 16)
    ('{3, 5, 7}', '{0, 1, 2, 3, 4, … 100}')
    """
    shown: list[str] = []
    for value in values:
        text = plain(value)
        if sum(map(len, shown)) + 2 * len(shown) + len(text) > longest - 2 and shown:
            return f"{{{', '.join(shown)}, … {len(values)}}}"
        shown.append(shorten(text, longest))
    return f"{{{', '.join(shown)}}}"


def options_of(options: Sequence[Value], longest: int) -> str:
    """`∈ {3, 5, 7}`, or for subsets `⊆ {a, b, c}, at least 1`."""
    if isinstance(options, Subsets):
        size = how_many(options.at_least, options.at_most, len(options.labels))
        return f"⊆ {listed(options.labels, longest)}{', ' if size else ''}{size}"
    return f"∈ {listed(options, longest)}"


def how_many(at_least: int, at_most: int, count: int) -> str:
    """How many members a subset has.

    >>> how_many(1, 3, 3), how_many(0, 3, 3), how_many(2, 2, 3), how_many(0, 2, 3), how_many(1, 2, 3)
    ('at least 1', '', 'exactly 2', 'at most 2', '1 to 2')
    """
    if at_least == at_most:
        return f"exactly {at_least}"
    if at_most >= count:
        return f"at least {at_least}" if at_least else ""
    return f"{at_least} to {at_most}" if at_least else f"at most {at_most}"


def numbers(values: Sequence[Any]) -> str:
    """Numbers of copies.

    >>> numbers([1, 2, 3]), numbers([2, 4]), numbers([5])
    ('1–3', '2 or 4', '5')
    """
    ordered = sorted(values)
    if len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}–{ordered[-1]}"
    if len(ordered) > 6:
        return f"{ordered[0]} to {ordered[-1]}"
    return " or ".join(filter(None, [", ".join(map(str, ordered[:-1])), str(ordered[-1])]))


def told(at: str, choose: Choose) -> str:
    """The line of a tooltip about a choice of the part at `at`: its address and its options."""
    return f"{address_of(at, choose)} {options_of(choose.options, LONG)}"


def chosen(part: Part, at: str) -> list[str]:
    """Those lines of the choices that are the part's own."""
    return [told(at, item) for item in part.structure() if isinstance(item, Choose)]


def setting_of(setting: Setting, at: str, ties: set[str]) -> tuple[str, list[str]]:
    """What stands for a value, in words for a node, and the lines of its choice; a decided value has none.

    at: the address of the setting. ties: those whose options have been told; one that is told now is added.
    """
    if not isinstance(setting, Part):
        return plain(setting), []
    tie = ""
    while isinstance(setting, Tie):
        at = tie = setting.tie
        setting = setting.part
    choose = next(item for item in setting.structure() if isinstance(item, Choose))
    if tie in ties:
        return f"(tie {tie})", [f"{at}: tied, told before"]
    ties.update({tie} - {""})
    return options_of(choose.options, SHORT) + (f" (tie {tie})" if tie else ""), [told(at, choose)]


def times_of(part: Repeat) -> str:
    """`1–3 times`, with the name of the tie that says it."""
    counts: Setting = part.times
    tie = ""
    while isinstance(counts, Tie):
        tie = counts.tie
        counts = counts.part
    values = [value for _, value in counts.options] if isinstance(counts, OneOf) else [counts]
    return f"{numbers(values)} {'time' if values == [1] else 'times'}{f' (tie {tie})' if tie else ''}"
