"""What a search shows while it runs: a live view on a terminal, plain lines elsewhere. Always on standard error.

Events only count; the view is made a few times a second by a thread of its own, however many trials there are.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from nas.core.records import Objective, Trial
from nas.standing import Standing
from results.units import clock, written

if TYPE_CHECKING:
    from nas.engine.controller import Event

EVERY_SECONDS = 10.0
"""Time between plain lines, where there is no terminal."""
PER_SECOND = 4
"""How often the live view is made anew."""
ROWS = 5
"""Most trials of the front that the view shows."""
SHORTEST, BAR = 6, 30
"""Fewest and most columns of its bar; where there is less room there is none."""
FEW = 4
"""Trials of this session before the time left is estimated: the first ones wait for workers to start."""
SOON = 0.05
"""Seconds left of which nothing is said any more."""
TOLD = 10
"""Failed trials that get a line each; later ones are counted."""

COUNTED = {
    "complete": "complete",
    "cache": "from the cache",
    "pruned": "pruned",
    "infeasible": "infeasible",
    "failed": "failed",
}
"""What a trial counts as → how that is said."""


@dataclass(frozen=True)
class Stage:
    """What goes on: 'preparing', 'search' or 'finalists'; how far it is, and a note."""

    name: str
    done: int
    total: int | None
    note: str = ""


class Show:
    """Takes a controller's events; use with `with`.

    trials: how many are planned; None: as many as the hours allow. hours: the limit on time, if any.
    finalists: how many will be trained again.
    """

    def __init__(
        self, console: Console, objectives: Sequence[Objective], trials: int | None, hours: float | None, finalists: int
    ) -> None:
        self.console = console
        self.standing = Standing(objectives)
        self.trials, self.hours, self.finalists = trials, hours, finalists
        self.counts: Counter[str] = Counter()
        self.seen = self.retrained = self.replayed = 0
        self.began = self.shown = time.monotonic()
        self.until: float | None = None
        self.stage = Stage("search", 0, trials, "starting")
        self.spinner = Spinner("dots")
        self.live: Live | None = None

    def __enter__(self) -> Show:
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self.live = Live(
                get_renderable=self.view, console=self.console, transient=True, refresh_per_second=PER_SECOND
            )
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    # ---- events ----------------------------------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """One event of a controller."""
        trial = event.trial
        if event.kind == "finalist":
            self.retrained += 1
            self._finalist(trial)
            return
        now = time.monotonic()
        if self.hours is not None:  # they count from the run's beginning, which may be sessions ago
            self.until = now + self.hours * 3600 - event.outcome.seconds
        self.seen += 1
        self.replayed += event.kind == "replay"
        if self.seen == self.replayed:
            self.began = now  # the rate is that of this session
        self.counts["cache" if trial.complete and trial.source == "cache" else str(trial.status)] += 1
        self.standing.add(trial)
        if self.stage.name != "search":
            self.stage = Stage("search", self.seen, self.trials)
        if trial.status == "failed" and event.kind != "replay":
            self._failed(trial)
        last = self.seen == self.trials
        if self.live is None and event.kind != "replay" and (last or now - self.shown >= EVERY_SECONDS):
            self.shown = now
            total = f"/{self.trials}" if self.trials else ""
            parts = [f"{self.seen}{total} trials", *self._pace(now), *self._counted(short=True), self.standing.text()]
            self._say(", ".join(parts))

    def prepare(self, row: Mapping[str, float]) -> None:
        """How far the evaluator is that is got ready before the search: `epoch` of `epochs`, and other numbers."""
        now = time.monotonic()
        epoch, epochs, seconds = row.get("epoch", 0.0), row.get("epochs", 0.0), row.get("seconds")
        numbers = {name: value for name, value in row.items() if name not in ("epoch", "epochs", "seconds")}
        told = [f"{name} {value:.3g}" for name, value in numbers.items()]
        done = epoch >= epochs
        left = [f"{clock(seconds * (epochs - epoch) / epoch)} left"] if seconds and 0 < epoch < epochs else []
        self.began = now  # the rate is that of the trials
        self.stage = Stage("search", 0, self.trials, "starting") if done else \
            Stage("preparing", int(epoch), round(epochs), ", ".join([*told, *left]))  # fmt: skip
        if done:
            took = [f"took {clock(seconds)}"] if seconds else []
            self._say(f"preparing: {', '.join([f'{epochs:g} epochs', *took, *told])}")
        elif self.live is None and now - self.shown >= EVERY_SECONDS:
            self.shown = now
            self._say(f"preparing: {', '.join([f'epoch {epoch:.1f}/{epochs:g}', *told, *left])}")

    def _failed(self, trial: Trial) -> None:
        if self.counts["failed"] <= TOLD:
            self._say(f"trial {trial.id} failed: {trial.reason}", "yellow")
        if self.counts["failed"] == TOLD:
            self._say("trials that fail from here on are counted", "yellow")

    def _finalist(self, trial: Trial) -> None:
        names = [objective.name for objective in self.standing.objectives]
        names = [name for name in trial.metrics if name in names or name in _tests(trial)]
        told = ", ".join(f"{name} {written(name, trial.metrics[name])}" for name in names) or trial.reason
        self._say(f"finalist {self.retrained}/{self.finalists} (trial {trial.of} for {trial.budget}): {told}")

    def _say(self, line: str, style: str | None = None) -> None:
        """A line that stays, above the view."""
        self.console.print(line, style=style, markup=False, highlight=False, soft_wrap=self.live is None)

    # ---- the view --------------------------------------------------------------------------------------------------

    def view(self) -> RenderableType:
        """What stands on the terminal now. Fits its width, and is low whatever the search is."""
        wide, stage = self.console.width, self._stage()
        lines: list[RenderableType] = [self._line(stage, wide)]
        counted = self._counted()
        if counted:
            lines.append(Text(" · ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in counted), style="dim"))
        if self.standing.points:
            rows = max(min(ROWS, self.console.height - 8), 1)
            lines.append(self._front(wide, rows))
            size = len(self.standing.points)
            if size > rows:
                told = f"the best {rows} of {size:,} on the front, by {self.standing.objectives[0].name}"
                lines.append(Text(told, style="dim italic", no_wrap=True, overflow="ellipsis"))
        return Group(*lines)

    def _stage(self) -> Stage:
        """What goes on now: finalists after the last trial, and after the last of them files are written."""
        if self.stage.name == "preparing":
            return self.stage
        if self.seen == self.trials or self.retrained:
            if self.retrained < self.finalists:
                return Stage("finalists", self.retrained, self.finalists)
            return Stage("finishing", self.seen, None, "trials, writing files")
        note = ", ".join(self._pace(time.monotonic())) if self.seen else self.stage.note
        return Stage("search", self.seen, self.trials, note)

    def _line(self, stage: Stage, wide: int) -> RenderableType:
        """`⠋ search ━━━━━━ 512/2,000 820/s, 1.8 s left`: the bar takes what room is left, the note is cut to fit."""
        count = f"{stage.done:,}/{stage.total:,}" if stage.total else f"{stage.done:,}"
        left = wide - len(f"x {stage.name} {count} ")
        note = Text(stage.note)
        note.truncate(max(left, 1), overflow="ellipsis")
        left -= len(note) + 1
        cells: list[RenderableType] = [self.spinner, Text(stage.name, style="bold")]
        if stage.total and left >= SHORTEST:
            bar = ProgressBar(total=stage.total, completed=min(stage.done, stage.total), width=min(left, BAR))
            cells.append(bar)
        grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        grid.add_row(*cells, Text(count), note)
        return grid

    def _front(self, wide: int, rows: int) -> Table:
        """The front so far: the best few by the first objective, and as many objectives as fit."""
        objectives = self.standing.objectives
        units = {objective.name: objective.unit for objective in objectives}
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("trial", justify="right", no_wrap=True)
        shown, left = 0, wide - len("trial")
        for place, objective in enumerate(objectives):
            texts = [written(objective.name, point.values[place], units) for point in self.standing.best(rows)]
            left -= 2 + max(map(len, [objective.name, *texts]))
            if left < 0 and place:
                break
            shown += 1
            table.add_column(objective.name, justify="right", no_wrap=True, overflow="ellipsis")
        for point in self.standing.best(rows):
            values = zip(objectives[:shown], point.values[:shown], strict=True)
            table.add_row(str(point.trial), *(written(o.name, value, units) for o, value in values))
        return table

    # ---- words -----------------------------------------------------------------------------------------------------

    def _counted(self, *, short: bool = False) -> list[str]:
        """How many trials ended how. short: those that say that something is wrong only."""
        names = ("infeasible", "failed") if short else COUNTED
        return [f"{self.counts[name]:,} {COUNTED[name]}" for name in names if self.counts[name]]

    def _pace(self, now: float) -> list[str]:
        """How fast it goes, and how long it may still take."""
        done, seconds = self.seen - self.replayed, now - self.began
        if done == 0 or seconds <= 0:
            return ["read back" if self.replayed else "starting"]
        rate = done / seconds
        speed = f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s" if rate >= 1 else f"{60 * rate:.3g}/min"
        left = self._left(rate, now)
        return [speed, *([f"{clock(left)} left"] if left is not None and left >= SOON else [])]

    def _left(self, rate: float, now: float) -> float | None:
        estimates = []
        if self.trials is not None and self.seen - self.replayed >= FEW:
            estimates.append((self.trials - self.seen) / rate)
        if self.until is not None:
            estimates.append(max(0.0, self.until - now))
        return min(estimates) if estimates else None


def _tests(trial: Trial) -> list[str]:
    """Metrics of the test part that say how good a network is."""
    return [name for name in trial.metrics if name.startswith("test_") and not name.endswith("loss")]
