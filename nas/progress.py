"""What a search shows while it runs: a live bar on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from nas.core.records import Objective, Trial, losses
from results.units import clock, written

if TYPE_CHECKING:
    from nas.engine.controller import Event

EVERY_SECONDS = 10.0
"""Time between plain lines, where there is no terminal."""
REFRESH_SECONDS = 0.1
FEW = 4
"""Trials of this session before the time left is estimated: the first ones wait for workers to start."""


class Standing:
    """The best so far: the points that nothing dominates, as trials come."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.objectives = tuple(objectives)
        self.points: list[tuple[float, ...]] = []
        self.best: float | None = None

    def add(self, trial: Trial) -> None:
        """Take a complete trial into account."""
        if not trial.complete:
            return
        point = losses(trial, self.objectives)
        if trial.source == "cache" and point in self.points:
            return
        if any(all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in self.points):
            return
        self.points = [p for p in self.points if p == point or not all(a <= b for a, b in zip(point, p, strict=True))]
        self.points.append(point)
        first = self.objectives[0]
        value = trial.metrics[first.name]
        if self.best is None or first.loss({first.name: value}) < first.loss({first.name: self.best}):
            self.best = value

    def text(self) -> str:
        """`best val_accuracy 98.61 %, front of 5`."""
        if self.best is None:
            return "nothing measured yet"
        first = self.objectives[0]
        front = f", front of {len(self.points)}" if len(self.objectives) > 1 else ""
        return f"best {first.name} {written(first.name, self.best, {first.name: first.unit})}{front}"


class Show:
    """Takes a controller's events; use with `with`.

    trials: how many are planned; None: as many as the hours allow. hours: the limit on time, if any.
    """

    def __init__(
        self, console: Console, objectives: Sequence[Objective], trials: int | None, hours: float | None, finalists: int
    ) -> None:
        self.console = console
        self.standing = Standing(objectives)
        self.trials, self.hours, self.finalists = trials, hours, finalists
        self.seen = self.retrained = self.replayed = 0
        self.began = self.shown = time.monotonic()
        self.progress: Progress | None = None
        self.task: Any = None

    def __enter__(self) -> Show:
        if self.console.is_terminal:
            self.progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn() if self.trials else TextColumn("{task.completed}"),
                TextColumn("{task.fields[note]}"),
                console=self.console,
                transient=True,
                refresh_per_second=8,
            )
            self.progress.start()
            self.task = self.progress.add_task("search", total=self.trials, note="starting")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress is not None:
            self.progress.stop()

    def __call__(self, event: Event) -> None:
        """One event of a controller."""
        trial = event.trial
        now = time.monotonic()
        if event.kind == "finalist":
            self.retrained += 1
            self._finalist(trial)
            return
        self.seen += 1
        self.replayed += event.kind == "replay"
        if self.seen == self.replayed:
            self.began = now  # the rate is that of this session
        self.standing.add(trial)
        if trial.status == "failed":
            self.console.print(
                f"trial {trial.id} failed: {trial.reason}", style="yellow", markup=False, highlight=False
            )
        last = self.seen == self.trials
        if self.progress is not None:
            if last or now - self.shown >= REFRESH_SECONDS:
                self.shown = now
                note = self._note(now)
                self.progress.update(self.task, completed=self.seen, note=note)
        elif event.kind != "replay" and (last or now - self.shown >= EVERY_SECONDS):
            self.shown = now
            total = f"/{self.trials}" if self.trials else ""
            self.console.print(f"{self.seen}{total} trials, {self._note(now)}", markup=False, highlight=False)

    def prepare(self, row: Mapping[str, float]) -> None:
        """How far the evaluator is that is got ready before the search: `epoch` of `epochs`, and other numbers."""
        now = time.monotonic()
        epoch, epochs = row.get("epoch", 0.0), row.get("epochs", 0.0)
        shown = {name: value for name, value in row.items() if name not in ("epoch", "epochs", "seconds")}
        told = ", ".join(f"{name} {value:.3g}" for name, value in shown.items())
        left = ""
        if epoch > 0 and "seconds" in row:
            left = f"{', ' if told else ''}{clock(row['seconds'] * (epochs - epoch) / epoch)} left"
        self.began = now  # the rate is that of the trials
        if self.progress is not None:
            total, done = self.trials, epoch >= epochs
            self.progress.update(
                self.task, description="search" if done else "preparing", total=total if done else round(epochs),
                completed=0 if done else int(epoch), note="starting" if done else f"{told}{left}",
            )  # fmt: skip
        elif now - self.shown >= EVERY_SECONDS or epoch >= epochs:
            self.shown = now
            self.console.print(f"preparing: epoch {epoch:.1f}/{epochs:g}, {told}{left}", markup=False, highlight=False)

    def _finalist(self, trial: Trial) -> None:
        names = [objective.name for objective in self.standing.objectives]
        names = [name for name in trial.metrics if name in names or name in _tests(trial)]
        told = ", ".join(f"{name} {written(name, trial.metrics[name])}" for name in names) or trial.reason
        line = f"finalist {self.retrained}/{self.finalists} (trial {trial.of} for {trial.budget}): {told}"
        if self.progress is not None:
            self.progress.update(
                self.task, description="finalists", total=self.finalists, completed=self.retrained, note=told
            )
        self.console.print(line, markup=False, highlight=False)

    def _note(self, now: float) -> str:
        done, seconds = self.seen - self.replayed, now - self.began
        rate = done / seconds if seconds > 0 else 0.0
        speed = f"{rate:.3g}/s" if rate >= 1 else f"{60 * rate:.3g}/min"
        left = self._left(rate, seconds)
        end = f", {clock(left)} left" if left is not None else ""
        return f"{speed}, {self.standing.text()}{end}"

    def _left(self, rate: float, seconds: float) -> float | None:
        estimates = []
        if self.trials is not None and self.seen - self.replayed >= FEW:
            estimates.append((self.trials - self.seen) / rate)
        if self.hours is not None:
            estimates.append(max(0.0, self.hours * 3600 - seconds))
        return min(estimates) if estimates else None


def _tests(trial: Trial) -> list[str]:
    """Metrics of the test part that say how good a network is."""
    return [name for name in trial.metrics if name.startswith("test_") and not name.endswith("loss")]
