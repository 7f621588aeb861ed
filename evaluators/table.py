"""Evaluator `table`: results that others have measured, looked up by the space's own spelling of a network.

A whole search takes seconds, so strategies can be compared over many seeds. A benchmark's table has validation and test
columns; they are named apart here, and one column cannot be both. Metrics named `test_…` are looked up for finalists
only, as they are measured elsewhere.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evaluators.metrics import metric
from evaluators.paths import find_file
from evaluators.rows import Rows, read
from nas.core.errors import EvaluationError, NotInSpaceError, RecipeError, nearest
from nas.core.records import Budget, Candidate, Measurement, Metric
from nas.core.registry import register
from nas.core.seeds import generator
from nas.core.values import canonical

if TYPE_CHECKING:
    from nas.core.space import Space

DRAWN = 100
"""Networks looked up to see whether a table fits a space."""

Columns = Mapping[str, "str | Sequence[str] | Mapping[float, str | Sequence[str]]"]
"""Metric → a column; several, of which the mean is taken; or epochs → one of these."""


@register("evaluator", "table")
@dataclass(frozen=True, eq=False)
class Table:
    """Known results.

    path: a Parquet or CSV file, one row per network.
    columns: metric → column, as in {val_accuracy: val_acc_ep200, test_accuracy: test_acc_ep200}; a list of columns
        stands for their mean; {val_accuracy: {12: val_acc_ep12, 200: val_acc_ep200}} has one column per budget of
        epochs, and a budget in between gets the one below.
    key: the column that holds what `space.spell(graph)` gives; several, where their texts joined by colons do. Where
        a notation has several spellings of a network, the row of any of them is found.
    scale: metric → a factor, as in {val_accuracy: 100} where a column holds fractions.
    noise: metric → standard deviation of a Gaussian that is added, the same for the same network and seed.
    seconds: the column of what an evaluation took in seconds; it is reported, not waited for.
    join: further files, as in {path: latency.parquet, on: arch_index}; their columns can be named above. `on: row` is
        the row number where the table has no column of that name.

    Raises: DataError for files that cannot be read; RecipeError for an unknown column (with the nearest), for one
        column under both a `val_` and a `test_` metric, and for a table that does not fit the space.
    """

    path: str
    columns: Columns
    space: Space | None = None
    key: str | Sequence[str] = "arch"
    scale: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    seconds: str | None = None
    join: Mapping[str, str] | Sequence[Mapping[str, str]] = ()

    in_process: ClassVar[bool] = True
    knows_stage: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", str(find_file(self.path, "table")))
        if not isinstance(self.columns, Mapping) or not self.columns:
            raise RecipeError("table: columns is empty; expected metric: column, as in {val_accuracy: val_acc_ep200}")
        for name in self.columns:
            if not isinstance(name, str) or not name:
                raise RecipeError(f"table: columns of {name!r}; expected the name of a metric, as in val_accuracy")
            metric(name)
        self._check_factors("scale", self.scale, -math.inf)
        self._check_factors("noise", self.noise, 0.0)
        self._check_names()
        self._refuse_shared_columns()
        if self.space is not None:
            self._check_space(self.space)

    # ---- the role ------------------------------------------------------------------------------------------------

    def evaluate(self, candidate: Candidate, budget: Budget, seed: int, *, stage: str | None = None) -> Measurement:
        """The row of a candidate. stage: in a 'search' what was measured on the test part is left out.

        Raises: EvaluationError when the table has no such row, or no number in it; RecipeError without a space.
        """
        if self.space is None:
            raise RecipeError("table: no space is given; it is needed to spell networks as the table does")
        rows = self._rows
        place, key = self._place(self.space, candidate, rows)
        found = {}
        for name, levels in self._levels.items():
            if stage == "search" and name.startswith("test_"):
                continue
            value = self._value(rows, levels, place, budget, key)
            if name in self.noise:
                value += generator(seed, "table noise", key, name).gauss(0.0, self.noise[name])
            found[name] = value * self.scale.get(name, 1.0)
        seconds = self._number(rows, self.seconds, place, key) if self.seconds else 0.0
        return Measurement(found, seconds, notes={"row": place})

    def metrics(self) -> Iterable[Metric]:
        """One per entry of `columns`."""
        return [metric(name) for name in self.columns]

    def fingerprint(self) -> str:
        """Changes with the files and with every field that changes a number."""
        said = canonical(
            [self.key, self.seconds, *(sorted((str(k), str(v)) for k, v in m.items()) for m in self._mappings)]
        )
        return f"table2:{self._rows.content}:{hashlib.blake2b(said.encode(), digest_size=8).hexdigest()}"

    @property
    def default_budget(self) -> Budget:
        """The largest number of epochs that the table has."""
        return Budget(max((level for levels in self._levels.values() for level, _ in levels if level), default=1.0))

    def describe(self) -> dict[str, Any]:
        """What was found: rows, and per column used how many numbers are missing."""
        rows = self._rows
        missing = {name: sum(value is None for value in column) for name, column in rows.columns.items()}
        return {"path": self.path, "rows": len(rows.places), "key": self.key, "missing": missing}

    # ---- reading -------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def _mappings(self) -> tuple[Mapping[str, Any], ...]:
        return self.columns, self.scale, self.noise

    @cached_property
    def _levels(self) -> dict[str, list[tuple[float, tuple[str, ...]]]]:
        """Metric → (epochs, columns whose mean is meant), by epochs; epochs 0 for any budget."""
        levels = {}
        for name, given in self.columns.items():
            by_epochs = {_epochs(e, name): c for e, c in given.items()} if isinstance(given, Mapping) else {0.0: given}
            if not by_epochs or not all(_is_names(columns) for columns in by_epochs.values()):
                raise RecipeError(
                    f"table: columns of {name!r} are {given!r}; expected a column, a list of columns, or epochs: column"
                )
            if isinstance(given, Mapping) and len(by_epochs) < len(given):
                raise RecipeError(f"table: columns of {name!r} name an epoch twice: {given!r}; leave one out")
            levels[name] = sorted((e, (c,) if isinstance(c, str) else tuple(c)) for e, c in by_epochs.items())
        return levels

    @cached_property
    def _rows(self) -> Rows:
        wanted = [column for levels in self._levels.values() for _, columns in levels for column in columns]
        joins = [self.join] if isinstance(self.join, Mapping) else list(self.join)
        return read(self.path, self._key, [*wanted, *([self.seconds] if self.seconds else [])], joins)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_rows", "_levels")}

    def _place(self, space: Space, candidate: Candidate, rows: Rows) -> tuple[int, str]:
        """The number of a candidate's row, and its key there."""
        spelling = space.spell(candidate.graph)
        if spelling in rows.places:
            return rows.places[spelling], spelling
        for other in getattr(space, "spellings", lambda graph: ())(candidate.graph):
            if other in rows.places:
                return rows.places[other], other
        raise EvaluationError(f"{Path(self.path).name} has no row whose {':'.join(self._key)} is {spelling!r}")

    def _value(
        self, rows: Rows, levels: Sequence[tuple[float, tuple[str, ...]]], place: int, budget: Budget, key: str
    ) -> float:
        fitting = [columns for epochs, columns in levels if epochs <= budget.amount or not epochs]
        if levels[0][0] and budget.unit != "epochs":
            raise EvaluationError(f"a table by epochs cannot answer for a budget of {budget}")
        if not fitting:
            raise EvaluationError(f"the table begins at {levels[0][0]:g} epochs; the budget is {budget}")
        numbers = [self._number(rows, column, place, key) for column in fitting[-1]]
        return sum(numbers) / len(numbers)

    def _number(self, rows: Rows, column: str, place: int, key: str) -> float:
        value = rows.columns[column][place]
        if value is None:
            raise EvaluationError(f"{Path(self.path).name}, row {place} ({key}): no number in column {column!r}")
        return value

    # ---- checks --------------------------------------------------------------------------------------------------

    def _check_factors(self, field: str, given: object, least: float) -> None:
        """Refuse a `scale` or `noise` that is no finite number per metric."""
        if not isinstance(given, Mapping):
            raise RecipeError(f"table: {field} is {given!r}; expected metric: number, as in {{val_accuracy: 0.5}}")
        for of, value in given.items():
            if of not in self.columns:
                raise RecipeError(f"table: {field} of {of!r}, which no column gives; {nearest(of, self.columns)}")
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < least:
                low = f" of at least {least:g}" if math.isfinite(least) else ""
                raise RecipeError(f"table: {field} of {of!r} is {value!r}; expected a finite number{low}, as in 0.5")

    def _check_names(self) -> None:
        """Refuse a `key`, `seconds` or `join` that names no column."""
        if not _is_names(self.key):
            raise RecipeError(f"table: key is {self.key!r}; expected a column, or a list of columns")
        if self.seconds is not None and not (isinstance(self.seconds, str) and self.seconds):
            raise RecipeError(f"table: seconds is {self.seconds!r}; expected a column")
        several = [self.join] if isinstance(self.join, Mapping) else self.join
        if not isinstance(several, list | tuple) or not all(isinstance(one, Mapping) for one in several):
            raise RecipeError(f"table: join is {self.join!r}; expected {{path: FILE, on: COLUMN}}, or a list of these")
        for one in several:
            if set(one) != {"path", "on"} or not isinstance(one["on"], str):
                raise RecipeError(f"table: join {dict(one)!r}; expected {{path: FILE, on: COLUMN}}")

    def _refuse_shared_columns(self) -> None:
        used: dict[str, dict[str, str]] = {}
        for name, levels in self._levels.items():
            for column in (column for _, columns in levels for column in columns):
                parts = used.setdefault(column, {})
                parts[name.partition("_")[0]] = name
                if "val" in parts and "test" in parts:
                    raise RecipeError(
                        f"table: column {column!r} serves as both {parts['val']!r} and {parts['test']!r}; a search "
                        "that follows the test numbers proves nothing: give them different columns"
                    )

    def _check_space(self, space: Space) -> None:
        """Refuse a table that knows none of the networks that are drawn from the space."""
        rng = random.Random(0)
        spelled, reason = "", ""
        for _ in range(DRAWN):
            candidate = space.sample(rng)
            try:
                spelled = spelled or space.spell(candidate.graph)
                self._place(space, candidate, self._rows)
            except EvaluationError:
                continue
            except NotInSpaceError as error:
                reason = str(error)
            else:
                return
        if not spelled:
            raise RecipeError(f"table: networks of this space cannot be looked up: {reason}")
        raise RecipeError(
            f"table: {Path(self.path).name} has none of {DRAWN} networks drawn from the space; the space spells "
            f"{spelled!r}, {':'.join(self._key)} begins with {next(iter(self._rows.places), '')!r}"
        )


def _is_names(given: object) -> bool:
    """Whether it is a column or several."""
    several = given if isinstance(given, list | tuple) else [given]
    return bool(several) and all(isinstance(name, str) and name for name in several)


def _epochs(given: object, name: str) -> float:
    try:
        number = math.nan if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise RecipeError(f"table: columns of {name!r}: {given!r} epochs; expected a finite number above 0: column")
    return number
