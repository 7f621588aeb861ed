"""Identities of graphs and of measurements: hex digests of a canonical form, with a version in front.

`graph_key` ignores names, the order of nodes, defaults that are spelled out, and the order of operands where an
operation commutes. It keeps apart what trains differently: one node used twice, and two equal nodes. A nested graph is
one labelled node, so nesting counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from nas.core.graph import Graph, split
from nas.core.operations import find
from nas.core.records import Budget
from nas.core.values import canonical, digest, thaw


@lru_cache(maxsize=100_000)
def graph_key(graph: Graph) -> str:
    """The key of a graph: equal for two graphs exactly when they are the same labelled DAG up to names and numbering.

    The canonical numbering comes from colour refinement; ties between nodes that look alike are broken by trying each
    and keeping the smallest form, so symmetric graphs get one form too.
    """
    return "g1:" + digest(_Labelled(graph).canonical_form())


def evaluation_key(graph: str, evaluator: str, budget: Budget, seed: int, stage: str = "search") -> str:
    """The key of a number: a graph's key, the evaluator's fingerprint, the budget, the seed and the stage."""
    return "e1:" + digest(canonical([graph, evaluator, budget.amount, budget.unit, seed, stage]))


_Colour = TypeVar("_Colour", str, tuple[int, str, str])


class _Labelled:
    """A graph as numbered nodes with labels: first the inputs, then the nodes."""

    def __init__(self, graph: Graph) -> None:
        number = {name: place for place, name in enumerate([*graph.inputs, *(node.name for node in graph.nodes)])}
        self.labels = [f"input {place}" for place in range(len(graph.inputs))]
        self.operands: list[list[tuple[int, str]]] = [[] for _ in graph.inputs]
        self.commutes = [False] * len(graph.inputs)
        for node in graph.nodes:
            if isinstance(node.op, Graph):
                self.labels.append(graph_key(node.op))
                self.commutes.append(False)
            else:
                operation = find(node.op)
                attributes = {name: thaw(value) for name, value in operation.complete(node.attributes).items()}
                self.labels.append(canonical([node.op, attributes]))
                self.commutes.append(operation.commutes)
            refs = [split(ref) for ref in node.inputs]
            self.operands.append([(number[name], output or "") for name, output in refs])
        self.outputs = [(name, *split(ref)) for name, ref in graph.outputs]
        self.marks: list[tuple[int, str]] = [
            (number[node], canonical([name, output or ""])) for name, node, output in self.outputs
        ]

    def canonical_form(self) -> str:
        colours = list(self.labels)
        for node, mark in self.marks:
            colours[node] += f" output {mark}"
        return self._search(self._refine(colours))

    def _refine(self, colours: list[str]) -> list[int]:
        """Ranks of colours that no neighbourhood can split further."""
        ranks = _ranked(colours)
        while True:
            heard: list[list[list[object]]] = [[] for _ in ranks]
            for node, operands in enumerate(self.operands):
                for place, (source, output) in enumerate(operands):
                    heard[source].append([ranks[node], -1 if self.commutes[node] else place, output])
            rows = []
            for node, operands in enumerate(self.operands):
                sources = [[ranks[source], output] for source, output in operands]
                if self.commutes[node]:
                    sources.sort()
                rows.append((ranks[node], repr(sources), repr(sorted(map(repr, heard[node])))))
            finer = _ranked(rows)
            if max(finer) == max(ranks):
                return finer
            ranks = finer

    def _search(self, ranks: list[int]) -> str:
        cells: dict[int, list[int]] = {}
        for node, rank in enumerate(ranks):
            cells.setdefault(rank, []).append(node)
        open_cells = [rank for rank in sorted(cells) if len(cells[rank]) > 1]
        if not open_cells:
            return self._write(ranks)
        forms = []
        for node in cells[open_cells[0]]:
            marked = [f"{rank:06d}" for rank in ranks]
            marked[node] += " first"
            forms.append(self._search(self._refine(marked)))
        return min(forms)

    def _write(self, ranks: list[int]) -> str:
        rows: list[object] = [None] * len(ranks)
        for node, rank in enumerate(ranks):
            sources = [[ranks[source], output] for source, output in self.operands[node]]
            if self.commutes[node]:
                sources.sort()
            rows[rank] = [self.labels[node], sources]
        return canonical([rows, sorted([ranks[node], mark] for node, mark in self.marks)])


def _ranked(colours: Sequence[_Colour]) -> list[int]:
    order = {colour: rank for rank, colour in enumerate(sorted(set(colours)))}
    return [order[colour] for colour in colours]
