"""A store and a cache that forget: for tests, and for looking at a part without a run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.core.errors import StoreError
from nas.core.records import Known, Status, Trial


class MemoryStore:
    """The Store role in a dictionary. Nothing survives the process."""

    def __init__(self) -> None:
        self._trials: dict[int, Trial] = {}
        self._facts: dict[str, Any] = {}

    def add(self, trial: Trial) -> None:
        """Keep a trial. Raises StoreError when its id is there already."""
        if trial.id in self._trials:
            raise StoreError(f"trial {trial.id} is in the store already; a trial is added once")
        self._trials[trial.id] = trial

    def trials(self, stage: str | None = None) -> list[Trial]:
        """All trials (of one stage), by id."""
        return [trial for _, trial in sorted(self._trials.items()) if stage in (None, trial.stage)]

    def find(self, evaluation_key: str) -> Trial | None:
        """The complete, evaluated trial with this evaluation key."""
        for trial in self.trials():
            fits = trial.status is Status.COMPLETE and trial.source == "evaluated"
            if fits and trial.keys.get("evaluation") == evaluation_key:
                return trial
        return None

    def note(self, name: str, value: Any) -> None:
        """Keep a fact."""
        self._facts[name] = value

    def facts(self) -> Mapping[str, Any]:
        """All facts."""
        return dict(self._facts)


class MemoryCache:
    """The Cache role in a list. Other runs of this process may share it."""

    def __init__(self) -> None:
        self.held: list[Known] = []

    def find(self, keys: Mapping[str, str]) -> Known | None:
        """The first by graph, else the first by function."""
        for evaluation, key in (("evaluation", "graph"), ("function", "functional")):
            for known in self.held:
                same = keys.get(evaluation) and known.keys.get(evaluation) == keys[evaluation]
                if same and known.keys[key].partition(":")[0] == keys[key].partition(":")[0]:
                    return known
        return None

    def add(self, known: Known) -> None:
        """Keep it."""
        self.held.append(known)

    def close(self) -> None:
        """Nothing to let go of."""
