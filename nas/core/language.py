"""The words in which a person declares a space. Each is usable inside each other.

    op("conv", width=one_of(16, 32))        an operation of the table, or any nn.Module class; attributes may be choices
    seq(a, b, head=c)                       one after another; keywords give names
    parallel(a, b, merge="add")             side by side from one input
    dag({"left": (a, "input"), …})          any wiring, by names; sources may be choices of names, or optional
    one_of(3, 5, 7)   one_of(a, wide=b)     exactly one value, or exactly one part
    some_of(a, b, c, at_least=1)            any subset between bounds: multi-path
    optional(a)                             there or not
    repeat(a, times=one_of(2, 3))           several in a row, each with decisions of its own
    tie("cell", a)                          the same decisions wherever this tie stands (weights stay apart)
    recursive("tree", lambda tree: …, depth=3)     a part that contains itself, down to a depth
    compute(function, edges=some_of(…))     a part that a function makes from decided values

A part's address is made of the names on the way to it; `.named("stem")` or a keyword gives a name of one's own.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import comb
from typing import Any

from nas.core.errors import GraphError, nearest
from nas.core.graph import check_name
from nas.core.imports import spell_object
from nas.core.members import check_part, fit_of, members_of, merge_of, names_for, options_of, setting, source_names
from nas.core.parts import (
    Again,
    Compute,
    Dag,
    Edge,
    Entry,
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
    shown,
)
from nas.core.values import digits

__all__ = [
    "compute", "dag", "one_of", "op", "optional", "parallel", "recursive", "repeat", "seq", "some_of", "tie",
]  # fmt: skip


def op(operation: str | type, /, *unnamed: Any, **attributes: Any) -> Part:
    """One operation: the name of an entry of the operation table, or an `nn.Module` class of one's own.

    A class gets the attributes as constructor arguments. Constructor parameters named `in_channels`, `in_features` or
    `in_shape` that are not given are filled with what arrives.

    >>> op("conv", width=32, kernel=one_of(3, 5)).name
    'conv'
    """
    if isinstance(operation, type):
        operation = spell_object(operation)
    elif not isinstance(operation, str):
        raise GraphError(
            f"op: {shown(operation)} is a {type(operation).__name__}; expected a name or a torch.nn.Module class"
        )
    where = f"op {operation!r}"
    if unnamed:
        raise GraphError(
            f"{where}: {', '.join(map(shown, unnamed))} is given without a name; write each attribute as NAME=VALUE"
        )
    return Op(op=operation, attributes=tuple((name, setting(v, f"{where}: {name}")) for name, v in attributes.items()))


def seq(*parts: Part, **named: Part) -> Part:
    """Parts one after another, the positional ones first.

    >>> [name for name, _ in seq(op("conv"), op("conv"), head=op("head")).parts]
    ['conv1', 'conv2', 'head']
    """
    members = members_of("seq", parts, named)
    if not members:
        raise GraphError("seq: no parts; give at least one")
    transparent = [i for i, (label, part) in enumerate(members) if not label and isinstance(part, Repeat)]
    names = names_for([(label, part.name) for label, part in members])
    if len(transparent) == 1:
        names[transparent[0]] = ""
        copies = members[transparent[0]][1].children  # type: ignore[attr-defined]
        twice = sorted(set(names) & {*copies, "times"})
        if twice:
            raise GraphError(
                f"seq: the name {twice[0]!r} is also one that its repeat uses; give the part another name, or the "
                "repeat one of its own with .named(…)"
            )
    return Seq(parts=tuple((name, part) for name, (_, part) in zip(names, members, strict=True)))


def parallel(*parts: Part, merge: Any = "add", fit: Any = None, **named: Part) -> Part:
    """Parts side by side from one input, merged by 'add', 'concat', 'mean', 'mul', 'max', or a choice of these.

    'join' concatenates and brings the width back to that of the first operand by a 1×1 convolution.

    fit: what to do where operands differ in shape: None refuses them; 'project' puts a 1×1 projection (and a stride
    or resize) on each operand that differs from the first; 'crop' cuts channels to the narrowest; 'pad' adds zeros to
    the widest.
    """
    members = members_of("parallel", parts, named)
    if not members:
        raise GraphError("parallel: no parts; give at least one")
    names = names_for([(label, part.name) for label, part in members])
    pairs = tuple((name, part) for name, (_, part) in zip(names, members, strict=True))
    return Parallel(parts=pairs, merge=merge_of(merge, "parallel"), fit=fit_of(fit, "parallel"))


def one_of(*options: Any, **named: Any) -> Any:
    """Exactly one of several values, or exactly one of several parts (keywords give the options' names).

    >>> one_of(3, 5, 7)  # doctest: +ELLIPSIS
    OneOf(...)
    """
    return OneOf(options=options_of("one_of", options, named))


def some_of(
    *options: Any, at_least: int = 1, at_most: int | None = None, merge: Any = "add", fit: Any = None, **named: Any
) -> Any:
    """A subset of several parts, merged (multi-path), or of several values (which gives a tuple).

    Subsets have `at_least` to `at_most` (default: all) members.
    """
    pairs = options_of("some_of", options, named)
    most = len(pairs) if at_most is None else at_most
    parts = isinstance(pairs[0][1], Part)
    if not (isinstance(at_least, int) and isinstance(most, int) and int(parts) <= at_least <= most <= len(pairs)):
        raise GraphError(
            f"some_of: at_least={at_least!r}, at_most={at_most!r} with {len(pairs)} options; expected "
            f"{int(parts)} <= at_least <= at_most <= {len(pairs)}"
        )
    subsets = sum(comb(len(pairs), size) for size in range(at_least, most + 1))
    if subsets > sys.maxsize:
        raise GraphError(
            f"some_of: {len(pairs)} options have {digits(subsets)} subsets, too many to number; lower at_most"
        )
    if not parts:
        pairs = tuple((str(value), value) for _, value in pairs)
        alike = [text for text, count in Counter(text for text, _ in pairs).items() if count > 1]
        if alike:
            raise GraphError(f"some_of: two options are written {alike[0]!r}; a subset tells options by their text")
    joined = merge_of(merge, "some_of")
    return SomeOf(options=pairs, at_least=at_least, at_most=most, merge=joined, fit=fit_of(fit, "some_of"))


def optional(part: Part | str) -> Any:
    """A part that may be left out; given a name, a source of a `dag` that may be absent."""
    if isinstance(part, str):
        return Edge(source=part)
    return Optional(part=check_part("optional", part))


COPIES = 10_000
"""Most copies that the options of one repeat may have, taken together."""


def repeat(part: Part, times: Any) -> Part:
    """The same part `times` in a row, a number or a choice of numbers; each copy has decisions of its own.

    Raises: GraphError for what is no number of copies, and for more than `COPIES` in all options together.
    """
    check_part("repeat", part)
    inner = times.part if isinstance(times, Tie) else times
    counts = [value for _, value in inner.options] if isinstance(inner, OneOf) else [inner]
    copies = 0
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise GraphError(
                f"repeat: times={shown(times)}; expected a whole number of 0 or more, one_of such numbers, or a tie of "
                "these"
            )
        copies += count
    if copies > COPIES:
        raise GraphError(
            f"repeat: times={shown(times)}; expected at most {COPIES} copies (of all options together); give fewer"
        )
    return Repeat(part=part, times=times)


def tie(name: str, part: Any) -> Any:
    """The same decisions wherever this tie stands, at the address `name` ('cell', 'cell/width').

    It ties a part, or a choice of values; as `times` of repeats it ties these only.
    """
    if not isinstance(name, str):
        raise GraphError(f"tie: name={shown(name)}; expected a text, such as tie('cell', part)")
    for word in name.split("/"):
        check_name(word, "tie")
    if not isinstance(part, Part) or isinstance(part, Edge):
        raise GraphError(f"tie {name!r}: {shown(part)} has nothing to tie; expected a part, or a choice of values")
    return Tie(tie=name, part=part)


def recursive(name: str, body: Callable[[Part], Part], depth: int) -> Part:
    """A part that may contain itself: `body` gets the part that stands for it. At most `depth` levels.

    >>> recursive("tree", lambda tree: one_of(op("conv"), pair=parallel(tree, tree)), depth=3).name
    'tree'
    """
    check_name(name, "recursive")
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise GraphError(f"recursive {name!r}: depth={depth!r}; expected a whole number of 1 or more")
    if not callable(body):
        raise GraphError(
            f"recursive {name!r}: {shown(body)} is no function; expected one that takes the part and gives its body, "
            "such as lambda tree: one_of(op('conv'), parallel(tree, tree))"
        )
    again = Again(recursion=name)
    try:
        inspect.signature(body).bind(again)
    except TypeError as error:
        raise GraphError(f"recursive {name!r}: its function does not take one part ({error}); write lambda tree: …") \
            from None  # fmt: skip
    except ValueError:
        pass  # a builtin says no signature
    checked = check_part(f"recursive {name!r}", body(again))

    def see(inner: Part) -> Part | None:
        if isinstance(inner, Recursive) and inner.recursion == name:
            raise GraphError(f"recursive {name!r} holds another recursive {name!r}; give one of them another name")
        return inner.rebuild(see)

    see(checked)
    Recursive(recursion=name, body=checked, depth=1).unrolled()  # raises where it never ends
    return Recursive(recursion=name, body=checked, depth=depth)


def compute(function: Callable[..., Part], **values: Any) -> Part:
    """A part that `function` makes from decided values. It must be pure and give a part with nothing open."""
    if not callable(function):
        raise GraphError(f"compute: {shown(function)} is no function; expected one that takes {list(values)} and gives "
                         "a part")  # fmt: skip
    return Compute(
        function=function,
        values=tuple((name, setting(value, f"compute: {name}")) for name, value in values.items()),
    )


def dag(
    nodes: Mapping[str, tuple[Any, ...]],
    *,
    inputs: Sequence[str] = ("input",),
    outputs: Mapping[str, str] | Sequence[str] | None = None,
) -> Part:
    """A directed acyclic graph: name → `(part, sources)` or `(part, sources, merge)`.

    sources: a name, a choice of names (`one_of("a", "b")`, `some_of("a", "b")`), `optional("a")`, or a list of these.
    merge: how several sources meet before the part: 'add', …, or `(merge, fit)`. Without it operations take them as
        operands, in order, and anything else gets their sum.
    outputs: output name → node, or a list of nodes; the last node if not given.
    """
    if not isinstance(nodes, Mapping):
        raise GraphError(
            f"dag: {shown(nodes)} is a {type(nodes).__name__}; expected a mapping such as "
            "{'left': (op('conv'), 'input')}"
        )
    if isinstance(inputs, str) or not isinstance(inputs, Sequence):
        raise GraphError(f"dag: inputs={shown(inputs)}; expected a list of names, such as ('input',)")
    if outputs is not None and (isinstance(outputs, str) or not isinstance(outputs, Mapping | Sequence)):
        raise GraphError(f"dag: outputs={shown(outputs)}; expected a list of nodes, or a mapping of names to nodes")
    known = [check_name(name, "dag input") for name in inputs]
    if not known or len(set(known)) < len(known):
        raise GraphError(f"dag: inputs={list(inputs)!r}; expected at least one name, each once")
    entries = []
    for name, row in nodes.items():
        entries.append(_entry(name, row, known))
        known.append(name)
    if not entries:
        raise GraphError("dag: no nodes; give at least one")
    given = {"y": entries[-1].name} if outputs is None else outputs
    pairs = tuple(given.items()) if isinstance(given, Mapping) else tuple((name, name) for name in given)
    if not pairs or len({name for name, _ in pairs}) < len(pairs):
        raise GraphError(f"dag: outputs={outputs!r}; expected at least one name, each once")
    for name, ref in pairs:
        check_name(name, "dag output")
        if not isinstance(ref, str) or ref.partition(":")[0] not in known:
            raise GraphError(f"dag: output {ref!r} is no node; {nearest(ref, known)}")
    return Dag(entries=tuple(entries), inputs=tuple(inputs), outputs=pairs)


def _entry(name: str, row: Any, known: Sequence[str]) -> Entry:
    """A node of a `dag` as it was written; `known` names the inputs and the nodes before it."""
    check_name(name, "dag")
    if not isinstance(row, tuple) or not 2 <= len(row) <= 3:
        raise GraphError(f"dag: {name!r} is {shown(row)}; expected (part, sources) or (part, sources, merge)")
    part, sources = check_part(f"dag: {name!r}", row[0]), row[1]
    merge, fit = (row[2] if isinstance(row[2], tuple) else (row[2], None)) if len(row) == 3 else (None, None)
    listed = tuple(sources) if isinstance(sources, list | tuple) else (sources,)
    for source in listed:
        for named in source_names(source, name):
            if named.partition(":")[0] not in known:
                raise GraphError(
                    f"dag: {name!r} takes {named!r}, which is no input or earlier node; {nearest(named, known)}"
                )
    if name in known:
        raise GraphError(f"dag: {name!r} is given twice")
    how = None if merge is None else merge_of(merge, f"dag {name!r}")
    return Entry(name, part, listed, how, fit_of(fit, f"dag {name!r}"))
