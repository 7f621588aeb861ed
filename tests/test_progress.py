"""What a search shows while it runs: on a terminal of any width, in a pipe, when it fails."""

from __future__ import annotations

import io
import random
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nas import progress
from nas.core.records import Objective, Status, Trial
from nas.progress import Show
from nas.standing import Standing
from tests.results.samples import ACCURACY, LATENCY, PARAMS, trial

OBJECTIVES = (ACCURACY, PARAMS, LATENCY)


@dataclass(frozen=True)
class Event:
    """What a controller tells."""

    kind: str
    trial: Trial
    outcome: Any = field(default_factory=lambda: SimpleNamespace(seconds=0.0))


def ended(id_: int, status: Status = Status.COMPLETE, **others: Any) -> Event:
    metrics = {"val_accuracy": 50.0 + id_ * 37 % 97 / 2, "params": 1000.0 + id_ * 53 % 89, "latency_ms": 1 + id_ % 13}
    return Event("trial", trial(id_, status=status, metrics=metrics, **others))


def terminal(width: int, height: int = 24) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=width, height=height, _environ={"TERM": "xterm"}), file


def seen(show: Show, width: int) -> list[str]:
    """The view as lines of text."""
    file = io.StringIO()
    Console(file=file, width=width).print(show.view())
    return [line.rstrip() for line in file.getvalue().splitlines()]


def fill(show: Show, count: int = 500) -> None:
    for id_ in range(count):
        if id_ % 100 == 99:
            show(ended(id_, Status.FAILED, reason="boom"))
        elif id_ % 50 == 9:
            show(ended(id_, Status.INFEASIBLE, reason="too large"))
        else:
            show(ended(id_, **({"source": "cache", "reuses": 1} if id_ % 7 == 0 and id_ else {})))


@pytest.mark.parametrize("width", [30, 50, 80, 120])
@pytest.mark.parametrize("height", [8, 24])
def test_the_view_fits_the_terminal_and_tells_all(width: int, height: int) -> None:
    show = Show(terminal(width, height)[0], OBJECTIVES, 2000, None, 3)
    show.began -= 2.0
    fill(show)
    found = seen(show, width)
    assert all(len(line) <= width for line in found)
    assert len(found) <= max(height, 12)
    text = " ".join(" ".join(found).replace("\N{NO-BREAK SPACE}", " ").split())
    assert "search" in found[0]
    assert "500/2,000" in found[0]
    counts = {
        word: int(number) for number, word in re.findall(r"(\d+) (complete|from the cache|infeasible|failed)", text)
    }
    assert sum(counts.values()) == 500
    assert (counts["failed"], counts["infeasible"]) == (5, 10)
    if width >= 50:
        assert re.search(r"\d/s, \d+\.\d s left", found[0]), found[0]
        assert "val_accuracy" in text
    rows = [line for line in found if re.match(r"\s*\d+\s+\d+\.\d\d %", line)]
    assert 1 <= len(rows) <= progress.ROWS
    values = [float(line.split()[1]) for line in rows]
    assert values == sorted(values, reverse=True)
    assert values[0] == 98.0


def test_stages_follow_one_another() -> None:
    console, file = terminal(80)
    show = Show(console, OBJECTIVES, 3, None, 2)
    assert "search" in seen(show, 80)[0]
    show.prepare({"epoch": 5.0, "epochs": 20.0, "seconds": 10.0, "train_loss": 1.25})
    assert re.search(r"preparing .* 5/20 train_loss 1\.25, 30\.0 s left", seen(show, 80)[0])
    show.prepare({"epoch": 20.0, "epochs": 20.0, "seconds": 40.0, "train_loss": 0.5})
    assert "preparing: 20 epochs, took 40.0 s, train_loss 0.5" in file.getvalue()
    assert re.search(r"search .* 0/3 starting", seen(show, 80)[0])
    for id_ in range(3):
        show(ended(id_))
    assert re.search(r"finalists .* 0/2", seen(show, 80)[0])
    for id_ in (3, 4):
        again = trial(id_, metrics={"val_accuracy": 99.0, "test_accuracy": 98.5, "test_loss": 0.1}, of=0)
        show(Event("finalist", again))
    assert "finalist 2/2 (trial 0 for 2 epochs): val_accuracy 99.00 %, test_accuracy 98.50 %" in file.getvalue()
    assert "finishing" in seen(show, 80)[0]


def test_without_a_terminal_there_are_few_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock) / 100)  # a hundred events in a second
    file = io.StringIO()
    with Show(Console(file=file, width=160), OBJECTIVES, 2000, None, 0) as show:
        for id_ in range(2000):
            show(ended(id_))
    lines = file.getvalue().splitlines()
    assert 2 <= len(lines) <= 4, "a line in ten seconds, and one for the last trial"
    assert re.fullmatch(r"2000/2000 trials, \d+/s, best val_accuracy 98\.00 %, front of \d+", lines[-1])
    assert "\x1b" not in file.getvalue()


def test_failures_are_told_and_then_counted() -> None:
    file = io.StringIO()
    show = Show(Console(file=file, width=160), OBJECTIVES, None, 1.0, 0)
    for id_ in range(500):
        show(ended(id_, Status.FAILED, reason=f"boom {id_}"))
    lines = file.getvalue().splitlines()
    assert len(lines) == progress.TOLD + 1
    assert lines[0] == "trial 0 failed: boom 0"
    assert "500 failed" in " ".join(seen(show, 80)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_terminal_is_left_tidy(error: type[BaseException]) -> None:
    console, file = terminal(80)

    def search() -> None:
        with Show(console, OBJECTIVES, 100, None, 0) as show:
            fill(show, 20)
            assert show.live is not None
            show.live.refresh()
            raise error

    with pytest.raises(error):
        search()
    text = file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is shown again"
    after = text[text.rindex("\x1b[?25h") :]
    assert not re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\s", "", after), "and the view is wiped"


def test_a_dumb_terminal_gets_plain_lines() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, _environ={"TERM": "dumb"})
    with Show(console, OBJECTIVES, 3, None, 0) as show:
        for id_ in range(3):
            show(ended(id_))
    assert "3/3 trials" in file.getvalue()
    assert "\x1b[?25l" not in file.getvalue()


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that a view reads."""
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def test_a_resumed_search_counts_what_was_read_back_but_not_its_speed(clock: Clock) -> None:
    show = Show(terminal(80)[0], OBJECTIVES, 20, None, 0)
    for id_ in range(10):
        show(Event("replay", ended(id_).trial))
    assert "10/20 read back" in seen(show, 80)[0]
    clock.now += 10
    for id_ in range(10, 15):
        show(ended(id_))
    assert "15/20 30/min, 10.0 s left" in seen(show, 80)[0]


def test_hours_that_earlier_sessions_used_are_not_left(clock: Clock) -> None:
    show = Show(terminal(100)[0], OBJECTIVES, None, 2.0, 0)
    show(Event("replay", ended(0).trial, SimpleNamespace(seconds=3600.0)))
    clock.now += 600
    show(Event("trial", ended(1).trial, SimpleNamespace(seconds=4200.0)))
    clock.now += 60
    assert "49 min 0 s left" in " ".join(seen(show, 100))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), max_size=40), st.integers(1, 2))
def test_the_standing_is_the_front(points: list[tuple[int, int, bool]], several: int) -> None:
    objectives = (Objective("a", "max"), Objective("b", "min"))[:several]
    standing = Standing(objectives)
    trials = [
        trial(id_, metrics={"a": float(a), "b": float(b)}, **({"source": "cache", "reuses": 0} if known else {}))
        for id_, (a, b, known) in enumerate(points)
    ]
    for each in trials:
        standing.add(each)
    losses = [(-a, b)[:several] for a, b, _ in points]
    best = {
        point
        for point in losses
        if not any(other != point and all(x <= y for x, y in zip(other, point, strict=True)) for other in losses)
    }
    assert {point.losses for point in standing.points} == best
    own = [point for point in standing.points if trials[point.trial].source != "cache"]
    assert len(own) == sum(loss in best and not known for loss, (_, _, known) in zip(losses, points, strict=True))
    assert [point.losses for point in standing.best(3)] == sorted(point.losses for point in standing.points)[:3]


def test_the_view_costs_little() -> None:
    """Events only count: no event renders anything, whatever the number of trials."""
    console, file = terminal(80)
    show = Show(console, OBJECTIVES, 10_000, None, 0)
    rng = random.Random(0)
    for id_ in range(1000):
        show(ended(rng.randrange(1000) if id_ else 0))
    assert file.getvalue() == ""
