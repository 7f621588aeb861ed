"""The tables of a front and of its finalists, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from nas.cli.output import WIDTH
from results.spread import spread
from results.suggestions import seen_first
from results.units import written
from results.ways import by_way, taken, ways_of

if TYPE_CHECKING:
    from results.front import Front

LISTED = 50
"""Most networks of a front that a table lists."""

REASON = 40
"""Signs of a reason that a table shows."""


def front_of(
    front: Front[Any], finalists: Mapping[int, Any], folder: Path, *, width: int = WIDTH, whole: bool = False
) -> RenderableType:
    """The table of a front, whole or its ends, what is best, suggested or was trained again, and others between.

    Of a longer one it is said how many are left out, and how to see them. folder: the run's, as the user calls it.
    """
    units = {objective.name: objective.unit for objective in front.objectives}
    rows = front.light
    also = [place for place, id_ in enumerate(front.ids) if id_ in finalists]
    places = range(len(rows)) if whole else spread(len(rows), LISTED, [*seen_first(front), *also])
    table = front_table([rows[place] for place in places], front.names, finalists, units, width=width)
    more = len(rows) - len(places)
    return Group(table, f"\n{more:,} more on the front: nas front {folder} --all or --json") if more else table


def front_table(
    trials: Iterable[Any],
    names: Sequence[str],
    finalists: Mapping[int, Any],
    units: Mapping[str, str] | None = None,
    *,
    width: int = WIDTH,
) -> RenderableType:
    """The front with one row per trial, and what retraining gave: beside it, or in a table below.

    It stands below where the lines would be longer than `width`, where each finalist was measured in several ways, and
    where some are not on the front: none is left out.

    names: the metrics to show. finalists: trial id → the trial that evaluated it again. units: of metrics.
    """
    shown = list(trials)
    beside = _front(shown, names, finalists, units)
    all_there = {trial.id for trial in shown} >= set(finalists)
    if not finalists or (all_there and not ways_of(finalists.values()) and _needs(beside) <= width):
        return beside
    return Group(_front(shown, names, {}, units), "", _finalists(names, finalists, units))


def _front(
    trials: Sequence[Any], names: Sequence[str], finalists: Mapping[int, Any], units: Mapping[str, str] | None
) -> Table:
    table = _table("trial", *names)
    again = _again(names, finalists.values())
    if finalists:
        _add(table, "retrained for", *again)
    for trial in trials:
        row = [str(trial.id), *(written(name, trial.metrics.get(name), units) for name in names)]
        if finalists:
            other = finalists.get(trial.id)
            row.append("" if other is None else _budget(other))
            row += [written(name, other.metrics.get(name), units) if other is not None else "" for name in again]
        table.add_row(*row)
    return table


def _finalists(names: Sequence[str], finalists: Mapping[int, Any], units: Mapping[str, str] | None) -> Table:
    """A row per finalist, or per way of one; the way whose weights were taken has a mark."""
    ways, again = ways_of(finalists.values()), _again(names, finalists.values())
    table = _table("finalist", "retrained for")
    if ways:
        table.add_column("weights", no_wrap=True)
    _add(table, *again)
    for id_, trial in finalists.items():
        head = [str(id_), _budget(trial)]
        had = [way for way in ways if any(f"{name}_{way}" in trial.metrics for name in again)]
        if not had:
            row = [*head, *([""] if ways else []), *(written(name, trial.metrics.get(name), units) for name in again)]
            table.add_row(*row)
        for way in had:
            values = {name: trial.metrics.get(f"{name}_{way}") for name in again}
            best = taken(trial.metrics, way, again)
            cells = (written(name, value, units) for name, value in values.items())
            table.add_row(*head, f"{way} ✓" if best else way, *cells, style="bold" if best else "")
            head = ["", ""]
    return table


def _table(*titles: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    _add(table, *titles)
    return table


def _add(table: Table, *titles: str) -> None:
    for title in titles:
        style = "bold" if title.startswith("test_") else ""
        table.add_column(title, justify="right", style=style, overflow="fold")


def _needs(table: Table) -> int:
    """The columns that a table takes where nothing is broken into lines."""
    cells = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    return sum(max(map(len, texts)) for texts in cells) + 2 * (len(cells) - 1)


def _budget(trial: Any) -> str:
    return str(trial.budget) if trial.complete else f"failed: {trial.reason[:REASON]}"


def _again(names: Sequence[str], finalists: Iterable[Any]) -> list[str]:
    """Metrics of finalists that are worth a column: objectives that change with training, then those of the test.

    Those that tell another one in one of several ways are not among them.
    """
    known = list(finalists)
    have = {name for trial in known for name in trial.metrics}
    told = by_way(have, ways_of(known))
    trained = [name for name in names if name in have and name.startswith(("val_", "train_"))]
    tests = (name for name in have if name.startswith("test_") and not name.endswith("loss"))
    return [name for name in (*trained, *sorted(tests)) if name not in told]
