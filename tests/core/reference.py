"""The meaning of a part, written a second time without `structure()` and `assemble()`, for tests to compare with.

`decisions` lists all decisions of a part; `meaning` is the network under given decisions as a nested expression, such
as `("add", {}, (("relu", {}, ("x",)), "x"))`; `expression` is the same of a graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from nas.core.graph import Graph
from nas.core.parts import (
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
    SomeOf,
    Tie,
)

Taken = dict[str, Any]


def below(at: str, name: str) -> str:
    return "/".join(word for word in (at, name) if word)


def decisions(part: Part) -> list[Taken]:
    """All decisions of a part, each a mapping of address to option."""
    return [{k: v for k, v in taken.items() if not k.startswith("<tie>")} for taken in _decide(part, "", {})]


def _all(children: list[tuple[str, Any]], taken: Taken) -> Iterator[Taken]:
    """Decide children one after another; those that are plain values are decided already."""
    if not children:
        yield taken
        return
    (at, part), *rest = children
    for more in _decide(part, at, taken) if isinstance(part, Part) else [taken]:
        yield from _all(rest, more)


def _decide(part: Part, at: str, taken: Taken) -> Iterator[Taken]:
    match part:
        case Op() | Compute():
            pairs = part.attributes if isinstance(part, Op) else part.values
            yield from _all([(below(at, name), setting) for name, setting in pairs], taken)
        case OneOf():
            for label, option in part.options:
                if isinstance(option, Part):
                    yield from _decide(option, below(at, label), {**taken, below(at, "op"): label})
                else:
                    yield {**taken, at: option}
        case SomeOf():
            for size in range(part.at_least, part.at_most + 1):
                for chosen in combinations(part.options, size):
                    labels = tuple(label for label, _ in chosen)
                    if not isinstance(part.options[0][1], Part):
                        yield {**taken, at: labels}
                        continue
                    children = [(below(at, label), option) for label, option in chosen]
                    children += [(below(at, "merge"), part.merge), (below(at, "fit"), part.fit)]
                    yield from _all(children, {**taken, below(at, "paths"): labels})
        case Optional():
            yield from _decide(part.part, at, {**taken, below(at, "used"): True})
            yield {**taken, below(at, "used"): False}
        case Edge():
            yield from ({**taken, at: there} for there in (True, False))
        case Seq():
            yield from _all([(below(at, name), inner) for name, inner in part.parts], taken)
        case Parallel():
            children = [(below(at, name), inner) for name, inner in part.parts]
            yield from _all([*children, (below(at, "merge"), part.merge), (below(at, "fit"), part.fit)], taken)
        case Repeat():
            yield from _repeats(part, at, taken)
        case Dag():
            children = []
            for entry in part.entries:
                children += sources(part, entry, at)
                children += [(below(at, entry.name), entry.part)]
                children += [(below(at, f"{entry.name}/input_merge"), entry.merge)]
                children += [(below(at, f"{entry.name}/input_fit"), entry.fit)]
            yield from _all(children, taken)
        case Tie():
            if f"<tie>{part.tie}" in taken:
                yield taken
            else:
                yield from _decide(part.part, part.tie, {**taken, f"<tie>{part.tie}": True})
        case Recursive():
            yield from _decide(part.unrolled(), at, taken)
        case _:
            raise AssertionError(part)


def _repeats(part: Repeat, at: str, taken: Taken) -> Iterator[Taken]:
    address, times = below(at, "times"), part.times
    if isinstance(times, Tie):
        address, times = times.tie, times.part
    if not isinstance(times, OneOf):
        counts = [(times, taken)]
    elif address in taken:
        counts = [(taken[address], taken)]
    else:
        counts = [(count, {**taken, address: count}) for _, count in times.options]
    for count, more in counts:
        yield from _all([(below(at, copy(part, place)), part.part) for place in range(count)], more)


def copy(part: Repeat, place: int) -> str:
    return f"{part.part.label or 'block'}{place + 1}"


def sources(part: Dag, entry: Any, at: str) -> list[tuple[str, Any]]:
    """Address and setting of each source of an entry."""
    several = len([s for s in entry.sources if isinstance(s, Part) and not isinstance(s, Edge)]) > 1
    found = []
    for place, source in enumerate(entry.sources):
        name = f"from_{source.source}" if isinstance(source, Edge) else f"input{place + 1 if several else ''}"
        found.append((below(at, f"{entry.name}/{name}"), source))
    return found


# ---- the network -----------------------------------------------------------------------------------------------------

LEFT_OUT = object()


def value(setting: Any, at: str, taken: Mapping[str, Any]) -> Any:
    match setting:
        case Tie():
            return value(setting.part, setting.tie, taken)
        case OneOf():
            return taken[at]
        case SomeOf():
            return tuple(v for label, v in setting.options if label in taken[at])
        case Edge():
            return setting.source if taken[at] else None
        case _:
            return setting


def meaning(part: Part, at: str, taken: Mapping[str, Any], x: Any) -> Any:
    """The expression of a part of one input under decisions; `LEFT_OUT` where it is left out."""
    match part:
        case Op():
            return (part.op, {name: value(s, below(at, name), taken) for name, s in part.attributes}, (x,))
        case Compute():
            made = part.function(**{name: value(s, below(at, name), taken) for name, s in part.values})
            return meaning(made, at, {}, x)
        case OneOf():
            label = taken[below(at, "op")]
            return meaning(dict(part.options)[label], below(at, label), taken, x)  # type: ignore[arg-type]
        case SomeOf():
            chosen = taken[below(at, "paths")]
            return _merged([pair for pair in part.options if pair[0] in chosen], part, at, taken, x)
        case Parallel():
            return _merged(list(part.parts), part, at, taken, x)
        case Optional():
            return meaning(part.part, at, taken, x) if taken[below(at, "used")] else LEFT_OUT
        case Seq():
            return _chain([(below(at, name), inner) for name, inner in part.parts], taken, x)
        case Repeat():
            address = below(at, "times")
            times = value(part.times, address, taken)
            return _chain([(below(at, copy(part, place)), part.part) for place in range(times)], taken, x)
        case Tie():
            return meaning(part.part, part.tie, taken, x)
        case Recursive():
            return meaning(part.unrolled(), at, taken, x)
        case Dag():
            return _wired(part, at, taken, x)
        case _:
            raise AssertionError(part)


def _chain(steps: list[tuple[str, Part]], taken: Mapping[str, Any], x: Any) -> Any:
    for at, inner in steps:
        made = meaning(inner, at, taken, x)
        x = x if made is LEFT_OUT else made
    return x


def _merged(paths: list[tuple[str, Any]], part: Any, at: str, taken: Mapping[str, Any], x: Any) -> Any:
    made = [meaning(inner, below(at, label), taken, x) for label, inner in paths]
    there = [item for item in made if item is not LEFT_OUT]
    how, fit = value(part.merge, below(at, "merge"), taken), value(part.fit, below(at, "fit"), taken)
    return _join(there, how, fit) if there else ("zero", {}, (x,))


def _join(operands: list[Any], how: str, fit: str | None) -> Any:
    return operands[0] if len(operands) == 1 else (how, {} if fit is None else {"fit": fit}, tuple(operands))


def _wired(part: Dag, at: str, taken: Mapping[str, Any], x: Any) -> Any:
    known: dict[str, Any] = {part.inputs[0]: x}
    for entry in part.entries:
        names: list[str] = []
        for address, source in sources(part, entry, at):
            found = value(source, address, taken)
            names += found if isinstance(found, tuple) else [found] if found is not None else []
        given = [known[name] for name in names if name in known]
        if not given:
            continue
        where = below(at, entry.name)
        if entry.merge is None and isinstance(entry.part, Op):
            known[entry.name] = (*meaning(entry.part, where, taken, None)[:2], tuple(given))
            continue
        how = value(entry.merge or "add", f"{where}/input_merge", taken)
        joined = _join(given, how, value(entry.fit, f"{where}/input_fit", taken))
        made = meaning(entry.part, where, taken, joined)
        if made is not LEFT_OUT:
            known[entry.name] = made
        elif len(given) == 1:
            known[entry.name] = ("identity", {}, (joined,))
    return known.get(part.outputs[0][1], ("zero", {}, (x,)))


def expression(graph: Graph) -> Any:
    """The same form of a graph's first output."""
    flat = graph.flatten()
    place: dict[str, Any] = {name: name for name in flat.inputs}
    for node in flat.nodes:
        place[node.name] = (node.op, dict(node.attributes), tuple(place[ref] for ref in node.inputs))
    return place[flat.outputs[0][1]]
