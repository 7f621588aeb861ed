"""What may stand inside a word of the language: values and parts are checked, and get the names of their addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.errors import GraphError, nearest
from nas.core.graph import check_name
from nas.core.parts import FITS, MERGES, Edge, OneOf, Op, Part, Seq, Setting, SomeOf, Tie, shown
from nas.core.table import values_of
from nas.core.values import Value, canonical, freeze


def setting(value: Any, where: str) -> Setting:
    """A value, or a choice of values, of an attribute. Raises GraphError for a part of the network."""
    if isinstance(value, Part) and (not value.gives_value or isinstance(value, Edge)):
        raise GraphError(f"{where}: {shown(value)} is a part; expected a value, or one_of or some_of values")
    return value if isinstance(value, Part) else freeze(value, where)


def check_part(where: str, part: Any) -> Part:
    """The part itself. Raises GraphError for what is none, and for a choice of values."""
    if not isinstance(part, Part):
        raise GraphError(
            f"{where}: {shown(part)} is a {type(part).__name__}; expected a part such as op(…), seq(…), one_of(…)"
        )
    if part.gives_value:
        raise GraphError(f"{where}: {shown(part)} is a choice of values; expected a part such as op(…), seq(…)")
    return part


def members_of(where: str, parts: Sequence[Any], named: Mapping[str, Any]) -> list[tuple[str, Part]]:
    """Parts with the person's own names for them, or ''."""
    members = [(part.label if isinstance(part, Part) else "", part) for part in parts]
    members += [(check_name(name, where), part) for name, part in named.items()]
    return [(label, check_part(where, part)) for label, part in members]


def names_for(members: Sequence[tuple[str, str]]) -> list[str]:
    """Names from (label, default): labels must differ; defaults that occur more than once are numbered from 1."""
    labels = [label for label, _ in members if label]
    for label, count in Counter(labels).items():
        if count > 1:
            raise GraphError(f"name {label!r} is given to {count} parts side by side; names must differ")
    counts = Counter(default for label, default in members if not label)
    used: Counter[str] = Counter()
    names: list[str] = []
    for label, default in members:
        if label:
            names.append(label)
            continue
        name = default
        while name in labels or (counts[default] > 1 and name == default):
            used[default] += 1
            name = f"{default}{used[default]}"
        names.append(name)
        labels.append(name)
    return names


def options_of(where: str, options: Sequence[Any], named: Mapping[str, Any]) -> tuple[tuple[str, Setting], ...]:
    """Options with labels. All are values, or all are parts."""
    everything = [*options, *named.values()]
    if not everything:
        raise GraphError(f"{where}: no options; give at least one")
    kinds = {isinstance(option, Part) for option in everything}
    if len(kinds) == 2:
        raise GraphError(
            f"{where}: {', '.join(map(shown, everything))} mixes values and parts; give values only, or wrap each in "
            "op(…)"
        )
    if kinds == {False}:
        if named:
            raise GraphError(
                f"{where}: {sorted(named)} name values; only parts can be named, values stand for themselves"
            )
        values = [freeze(value, where) for value in options]
        texts = [canonical(value) for value in values]
        twice = [values[i] for i, text in enumerate(texts) if text in texts[:i]]
        if twice:
            raise GraphError(f"{where}: option {twice[0]!r} is given twice")
        return tuple(zip(texts, values, strict=True))
    members = members_of(where, options, named)
    defaults = _telling([part for _, part in members])
    names = names_for([(label, default) for (label, _), default in zip(members, defaults, strict=True)])
    return tuple((name, part) for name, (_, part) in zip(names, members, strict=True))


def _telling(parts: Sequence[Part]) -> list[str]:
    """Default labels of options: what an option is, and the attributes in which it differs from its likes."""
    names = [_short(part) for part in parts]
    told = []
    for name, part in zip(names, parts, strict=True):
        likes = [p for n, p in zip(names, parts, strict=True) if n == name and isinstance(p, Op)]
        if len(likes) > 1 and isinstance(part, Op):
            fixed = [{n: v for n, v in p.attributes if not isinstance(v, Part)} for p in likes if isinstance(p, Op)]
            mine = [(n, v) for n, v in part.attributes if not isinstance(v, Part)]
            differing = [f"{n}{_plain(v)}" for n, v in mine if any(n not in f or f[n] != v for f in fixed)]
            name = "_".join([name, *differing])
        told.append(name)
    return told


def _short(part: Part) -> str:
    if isinstance(part, Seq) and not part.label:
        names = [inner.name for name, inner in part.parts]
        return "-".join(names) if 0 < len(names) <= 3 else "seq"
    return part.name


def _plain(value: Value) -> str:
    return "".join(char for char in str(value) if char.isalnum() or char in ".-")


def merge_of(merge: Any, where: str) -> Setting:
    """How operands are merged. Raises GraphError for what is no merge."""
    for option in values_of(merge):
        if option not in MERGES:
            raise GraphError(f"{where}: merge={option!r}; {nearest(option, MERGES)}")
    return setting(merge, where)


def fit_of(fit: Any, where: str) -> Setting:
    """How operands of different shapes are fitted. Raises GraphError for what is no such way."""
    for option in values_of(fit):
        if option is not None and option not in FITS:
            raise GraphError(f"{where}: fit={option!r}; {nearest(option, FITS)}, or None to refuse differing shapes")
    return setting(fit, where)


def source_names(source: Any, where: str) -> list[str]:
    """Every name that a source of a `dag` may stand for. Raises GraphError."""
    if isinstance(source, str):
        return [source]
    if isinstance(source, Edge):
        return [source.source]
    if isinstance(source, Tie):
        return source_names(source.part, where)
    if isinstance(source, OneOf | SomeOf) and not source.of_parts:
        return [str(value) for _, value in source.options]
    raise GraphError(
        f"dag: {where!r} takes {shown(source)}; expected a name, one_of or some_of names, or optional(name)"
    )
