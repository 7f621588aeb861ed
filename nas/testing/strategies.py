"""What every strategy keeps to, as tests."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from nas.core.language import one_of, op, seq
from nas.core.records import Budget, Candidate, Constraint, Measurement, Objective, Status, Trial
from nas.core.roles import Strategy
from nas.core.space import Space, image
from nas.testing.samples import small_space

_SIZE = Constraint("params", "<=", 5000)


class StrategyContract:
    """Subclass and say how the strategy is made; `objectives` can be replaced by those it is meant for."""

    objectives: tuple[Objective, ...] = (Objective("val_accuracy", "max"), Objective("params", "min"))

    def make(self, **injected: Any) -> Strategy:
        """A new strategy from `space`, `objectives`, `constraints` and `seed`."""
        raise NotImplementedError

    def strategy(self, space: Space, seed: int = 0) -> Strategy:
        """A strategy as the engine makes it."""
        return self.make(space=space, objectives=self.objectives, constraints=(_SIZE,), seed=seed)

    def trial(self, number: int, candidate: Candidate) -> Trial:
        """An ended trial; every status occurs, with and without a measurement."""
        rng = random.Random(number)
        metrics = {o.name: rng.random() for o in self.objectives} | {"params": rng.choice([1000.0, 4000.0, 9000.0])}
        if number % 7 == 3:
            return Trial(number, candidate, Status.FAILED, Budget(1), reason="broke")
        if number % 7 == 4:
            return Trial(number, candidate, Status.INFEASIBLE, Budget(1), reason="no path")
        if number % 7 == 5:
            return Trial(
                number, candidate, Status.INFEASIBLE, Budget(1), Measurement({"params": 9000.0}), reason="large"
            )
        if number % 7 == 6:
            return Trial(number, candidate, Status.PRUNED, Budget(1), Measurement(metrics))
        holds = _SIZE.holds(metrics)
        status = Status.COMPLETE if holds else Status.INFEASIBLE
        return Trial(number, candidate, status, Budget(1), Measurement(metrics), reason="" if holds else "large")

    def search(self, strategy: Strategy, trials: int, lookahead: int = 1) -> list[Candidate]:
        """What the strategy proposes when it is asked and told as the controller does it."""
        proposed: list[Candidate] = []
        waiting: deque[Trial] = deque()
        while len(proposed) < trials:
            if len(waiting) == lookahead:
                strategy.tell(waiting.popleft())
            candidate = strategy.ask()
            if candidate is None:
                break
            waiting.append(self.trial(len(proposed), candidate))
            proposed.append(candidate)
        for trial in waiting:
            strategy.tell(trial)
        return proposed

    def test_proposals_are_candidates_of_the_space(self) -> None:
        """Decisions that the space accepts, with the graph that they decide."""
        space = small_space()
        proposed = self.search(self.strategy(space), 40)
        assert proposed, "nothing was proposed"
        for candidate in proposed:
            decided = space.decide(dict(candidate.decisions))
            assert decided == candidate, f"{candidate.decisions} are not the decisions of a candidate"
            assert decided.graph == candidate.graph, f"the graph is not the one that {candidate.decisions} decide"
            assert candidate.proposer, "a candidate must say who proposed it"

    def test_the_same_seed_proposes_the_same(self) -> None:
        """Every draw derives from the seed, and global generators are neither used nor changed."""
        space = small_space()
        random.seed(1)
        first = self.search(self.strategy(space, seed=3), 40, lookahead=3)
        state = random.getstate()
        second = self.search(self.strategy(space, seed=3), 40, lookahead=3)
        assert random.getstate() == state, "the strategy draws from the global generator of `random`"
        assert [c.decisions for c in first] == [c.decisions for c in second]

    def test_can_be_asked_ahead(self) -> None:
        """Several proposals may be open at once."""
        assert len(self.search(self.strategy(small_space()), 30, lookahead=8)) == 30

    def test_a_shorter_search_is_the_beginning_of_a_longer_one(self) -> None:
        """Resuming is replaying: the number of trials to come changes nothing."""
        space = small_space()
        short = self.search(self.strategy(space), 15, lookahead=2)
        long = self.search(self.strategy(space), 30, lookahead=2)
        assert [c.decisions for c in long[:15]] == [c.decisions for c in short]

    def test_a_tiny_space_is_survived(self) -> None:
        """With two networks there is an end, or there are repetitions; None is never taken back."""
        space = Space(seq(op("conv", width=one_of(4, 8)), op("head")), image(3, 8, 8), classes=2)
        strategy = self.strategy(space)
        self.search(strategy, 30)
        if strategy.ask() is None:
            assert strategy.ask() is None, "a strategy that was exhausted proposes again"

    def test_all_trials_may_fail(self) -> None:
        """Nothing is learned from failures, and the strategy goes on proposing."""
        strategy = self.strategy(small_space())
        for number in range(30):
            candidate = strategy.ask()
            assert candidate is not None, f"exhausted after {number} failures"
            strategy.tell(Trial(number, candidate, Status.FAILED, Budget(1), reason="broke"))
