"""Keys of candidates: the cheap ones first, each worked out once, and the time that each kind took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from nas.core.errors import NASError
from nas.core.graph import Graph
from nas.core.keys import graph_key
from nas.core.records import Candidate
from nas.engine import faults

LONGEST = 200
"""Most characters of a reason that is kept."""


class Identity:
    """Says which candidates are the same.

    inputs: what the networks take, for functional keys; None where these are not wanted.
    seconds: kind of key → what working it out has taken, 'decisions', 'graph' and 'functional'.
    """

    def __init__(self, inputs: Mapping[str, Any] | None = None) -> None:
        self._inputs = inputs
        self._functional: dict[str, tuple[str, str]] = {}
        self.seconds = {"decisions": 0.0, "graph": 0.0, "functional": 0.0}

    def decisions(self, candidate: Candidate) -> str:
        """The key of its decisions."""
        began = time.perf_counter()
        key = candidate.decisions.key
        self.seconds["decisions"] += time.perf_counter() - began
        return key

    def graph(self, graph: Graph) -> str:
        """The exact key. The caller remembers it by decisions."""
        began = time.perf_counter()
        key = graph_key(graph)
        self.seconds["graph"] += time.perf_counter() - began
        return key

    def functional(self, graph: Graph, key: str) -> tuple[str, str]:
        """The functional key of the graph whose exact key is `key`, or '' and the reason why it has none.

        A graph without one is equal to no other by function. Probing runs the user's own modules: whatever these
        raise is such a reason too.
        """
        if self._inputs is None:
            return "", ""
        if key not in self._functional:
            began = time.perf_counter()
            self._functional[key] = self._probe(graph)
            self.seconds["functional"] += time.perf_counter() - began
        return self._functional[key]

    def learn(self, keys: Mapping[str, str]) -> bool:
        """Take the functional key of a graph from what was worked out before; whether there was one of this version."""
        key, functional = keys["graph"], keys.get("functional")
        if self._inputs is None or functional is None:
            return False
        from nas.core.probe import VERSION  # brings torch

        if functional.partition(":")[0] == VERSION:
            self._functional.setdefault(key, (functional, ""))
        return key in self._functional

    def knows(self, key: str) -> bool:
        """Whether the functional key of a graph costs nothing more."""
        return self._inputs is None or key in self._functional

    def _probe(self, graph: Graph) -> tuple[str, str]:
        from nas.core.probe import functional_key

        try:
            return functional_key(graph, self._inputs), ""
        except NASError as error:  # it says why it gives no key
            return "", _short(str(error))
        except Exception as error:
            return "", _short(f"it cannot be probed: {faults.one_line(error)}")


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
