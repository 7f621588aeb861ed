"""What a drawing of a space asks of its parts: what they give, how large they are, which are equal, their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.core.parts import (
    Again,
    Compute,
    Dag,
    Edge,
    OneOf,
    Op,
    Optional,
    Parallel,
    Part,
    Recursive,
    Repeat,
    Seq,
    Setting,
    SomeOf,
    Tie,
    short_name,
)
from results.drawing import labels
from results.drawing.costs import span
from results.drawing.scene import Item

LARGE = 4
"""Leaves from which on an equal part is drawn once and referred to in its other places."""


def outputs_of(part: Part) -> tuple[str, ...]:
    """Names of what a part gives."""
    if isinstance(part, Dag):
        return tuple(name for name, _ in part.outputs)
    if isinstance(part, Tie | Optional):
        return outputs_of(part.part)
    if isinstance(part, OneOf) and isinstance(part.options[0][1], Part):
        return outputs_of(part.options[0][1])
    return ("y",)


def sources_of(source: Setting) -> list[str]:
    """Names that an open source may be."""
    while isinstance(source, Tie):
        source = source.part
    if isinstance(source, Edge):
        return [source.source]
    return [str(value) for _, value in source.options] if isinstance(source, OneOf | SomeOf) else []


def most_of(source: Setting) -> int:
    """How many operands a source gives at most."""
    while isinstance(source, Tie):
        source = source.part
    return source.at_most if isinstance(source, SomeOf) else 1


def runs_of(members: Sequence[tuple[str, str, Part]]) -> Iterator[list[tuple[str, str, Part]]]:
    """Members in runs of equal parts."""
    run: list[tuple[str, str, Part]] = []
    for member in members:
        if run and not (member[1] and run[-1][1] and member[2] == run[-1][2]):
            yield run
            run = []
        run.append(member)
    if run:
        yield run


def together(names: Sequence[str]) -> str:
    """Several names as one piece of an address: `block1–3`, or `{a|b}`."""
    text = span(names)
    return text if ", " not in text else f"{{{'|'.join(names)}}}"


def leaves_of(part: Part) -> int:
    """How many leaves a part has where it is drawn, at most LARGE."""
    known: int | None = part.__dict__.get("_leaves")
    if known is None:
        if isinstance(part, Op | Compute | Tie | Again) or part.gives_value:
            known = 1
        else:
            known = 0
            for inner in members_of(part):
                known += leaves_of(inner)
                if known >= LARGE:
                    break
        part.__dict__["_leaves"] = known
    return known


def members_of(part: Part) -> Iterator[Part]:
    """The parts directly in a part."""
    if isinstance(part, Optional | Repeat):
        yield part.part
    elif isinstance(part, Recursive):
        yield part.body
    elif isinstance(part, Dag):
        yield from (entry.part for entry in part.entries)
    elif isinstance(part, OneOf | SomeOf):
        yield from (option for _, option in part.options if isinstance(option, Part))
    elif isinstance(part, Seq | Parallel):
        yield from (inner for _, inner in part.parts)


def labelled(item: Item, label: str, part: Part) -> Item:
    """The item of a part among others, with its name in it where that is not what it is called anyway."""
    said = {item.title, item.title.partition(" ")[0], *([short_name(part.op)] if isinstance(part, Op) else [])}
    made = isinstance(part, Op) and label.startswith(f"{short_name(part.op)}_")  # by the language, of its attributes
    if item.inner is None and not made and label.replace("_", " ") not in said and label not in said:
        item.details.insert(0, f"“{labels.shorten(label, 24)}”")
    return item
