"""A strategy as the controller uses it: what it proposes is looked at, and what it raises is told as its own."""

from __future__ import annotations

from typing import Any

from nas.core.errors import NotInSpaceError, StrategyError
from nas.core.graph import Graph
from nas.core.records import Candidate, Decisions, Trial
from nas.core.roles import Strategy
from nas.engine import faults

_MEND = "mend it and go on with nas resume"


class Asking:
    """Asks and tells a strategy. space: what proposals must be candidates of; None for any."""

    def __init__(self, strategy: Strategy, space: Any) -> None:
        self._strategy, self._space = strategy, space
        self._checked: set[str] = set()

    def ask(self) -> Candidate | None:
        """What the strategy proposes, looked at. Raises StrategyError."""
        strategy = self._strategy
        try:
            proposed: object = strategy.ask()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._broke("ask", error) from error
        if proposed is None:
            return None
        who = f"strategy {faults.name(strategy)}: ask() gave"
        if not isinstance(proposed, Candidate):
            raise StrategyError(f"{who} {faults.shown(proposed)}; expected a Candidate or None; {_MEND}")
        for name, value, kind in (("decisions", proposed.decisions, Decisions), ("graph", proposed.graph, Graph)):
            if not isinstance(value, kind):
                raise StrategyError(
                    f"{who} a Candidate whose {name} is {faults.shown(value)}; make candidates with the space's "
                    f"sample, mutate or decide; {_MEND}"
                )
        try:
            self._check_belongs(proposed)
        except NotInSpaceError as error:
            raise StrategyError(
                f"{who} {short(proposed)}, which is no candidate of the space: {error}; {_MEND}"
            ) from error
        return proposed

    def _check_belongs(self, candidate: Candidate) -> None:
        """Raises NotInSpaceError for a candidate of another space; each is looked at once."""
        space, key = self._space, candidate.decisions.text
        if space is None or key in self._checked:
            return
        space.check(candidate.decisions)
        if tuple(candidate.graph.inputs) != tuple(space.inputs):
            raise NotInSpaceError(
                f"its graph has the inputs {list(candidate.graph.inputs)}, the space has {list(space.inputs)}"
            )
        self._checked.add(key)

    def tell(self, trial: Trial) -> None:
        """Tell the strategy a trial. Raises StrategyError."""
        try:
            self._strategy.tell(trial)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._broke("tell", error) from error

    def _broke(self, method: str, error: BaseException) -> StrategyError:
        strategy = self._strategy
        return StrategyError(
            f"strategy {faults.name(strategy)} failed in {method}{faults.line(strategy, error)}: "
            f"{faults.one_line(error)}; {_MEND}"
        )


def short(candidate: Candidate) -> str:
    """A candidate's decisions, at most 200 characters of them."""
    text = candidate.decisions.text
    return text if len(text) <= 200 else text[:200] + "…"
