"""Which weights stay on disk: those of trials that nothing dominates, unless all are to be kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nas.core.roles import CHECKPOINT, TRIALS, WEIGHTS
from nas.engine.pareto import Cloud

KEEP = ("front", "all")
"""What may be kept: the weights of the front, or all."""


class Weights:
    """Deletes a trial's weights, and its checkpoint, when other trials dominate it, as the front grows.

    finalists: how many trials may be evaluated again and go on from their checkpoints: what fewer than so many networks
        dominate may be one of them, and stays. With 1, the front alone does.

    Points are losses, to be minimised. Equal points do not dominate one another.
    """

    def __init__(self, folder: Path, keep: str, finalists: int = 1) -> None:
        self._root = folder / TRIALS
        self._keep = keep
        self._most = finalists
        self._held: list[_Held] = []
        self._points = Cloud()

    def folder(self, trial_id: int) -> Path:
        """The folder of one trial, made if it is not there."""
        path = self._root / str(trial_id)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def checkpoint(self, trial_id: int) -> Path | None:
        """The folder of a trial that has a checkpoint, else None."""
        path = self._root / str(trial_id)
        return path if has_checkpoint(path) else None

    def measured(self, trial_id: int, point: tuple[float, ...], network: str = "") -> None:
        """A trial is complete: keep its weights or delete them, and those of the trials that it dominates once more.

        network: a key by which equal networks count as one.
        """
        new = _Held(trial_id, network or str(trial_id))
        better, _, worse = self._points.beside(point)
        new.beaten_by.update(self._held[place].network for place in better)
        for place in worse:
            self._held[place].beaten_by.add(new.network)
        self._held.append(new)
        self._points.add(point)
        gone = {place for place in (*worse, len(self._held) - 1) if len(self._held[place].beaten_by) >= self._most}
        if gone:
            for place in gone:
                self.useless(self._held[place].trial_id)
            stay = [place for place in range(len(self._held)) if place not in gone]
            self._points.keep(stay)
            self._held = [self._held[place] for place in stay]

    def useless(self, trial_id: int) -> None:
        """Delete the weights and the checkpoint of a trial, and its folder if nothing else is in it."""
        path = self._root / str(trial_id)
        if self._keep == "all" or not path.is_dir():
            return
        for file in (path / WEIGHTS, *path.glob(CHECKPOINT)):
            file.unlink(missing_ok=True)
        if not any(path.iterdir()):
            path.rmdir()


@dataclass(slots=True)
class _Held:
    """A trial whose weights are kept. beaten_by: the networks that dominate it."""

    trial_id: int
    network: str
    beaten_by: set[str] = field(default_factory=set)


def has_checkpoint(folder: Path) -> bool:
    """Whether an evaluator left something to go on from."""
    return any(folder.glob(CHECKPOINT))
