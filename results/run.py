"""`Run`: everything that was recorded of one search, to look at, now or later, here or elsewhere."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nas.core.errors import DamageWarning, ShapeError, StoreError
from nas.core.profile import InputSpec
from nas.core.records import Objective, Trial
from nas.core.roles import TRIALS, WEIGHTS
from results.front import Front
from results.rows import Row
from results.store import SqlStore

if TYPE_CHECKING:
    import pandas
    from torch import Tensor

    from results.export import Examples, Exported
    from results.savings import Savings
    from results.taking import Taking


class Run:
    """A run that has ended or is still going; looking changes nothing, and always sees what is there by then.

    where: the run's folder, its database file, or a database URL. `run` names one of several runs in a database.

    Raises: StoreError when there is no run, or one that cannot be read.
    """

    def __init__(self, where: str | os.PathLike[str], *, run: str = "main") -> None:
        self.store = SqlStore.read(where, run=run)
        self.folder: Path | None = self.store.path.parent if self.store.path is not None else None
        self._rows: list[Row] = []
        self._damaged: list[str] = []
        self._front: tuple[int, Front[Trial]] | None = None

    @classmethod
    def open(cls, where: str | os.PathLike[str], *, run: str = "main") -> Run:
        """The same as `Run(where)`."""
        return cls(where, run=run)

    # ---- what was recorded -----------------------------------------------------------------------------------------

    @property
    def facts(self) -> Mapping[str, Any]:
        """What made the run, by name: recipe, data, versions, …"""
        return self.store.facts()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What was searched for, the most important first."""
        given = self.facts.get("objectives")
        try:
            return tuple(Objective(each["name"], each["direction"], each.get("unit", "")) for each in given or ())
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{self}: the fact 'objectives' is {given!r}; expected a list of mappings") from error

    @property
    def inputs(self) -> dict[str, InputSpec] | None:
        """What its networks take, if that was recorded."""
        given = self.facts.get("inputs")
        if not given:
            return None
        try:
            return {
                name: InputSpec(tuple(spec["shape"]), spec.get("dtype", "float32"), spec.get("vocabulary"))
                for name, spec in given.items()
            }
        except (KeyError, TypeError, AttributeError, ShapeError) as error:
            raise StoreError(
                f"{self}: the fact 'inputs' is {given!r}; expected a mapping such as "
                "{'x': {'shape': [3, 32, 32]}}; "
                "the store is damaged: open a copy made before"
            ) from error

    @property
    def rows(self) -> list[Row]:
        """All ended trials in their light form, by id. Damaged ones are left out: a DamageWarning names them."""
        if len(self._rows) + len(self._damaged) != len(self.store):  # trials are only ever appended
            damaged: list[str] = []
            self._rows = self.store.rows(skipped=damaged.append)
            if len(damaged) > len(self._damaged):
                more = f", and {len(damaged) - 1:,} more trials" if len(damaged) > 1 else ""
                warnings.warn(f"{self.store.path or self}: {damaged[0]}{more}; left out", DamageWarning, stacklevel=2)
            self._damaged = damaged
        return self._rows

    @property
    def damaged(self) -> int:
        """How many trials are damaged in the store, and left out everywhere."""
        _ = self.rows  # looks
        return len(self._damaged)

    def trials(self, stage: str | None = None) -> pandas.DataFrame:
        """A row per ended trial; see `results.frame`."""
        from results import frame

        return frame.trials(self.rows, stage)

    def trial(self, id_: int) -> Trial:
        """One trial, whole. Raises StoreError when it is not there."""
        return self.store.pick([id_])[0]

    @property
    def front(self) -> Front[Trial]:
        """The trials that nothing dominates. Raises StoreError when the run was stopped before it said its goals."""
        if not self.objectives:
            raise StoreError(f"{self} has no objectives: it was stopped before it began; start the search again")
        rows = self.rows
        if self._front is None or self._front[0] != len(rows):
            self._front = len(rows), Front(rows, self.objectives, load=self.store.pick)
        return self._front[1]

    @property
    def finalists(self) -> dict[int, Trial]:
        """Id of a search trial → the trial that evaluated it again after the search (the last such)."""
        again = self.store.pick(row.id for row in self.rows if row.stage == "finalist")
        return {trial.of: trial for trial in again if trial.of is not None}

    @property
    def saved(self) -> Savings:
        """What its search did not have to pay for."""
        from results.savings import savings

        return savings(self.rows, self.facts)

    # ---- what is made of it ----------------------------------------------------------------------------------------

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the report, one self-contained HTML page, and return where (by default `report.html` in the folder)."""
        from results.report import write_report

        return write_report(self, path)

    def export(
        self,
        trial: Trial | Row | int,
        to: str | os.PathLike[str],
        *,
        untrained: bool = False,
        formats: Iterable[str] | str | None = None,
        examples: Examples | Sequence[Tensor] | Tensor | None = None,
        fold_norms: bool = False,
        merge_branches: bool = False,
        replace: bool = False,
    ) -> Exported:
        """Write a trial's network as an ordinary torch module into the folder `to`, with the weights that the run kept.

        A trial that took its numbers from the cache has the weights of the one that it reuses. untrained: where none
        were kept, write the network with fresh weights; the notes of what is returned say so. formats: what is written
        beside the source, `"pt2"` and `"onnx"`; `"none"` for the source alone; None: all that can be. examples: inputs
        on which all forms are compared; `nas.examples` takes them from the run's own data. fold_norms, merge_branches:
        fuse layers. replace: write over an earlier export in that folder.

        Raises: StoreError when there is no such trial, or the run does not say what its networks take; ExportError
            when the folder holds an earlier export and `replace` is not said, or anything else; when no weights were
            kept and `untrained` is not said; when a format that was asked for cannot be written; or when a form does
            not give the same outputs.
        """
        asked = self.taking(
            trial, to, untrained=untrained, formats=formats, fold_norms=fold_norms, merge_branches=merge_branches,
            replace=replace,
        )  # fmt: skip
        return asked.write(examples)

    def taking(self, trial: Trial | Row | int, to: str | os.PathLike[str], **options: Any) -> Taking:
        """The first half of `export`, which takes the same options: the request, checked; its `write` is the rest."""
        from results.taking import taking

        return taking(self, trial, to, **options)

    def weights_of(self, trial: Trial) -> Path | None:
        """The file of weights that was kept for a trial, or for the same network in the trial that it reuses."""
        own = self._file(self.folder, trial.id)
        if own is not None or trial.reuses is None:
            return own
        if not trial.origin:
            other = self.trial(trial.reuses)
            return self._file(self.folder, other.id) if _same_network(trial, other) else None
        try:
            with Run(trial.origin) as run:
                other = run.trial(trial.reuses)
        except StoreError:  # that run is not there any more
            return None
        return self._file(Path(trial.origin), other.id) if _same_network(trial, other) else None

    def _file(self, folder: Path | None, id_: int) -> Path | None:
        path = folder / TRIALS / str(id_) / WEIGHTS if folder is not None else None
        return path if path is not None and path.is_file() else None

    def weights(self, trial: Trial) -> dict[str, Tensor] | None:
        """The state dict that was kept for a trial, None where none was. Raises StoreError when its file is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.weights_of(trial)
        if path is None:
            return None
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise StoreError(f"{path} is damaged ({error}); expected the weights of trial {trial.id}") from error

    # ---- ending ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Run({str(self.folder or self.store.url)!r})"


def _same_network(trial: Trial, other: Trial) -> bool:
    """Whether weights of one fit the other: networks that only compute the same have weights of their own."""
    return trial.keys.get("graph") == other.keys.get("graph")
