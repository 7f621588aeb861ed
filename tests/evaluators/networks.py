"""Small networks that the tests of evaluators share."""

from nas.core.graph import Graph, Node, chain
from nas.core.records import Candidate, Decisions


def candidate(graph: Graph, name: str = "net") -> Candidate:
    return Candidate(Decisions({"name": name}), graph)


def small(width: int = 16, classes: int = 10) -> Candidate:
    """Three convolutions with batch norm and a head; about 10,000 parameters at width 16."""
    layers = [
        Node("a", "conv", {"width": width}),
        Node("b", "conv", {"width": 2 * width, "stride": 2}),
        Node("c", "conv", {"width": width}),
        Node("head", "head", {"classes": classes}),
    ]
    return candidate(chain(layers), f"small{width}")


def linear(classes: int = 10, flat: bool = True) -> Candidate:
    """A linear classifier."""
    steps = [Node("flat", "flatten")] if flat else []
    return candidate(chain([*steps, Node("out", "linear", {"width": classes})]), "linear")


def branched(**classes: int) -> Candidate:
    """One trunk, one head per output name."""
    nodes = [Node("trunk", "conv", {"width": 8}, ("x",))]
    nodes += [Node(f"head_{name}", "head", {"classes": count}, ("trunk",)) for name, count in classes.items()]
    return candidate(Graph(("x",), tuple(nodes), tuple((name, f"head_{name}") for name in classes)), "branched")
