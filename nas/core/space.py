"""`Space`: one declared value, and everything that follows from it.

    part                          what a person wrote (nas.core.language)
      └─ structure() ──▶ choices, sample, mutate, crossover, neighbours, enumerate, size, encode   (nas.core.walk)
      └─ assemble()  ──▶ the decided Graph

Decisions under an option that was not taken do not exist; two candidates with the same decisions are equal.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from nas.core import walk
from nas.core.declared import described, settled
from nas.core.errors import GraphError, NotInSpaceError, ShapeError, nearest
from nas.core.graph import Graph, check_name
from nas.core.operations import find
from nas.core.parts import Op, Part, Piece, World, shown
from nas.core.profile import InputSpec, as_graph, disconnected, profile
from nas.core.records import Candidate, Decisions
from nas.core.subsets import Subsets
from nas.core.table import whole
from nas.core.values import Value, canonical, digest, digits, freeze
from nas.core.walk import Choice


def image(channels: int, height: int, width: int) -> InputSpec:
    """An image input, (C, H, W) float32."""
    return InputSpec(_sizes("image", channels=channels, height=height, width=width))


def features(count: int) -> InputSpec:
    """A vector input, (D,) float32."""
    return InputSpec(_sizes("features", count=count))


def tokens(length: int, vocabulary: int) -> InputSpec:
    """A token input, (L,) int64 in [0, vocabulary)."""
    return InputSpec(_sizes("tokens", length=length, vocabulary=vocabulary)[:1], "int64", vocabulary)


def _sizes(where: str, **sizes: int) -> tuple[int, ...]:
    """The sizes of an input. Raises ShapeError naming the one that is none."""
    for name, size in sizes.items():
        if not whole(size, 1):
            given = ", ".join(f"{key}={value!r}" for key, value in sizes.items())
            raise ShapeError(f"{where}({given}): {name} is {size!r}; expected a whole number above 0")
    return tuple(sizes.values())


class Space:
    """A declaration of many networks. Immutable.

    part: what the networks are made of. inputs: one `InputSpec`, or name → InputSpec in the order in which the part
    takes them. classes: what `op("head")` and other operations with an attribute `classes` use where it is not given;
    a mapping of output name → classes where outputs differ. spell, spellings, parse: the notation of a benchmark.

    Raises: GraphError naming the address: an unknown operation or attribute, an illegal value of any option, two
        choices with one address, tied parts that differ.
    """

    def __init__(
        self,
        part: Part,
        inputs: InputSpec | Mapping[str, InputSpec],
        classes: int | Mapping[str, int] | None = None,
        *,
        spell: Callable[[Graph], str] | None = None,
        spellings: Callable[[Graph], Iterator[str]] | None = None,
        parse: Callable[[Space, str], Candidate] | None = None,
    ) -> None:
        if not isinstance(part, Part):
            raise GraphError(f"Space: {shown(part)} is a {type(part).__name__}; expected a part such as seq(…)")
        if part.gives_value:
            raise GraphError(f"Space: {shown(part)} is a choice of values; expected a part such as seq(…)")
        given = {"x": inputs} if isinstance(inputs, InputSpec) else inputs
        specs = isinstance(given, Mapping) and all(isinstance(spec, InputSpec) for spec in given.values())
        if not given or not specs:
            raise GraphError(
                f"Space: inputs={inputs!r}; expected image(channels, height, width), features(count), "
                "tokens(length, vocabulary), or a mapping of names to these"
            )
        self.inputs: dict[str, InputSpec] = dict(given)
        for name in self.inputs:
            check_name(name, "Space input")
        self.classes = classes
        self._spell, self._spellings, self._parse = spell, spellings, parse
        vocabulary = next((spec.vocabulary for spec in self.inputs.values() if spec.vocabulary), None)
        self.part = settled(part, {"classes": classes, "vocabulary": vocabulary})
        self._check()
        self._counter = walk.Counter()

    def _check(self) -> None:
        ties: dict[str, Part] = {}

        def see(at: str, part: Part) -> None:
            if isinstance(part, Op):
                find(part.op, at).check(dict(part.attributes), at or part.op)
            name = getattr(part, "tie", "")
            if name and ties.setdefault(name, part.part) != part.part:  # type: ignore[attr-defined]
                raise GraphError(f"{at}: tie {name!r} stands for two different parts; give one of them another name")

        self._universe  # noqa: B018 - finds addresses that are used twice
        walk.visit_all(self.part, see)
        self._candidate(walk.decide(self.part, lambda choice: choice.options[0]))  # inputs and outputs fit together

    # ---- what is open ----------------------------------------------------------------------------------------------

    @cached_property
    def _universe(self) -> dict[str, Choice]:
        return walk.universe(self.part)

    def choices(self) -> tuple[Choice, ...]:
        """Every choice that can be active, in the order of deciding."""
        return tuple(self._universe.values())

    def size(self) -> int:
        """How many different decisions there are, exactly."""
        return self._counter.size(self.part)

    def explain(self) -> list[dict[str, Any]]:
        """One row per address: its kind, its options, and what must be decided for it to be active."""
        return [
            {
                "address": choice.address,
                "kind": choice.kind,
                "options": list(choice.options[:64]),
                "count": len(choice.options),
                "needs": [{"address": address, "options": list(options)} for address, options in choice.needs],
            }
            for choice in self.choices()
        ]

    # ---- candidates --------------------------------------------------------------------------------------------------

    def decide(self, how: Mapping[str, Any] | Callable[[Choice], Any]) -> Candidate:
        """The candidate of given decisions, or of a function that is called once for each active choice, in order.

        Raises: NotInSpaceError naming the address: an option that is not one of the choice's, a decision that is
            missing, or one for a choice that does not exist or is not active.
        """
        if not isinstance(how, Mapping):
            return self._candidate(walk.decide(self.part, lambda choice: walk.option_of(choice, how(choice))))
        return self._candidate(self._strict(how))

    def check(self, decisions: Mapping[str, Any]) -> None:
        """Raises NotInSpaceError, as `decide` does, unless these decisions are a candidate's; quicker than that."""
        self._strict(decisions)

    def _strict(self, how: Mapping[str, Any]) -> Mapping[str, Value]:
        left = {address: freeze(value, address) for address, value in how.items()}

        def take(choice: Choice) -> Value:
            if choice.address not in left:
                raise NotInSpaceError(
                    f"no decision for {choice.address!r}; options: {walk.shown_options(choice.options)}"
                )
            return walk.option_of(choice, left.pop(choice.address))

        taken = walk.decide(self.part, take)
        for address, value in left.items():
            if address in self._universe:
                raise NotInSpaceError(
                    f"{address!r} is decided ({value!r}), but it is not active under the other decisions"
                )
            raise NotInSpaceError(f"{address!r} is no choice of this space; {nearest(address, self._universe)}")
        return taken

    def _candidate(self, taken: Mapping[str, Value]) -> Candidate:
        decisions = Decisions(taken)
        piece: Piece | None = self.part.assemble("", World(decisions))
        graph = as_graph(piece)
        if len(graph.inputs) != len(self.inputs):
            raise GraphError(f"the space has the inputs {list(self.inputs)}, its part takes {list(graph.inputs)}")
        return Candidate(decisions, _renamed(graph, tuple(self.inputs)))

    def sample(self, rng: random.Random, uniform: str = "choices") -> Candidate:
        """A random candidate: `uniform='choices'` draws each choice evenly, 'networks' draws every network evenly."""
        if uniform == "networks":
            return self._candidate(self._counter.number(self.part, rng.randrange(self.size())))
        if uniform != "choices":
            raise GraphError(f"sample: uniform={uniform!r}; {nearest(uniform, ('choices', 'networks'))}")
        return self._candidate(walk.decide(self.part, lambda choice: walk.draw(choice, rng)))

    def enumerate(self) -> Iterator[Candidate]:
        """All candidates in a stable order; number `i` is `space[i]`."""
        return map(self._candidate, walk.listing(self.part))

    def __getitem__(self, index: int) -> Candidate:
        """The candidate with number `index` in the order of `enumerate`. Raises IndexError."""
        if not 0 <= index < self.size():
            raise IndexError(f"candidate {index} of a space with {digits(self.size())}")
        return self._candidate(self._counter.number(self.part, index))

    def mutate(self, candidate: Candidate, rng: random.Random, count: int = 1) -> Candidate:
        """A candidate in which `count` decisions, drawn evenly among the active ones, are changed, one after another.

        Decisions that stay active are kept; those that become active are drawn. A subset changes by one member. The
        same candidate comes back only when nothing can be changed.
        """
        before = self._ordered(candidate.decisions)
        taken = self._mutated(before, rng, count)
        return candidate if taken is before else self._candidate(taken)

    def crossover(self, first: Candidate, second: Candidate, rng: random.Random, mutations: int = 0) -> Candidate:
        """A candidate that takes each decision from one of two parents (evenly where both have it), else draws it.

        mutations: how many decisions are changed after that, as `mutate` does it, without making the graph in between.
        """

        def take(choice: Choice) -> Value:
            owners = [p.decisions for p in (first, second) if choice.address in p.decisions]
            return rng.choice(owners)[choice.address] if owners else walk.draw(choice, rng)

        return self._candidate(self._mutated(walk.decide(self.part, take), rng, mutations))

    def _mutated(self, taken: dict[str, Value], rng: random.Random, count: int) -> dict[str, Value]:
        """`taken` stands in the order of deciding."""
        for _ in range(count):
            addresses = [a for a in taken if len(self._universe[a]) > 1]
            if not addresses:
                return taken
            address = rng.choice(addresses)
            other = walk.other_option(self._universe[address], taken[address], rng)
            taken = self._changed(taken, address, other, lambda choice: walk.draw(choice, rng))
        return taken

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]:
        """Every candidate that differs in one decision, in a stable order.

        A subset differs by one member (or by one swapped, where its size is fixed). Choices that become active take
        their first option.
        """
        for address, option in self._ordered(candidate.decisions).items():
            for other in walk.near_options(self._universe[address], option):
                changed = self._changed(candidate.decisions, address, other, lambda choice: choice.options[0])
                yield self._candidate(changed)

    def _ordered(self, taken: Mapping[str, Value]) -> dict[str, Value]:
        """Decisions in the order of deciding, whatever order they were written down in."""
        return walk.decide(self.part, lambda choice: taken[choice.address])

    def _changed(
        self, taken: Mapping[str, Value], address: str, option: Value, fresh: Callable[[Choice], Value]
    ) -> dict[str, Value]:
        def take(choice: Choice) -> Value:
            if choice.address == address:
                return option
            return taken[choice.address] if choice.address in taken else fresh(choice)

        return walk.decide(self.part, take)

    # ---- other forms -------------------------------------------------------------------------------------------------

    def encode(self, candidate: Candidate) -> tuple[float, ...]:
        """A vector of fixed length, different for different decisions; `encoding()` says what each place means.

        A choice has one place per option (1 for the one taken), a subset one per label; all are 0 where the choice is
        inactive. A subset that may be empty has one more place, 1 where it is active.
        """
        vector: list[float] = []
        for choice in self.choices():
            taken = candidate.decisions.get(choice.address)
            active = choice.address in candidate.decisions
            if isinstance(choice.options, Subsets):
                chosen = taken if isinstance(taken, tuple) else ()
                vector += [float(label in chosen) for label in choice.options.labels]
                vector += [float(active)] if choice.options.at_least == 0 else []
            else:
                place = walk.place_of(choice.options, taken) if active else -1
                vector += [float(i == place) for i in range(len(choice.options))]
        return tuple(vector)

    def encoding(self) -> list[str]:
        """What each place of `encode` means, as 'ADDRESS=OPTION'."""
        names: list[str] = []
        for choice in self.choices():
            labels = choice.options.labels if isinstance(choice.options, Subsets) else choice.options
            names += [f"{choice.address}={label}" for label in labels]
            if isinstance(choice.options, Subsets) and choice.options.at_least == 0:
                names.append(f"{choice.address} is active")
        return names

    def fingerprint(self) -> str:
        """A digest that changes when the space does: its parts, inputs, classes, and the source of its functions."""
        inputs = [[name, list(spec.shape), spec.dtype, spec.vocabulary] for name, spec in self.inputs.items()]
        classes = dict(self.classes) if isinstance(self.classes, Mapping) else self.classes
        return "s1:" + digest(canonical([described(self.part), inputs, classes]))

    def trouble(self, candidate: Candidate) -> str | None:
        """Why a candidate cannot be a network (shapes that do not fit, no path), or None. Costs nothing to ask."""
        try:
            profile(candidate.graph, self.inputs)
        except GraphError as error:
            return str(error)
        return disconnected(candidate.graph)

    def spell(self, graph: Graph) -> str:
        """The graph in the benchmark's own notation. Raises NotInSpaceError when the space has none."""
        if self._spell is None:
            raise NotInSpaceError("this space has no notation of its own; only benchmark spaces do")
        return self._spell(graph)

    def spellings(self, graph: Graph) -> Iterator[str]:
        """Every text of a graph, where the benchmark's notation has several for one network; the first is `spell`'s."""
        yield self.spell(graph)
        if self._spellings is not None:
            yield from self._spellings(graph)

    def parse(self, text: str) -> Candidate:
        """The candidate that a text in the benchmark's own notation spells. Raises NotInSpaceError."""
        if self._parse is None:
            raise NotInSpaceError("this space has no notation of its own; only benchmark spaces do")
        return self._parse(self, text)

    def __repr__(self) -> str:
        return f"Space({digits(self.size())} networks, {len(self._universe)} choices, inputs {dict(self.inputs)})"


def _renamed(graph: Graph, inputs: tuple[str, ...]) -> Graph:
    """The graph with its inputs called as the space calls them."""
    if graph.inputs == inputs:
        return graph
    names = dict(zip(graph.inputs, inputs, strict=True))
    taken = {node.name for node in graph.nodes} & set(inputs)
    if taken:
        raise GraphError(f"{sorted(taken)} name both an input of the space and a part; rename one")
    nodes = tuple(replace(node, inputs=tuple(names.get(ref, ref) for ref in node.inputs)) for node in graph.nodes)
    return Graph(inputs, nodes, tuple((name, names.get(ref, ref)) for name, ref in graph.outputs))
