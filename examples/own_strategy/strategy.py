"""A strategy of one's own: hill climbing with restarts. It needs no base class; its fields are the recipe's."""

from dataclasses import dataclass, field

from nas import Candidate, Objective, Space, Trial, generator


@dataclass
class Climb:
    """Change one decision of the best network so far; after `patience` steps without progress, begin elsewhere.

    The engine fills `space`, `objectives` and `seed`. All randomness is drawn from `generator(seed, …)`, so that the
    same seed gives the same search, and a search that was stopped goes on where it was.
    """

    space: Space
    objectives: tuple[Objective, ...]
    seed: int = 0
    patience: int = 8
    best: Trial | None = field(default=None, init=False)
    asked: int = field(default=0, init=False)
    stuck: int = field(default=0, init=False)

    def ask(self) -> Candidate | None:
        """The next network to evaluate; None would end the search."""
        rng = generator(self.seed, "climb", self.asked)
        self.asked += 1
        if self.best is None:
            return self.space.sample(rng).made_by("climb")
        return self.space.mutate(self.best.candidate, rng).made_by("climb", self.best.id)

    def tell(self, trial: Trial) -> None:
        """How a network did. Infeasible and failed ones are told too."""
        if trial.complete and (self.best is None or self.loss(trial) < self.loss(self.best)):
            self.best, self.stuck = trial, 0
        else:
            self.stuck += 1
        if self.stuck >= self.patience:
            self.best, self.stuck = None, 0

    def loss(self, trial: Trial) -> float:
        """The first objective as a number to minimise."""
        return self.objectives[0].loss(trial.metrics)
