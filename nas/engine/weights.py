"""Which weights stay on disk: those of trials that nothing dominates, unless all are to be kept."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = "weights.safetensors"
KEEP = ("front", "all")
"""What may be kept: the weights of the front, or all."""


class Weights:
    """Deletes a trial's weights when another trial dominates it, as the front grows.

    Points are losses, to be minimised. Equal points do not dominate one another.
    """

    def __init__(self, folder: Path, keep: str) -> None:
        self._root = folder / "trials"
        self._keep = keep
        self._front: list[tuple[tuple[float, ...], int]] = []

    def folder(self, trial_id: int) -> Path:
        """The folder of one trial, made if it is not there."""
        path = self._root / str(trial_id)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def measured(self, trial_id: int, point: tuple[float, ...]) -> None:
        """A trial is complete: place it on the front, or delete its weights, and those of the trials it dominates."""
        if any(_dominates(other, point) for other, _ in self._front):
            self.useless(trial_id)
            return
        for other, beaten in self._front:
            if _dominates(point, other):
                self.useless(beaten)
        self._front = [entry for entry in self._front if not _dominates(point, entry[0])]
        self._front.append((point, trial_id))

    def useless(self, trial_id: int) -> None:
        """Delete the weights of a trial, and its folder if nothing else is in it."""
        path = self._root / str(trial_id)
        if self._keep == "all" or not path.is_dir():
            return
        (path / WEIGHTS).unlink(missing_ok=True)
        if not any(path.iterdir()):
            path.rmdir()


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
