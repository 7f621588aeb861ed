"""What was saved, counted by hand."""

from __future__ import annotations

from nas.core.records import Status
from results.rows import Row, unpack_row
from results.savings import savings
from tests.results.samples import trial


def row(id_: int, keys: dict[str, str], seconds: float = 2.0, **fields: object) -> Row:
    from results.rows import ROW_COLUMNS, pack

    made = trial(id_, keys={"decisions": f"d{id_}", **keys}, seconds=seconds, **fields)  # type: ignore[arg-type]
    packed = pack(made)
    return unpack_row([packed[name] for name in ROW_COLUMNS])


def keys(graph: str, function: str = "", unkeyed: str = "") -> dict[str, str]:
    found = {"graph": graph, "evaluation": f"e{graph}", "functional": function, "unkeyed": unkeyed}
    return {kind: key for kind, key in found.items() if key}


ROWS = [
    row(0, keys("g0", "f0"), 3.0),
    row(1, keys("g1", "f0"), 0.0, source="cache", reuses=0, hit="functional"),
    row(2, keys("g0", "f0"), 0.0, source="cache", reuses=0, hit="decisions"),
    row(3, keys("g3", "f3"), 5.0),
    row(4, keys("g4", "", "it draws 3 random numbers"), 1.0),
    row(5, keys("g5", "", "it draws 12 random numbers"), 1.0),
    row(6, {"graph": "g6"}, 0.0, status=Status.INFEASIBLE, reason="params is 9, expected params <= 5"),
    row(7, keys("g7", "f7"), 0.0, source="cache", reuses=3, hit="graph", origin="runs/other"),
    row(8, keys("g8", "f8"), 1.5, status=Status.FAILED, reason="broke"),
    row(9, keys("g0"), 50.0, stage="finalist", of=0),
]


def test_everything_is_counted() -> None:
    found = savings(ROWS, {"keying_seconds": {"graph": 0.25, "functional": 1.0}})
    assert (found.proposals, found.graphs, found.functions) == (9, 8, 6)  # f0 f3 f7 f8, g4 and g5 by themselves
    assert found.hits == {"decisions": 1, "graph": 1, "functional": 1}
    assert (found.hit, found.elsewhere, found.evaluations) == (3, 1, 5)
    assert found.evaluation_seconds == 3 + 5 + 1 + 1 + 1.5
    assert found.seconds == 3 + 3 + 0.5  # twice trial 0, and what the other run's measurement says
    assert dict(found.unkeyed) == {"it draws # random numbers": 2}
    assert sum(found.infeasible.values()) == 1
    assert found.text() == (
        "9 proposals were 8 networks by graph and 6 by function; 3 were known (1 by decisions, 1 by graph and 1 by "
        "function, 1 of them from other runs), which saved 6.5 s of evaluation; keys took 1.2 s; 2 have no functional "
        "key: it draws # random numbers"
    )
    assert found.summary()["keying_seconds"] == {"graph": 0.25, "functional": 1.0}


def test_of_a_run_without_functional_keys_and_of_none() -> None:
    exact = [row(0, keys("g0")), row(1, keys("g0"), 0.0, source="cache", reuses=0, hit="graph")]
    found = savings(exact, {})
    assert (found.graphs, found.functions, found.hit, found.seconds) == (1, None, 1, 2.0)
    assert "by function" not in found.text()
    empty = savings([], {})
    assert (empty.proposals, empty.hit, empty.text()) == (
        0, 0, "0 proposals were 0 networks by graph; none was known before"
    )  # fmt: skip
