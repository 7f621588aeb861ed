"""NSGA-II: a population of trade-offs, kept by non-dominated sorting and crowding, under Deb's constraint rules."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.core.records import Candidate, Constraint, Objective, Trial
from nas.core.registry import register
from nas.engine.pareto import crowding, ranks
from nas.engine.strategies.breeding import Breeding
from nas.engine.strategies.checks import probability, whole
from nas.engine.strategies.ordering import Member, member

Key = tuple[float, float, float]
"""(violation, rank of the front, minus crowding distance): smaller is better."""


@register("strategy", "nsga2")
@dataclass
class NSGA2:
    """NSGA-II.

    population: how many survive. offspring: how many children join before the next survival; 1 is steady state.
    crossover: probability that a child has two parents. mutations: decisions that a child changes after that. tries:
        draws of a child before a repetition of an earlier proposal is accepted; 0 does not look.
    repeats_by: 'decisions', 'graph' or 'functional': what makes two candidates one class (`Proposed`), of which one
        lives at a time. visits: how often a class may be proposed before that is a repetition; none for any number.
        until_changed: a child is mutated again until its class differs from its parents' (`Breeding`).

    Reference: Deb et al. 2002, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II. Differs: there is no
    generation to wait for; parents are chosen from the survivors of all trials told so far, so that any number of
    evaluations can be in work. Crossover and mutation are those of the space.
    """

    space: Any
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint] = ()
    seed: int = 0
    population: int = 24
    offspring: int = 1
    crossover: float = 0.9
    mutations: int = 1
    tries: int = 10
    repeats_by: str = "decisions"
    visits: int | None = 1
    until_changed: bool = False

    def __post_init__(self) -> None:
        for name, least in (("population", 2), ("offspring", 1), ("mutations", 0), ("tries", 0)):
            whole("nsga2", name, getattr(self, name), least)
        probability("nsga2", "crossover", self.crossover)
        self._members: list[tuple[Key, Member]] = []
        self._born: list[Member] = []
        self._living: dict[int, str] = {}  # trial → its class, which is costly to ask for
        self._breeding = Breeding(
            "nsga2",
            self.space,
            self.seed,
            self.crossover,
            self.mutations,
            self.tries,
            self.repeats_by,
            self.visits,
            self.until_changed,
        )

    def ask(self) -> Candidate | None:
        """A random candidate until as many as the population were asked for, then children; None when exhausted."""
        first = self._breeding.asked < self.population or not self._members
        return self._breeding.propose(first, self._parent)

    def tell(self, trial: Trial) -> None:
        """The trial joins those that compete to survive. A class that lives already does not live twice."""
        born = member(trial, self.objectives, self.constraints)
        if born is None:
            return
        key = self._breeding.proposed.key(born.candidate)
        if key in self._living.values():
            return
        self._living[born.id] = key
        self._born.append(born)
        if len(self._members) < self.population or len(self._born) >= self.offspring:
            self._members = select([*(entry for _, entry in self._members), *self._born], self.population)
            self._living = {entry.id: self._living[entry.id] for _, entry in self._members}
            self._born = []

    def _parent(self, rng: random.Random) -> Member:
        """The better of two drawn evenly; ties go to the first drawn."""
        first, second = rng.choice(self._members), rng.choice(self._members)
        return min(first, second, key=lambda entry: entry[0])[1]


def select(members: Sequence[Member], count: int) -> list[tuple[Key, Member]]:
    """The `count` best, best first: feasible ones by front and crowding, then infeasible ones by violation.

    Among equals the later trial goes first, so that a population does not stand still on a plateau.
    """
    keys: list[Key] = [(entry.violation, 0.0, 0.0) for entry in members]
    feasible = [place for place, entry in enumerate(members) if entry.violation == 0.0]
    fronts: dict[int, list[int]] = {}
    for place, rank in zip(feasible, ranks([members[place].point for place in feasible]), strict=True):
        fronts.setdefault(rank, []).append(place)
    for rank, places in fronts.items():
        for place, distance in zip(places, crowding([members[place].point for place in places]), strict=True):
            keys[place] = (0.0, float(rank), -distance)
    order = sorted(range(len(members)), key=lambda place: (keys[place], -members[place].id))
    return [(keys[place], members[place]) for place in order[:count]]
