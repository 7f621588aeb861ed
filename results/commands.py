"""What to type to take a trial's network home: the one place that says it, for terminal and report."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.roles import TRIALS, WEIGHTS

if TYPE_CHECKING:
    from results.run import Run


def export_command(folder: str | os.PathLike[str], trial: int | str, *, held: bool) -> str:
    """The command for a trial. held: whether the run holds weights that an export of it takes.

    >>> export_command("runs/my run", 7, held=False)
    "nas export 'runs/my run' 7 --to net-7 --untrained"
    """
    return f"nas export {shlex.quote(str(folder))} {trial} --to net-{trial}{'' if held else ' --untrained'}"


class Commands:
    """The commands of a run's trials, as it is now. The folders of weights are listed once, however many are asked for.

    folder: the run's, as the user calls it.
    """

    def __init__(self, run: Run, folder: str | os.PathLike[str]) -> None:
        self._run, self._folder = run, folder
        self._finalists = run.finalists
        self._kept = {"": _kept(run.folder)}

    def holds(self, trial: Any) -> bool:
        """Whether an export of a `Trial` or a `Row` finds weights: those of its finalist, where that is complete."""
        again = self._finalists.get(trial.id)
        chosen = again if again is not None and again.complete else trial
        if chosen.id in self._kept[""]:
            return True
        if chosen.reuses is None:
            return False
        if chosen.origin not in self._kept:
            self._kept[chosen.origin] = _kept(Path(chosen.origin))
        return chosen.reuses in self._kept[chosen.origin] and self._run.weights_of(chosen) is not None

    def of(self, trial: Any) -> str:
        """What takes the network of a `Trial` or a `Row` home."""
        return export_command(self._folder, trial.id, held=self.holds(trial))


def _kept(folder: Path | None) -> frozenset[int]:
    """The trials of which a run's folder holds weights."""
    if folder is None:  # the run lies in a server's database
        return frozenset()
    try:
        with os.scandir(folder / TRIALS) as entries:
            names = [entry.name for entry in entries if entry.name.isdigit()]
    except OSError:  # nothing was kept there
        return frozenset()
    return frozenset(int(name) for name in names if (folder / TRIALS / name / WEIGHTS).is_file())
