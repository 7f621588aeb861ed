"""The report: one page that stands alone, says what the run says, and stays small."""

from __future__ import annotations

import json
import os
import re
import socket
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.core.errors import StoreError
from nas.core.records import Status, Trial
from results.figures import front_figure
from results.progress_figure import progress_figure
from results.report import course, networks, points, words, write_report
from results.report.gather import DRAWN, gather
from results.run import Run
from tests.results.samples import OBJECTIVES, network, store_of, trial

THREE = [*OBJECTIVES, {"name": "latency_ms", "direction": "min", "unit": "ms"}]
VOID = {"meta", "br", "link", "input", "img", "wbr"}


class Page(HTMLParser):
    """The text of a page without its scripts and styles, its ids, links and attributes; tags must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "action"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def data(self) -> dict[str, Any]:
        """What the page hands to its script."""
        result: dict[str, Any] = json.loads(self.scripts[1])
        return result

    def decisions(self, kind: str, place: int) -> list[str]:
        """Decisions of a point of the plot, as `address=option`."""
        plot = self.data["plot"]
        return ["=".join(plot["words"][word]) for word in plot[kind]["decided"][place]]


def valued(*values: tuple[float, ...], objectives: list[dict[str, str]] = OBJECTIVES) -> list[Trial]:
    names = [objective["name"] for objective in objectives]
    return [trial(i, metrics=dict(zip(names, each, strict=True))) for i, each in enumerate(values)]


def page_of(folder: Path, trials: list[Trial], **facts: Any) -> Page:
    store_of(folder, trials, **facts).close()
    path = write_report(folder)
    assert path == folder / "report.html"
    assert [each.name for each in folder.glob("*report*")] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


FOUR = ((90, 100), (95, 20000), (94, 25000), (80, 50))


def test_it_stands_alone(tmp_path: Path) -> None:
    page = page_of(tmp_path, valued(*FOUR))
    assert all(address.startswith("#") for address in page.addresses)
    assert ["plotly.js v" in script[:200] for script in page.scripts] == [False, False, True, False]
    assert not re.search(
        r"@import|url\(", (tmp_path / "report.html").read_text(encoding="utf-8").partition("<script")[0]
    )


def test_the_front_comes_first_with_numbers_drawings_and_commands(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run", valued(*FOUR), stop_reason="trials", seconds=75.0, name="my search")
    assert page.text.startswith("my search · search report to the front my search finished")
    assert "looked for high val_accuracy and low params. 4 of 4 trials are complete after 1 min 15 s." in page.text
    assert (
        "from 95.00 % val_accuracy and 20,000 params (trial 1) to 80.00 % val_accuracy and 50 params (trial 3)"
        in page.text
    )
    assert [each for each in page.ids if each.startswith("trial-")] == ["trial-1", "trial-0", "trial-3"]
    assert page.ids.index("plot") < page.ids.index("front-table") < page.ids.index("trial-1") < page.ids.index("search")
    assert re.search(r"nas export \S*run 0 --to net-0 --untrained", page.text)
    assert page.data["plot"]["held"] == []
    assert [re.sub(r"\S*run", "run", each) for each in page.data["plot"]["command"]] == [
        "nas export run \0 --to net-\0 --untrained",
        "nas export run \0 --to net-\0",
    ]
    assert page.text.count("the network of trial") == 3
    assert "Hypervolume" in page.text
    plot = page.data["plot"]
    assert plot["large"]["id"] == [1, 0, 3]
    assert plot["large"]["metrics"] == {"val_accuracy": [95, 90, 80], "params": [20000, 100, 50]}
    assert plot["faint"]["id"] == [2]
    assert plot["faint"]["metrics"] == {"val_accuracy": [94], "params": [25000]}
    assert plot["faint"]["count"] == [1]
    assert page.decisions("large", 0) == ["stage/kernel=5", "number=1"]
    assert [(axis["name"], axis["direction"], axis["log"]) for axis in plot["axes"]] == [
        ("val_accuracy", "max", False),
        ("params", "min", True),
        ("trial", "", False),
    ]


def test_finalists_stand_beside_their_trials_also_behind_the_front(tmp_path: Path) -> None:
    trials = valued(*FOUR)
    trials.append(
        trial(4, stage="finalist", of=1, metrics={"val_accuracy": 96.5, "test_accuracy": 96.25, "params": 20000})
    )
    trials.append(
        trial(5, stage="finalist", of=2, metrics={"val_accuracy": 96.0, "test_accuracy": 97.75, "params": 25000})
    )
    page = page_of(tmp_path, trials)
    assert "retrained for 2 epochs" in page.text
    assert page.text.count("96.25 %") == 2  # in the table and on the card
    assert page.text.count("97.75 %") == 2
    assert [each for each in page.ids if each.startswith("trial-")] == ["trial-1", "trial-0", "trial-3", "trial-2"]
    assert "2 behind the front retrained" in page.text
    large = page.data["plot"]["large"]
    assert (large["id"], large["front"]) == ([1, 0, 3, 2], [True, True, True, False])
    assert large["retrained"] == [True, False, False, True]


def test_before_any_trial_is_complete(tmp_path: Path) -> None:
    page = page_of(tmp_path / "a", [])
    assert "not ended" in page.text
    assert "There is no front yet" in page.text
    page = page_of(
        tmp_path / "b",
        [trial(0, status=Status.FAILED, reason="loss is nan", traceback="Trace\n<b>")],
        stop_reason="failures",
    )
    assert "stopped" in page.text
    assert "loss is nan (trial 0) traceback Trace <b>" in page.text
    assert "plot" not in page.ids


def test_with_one_objective_and_with_three(tmp_path: Path) -> None:
    one = page_of(tmp_path / "a", [trial(i, metrics={"val_accuracy": a}) for i, a in enumerate((90, 95, 93))],
                  objectives=OBJECTIVES[:1])  # fmt: skip
    assert "One network is best: trial 1, with 95.00 % val_accuracy." in one.text
    assert "Hypervolume" not in one.text
    (best,) = one.data["progress"]
    assert (best["title"], best["trial"], best["y"]) == ("best val_accuracy (%)", [0, 1, 2], [90, 95, 95])
    three = page_of(tmp_path / "b", valued((90, 10, 3), (91, 11, 2), (89, 12, 4), objectives=THREE), objectives=THREE)
    assert three.data["plot"]["goals"] == ["val_accuracy", "params", "latency_ms"]
    assert "2.000 ms" not in three.text
    assert "2 ms latency_ms" in three.text
    assert len(three.data["progress"]) == 4


def test_progress_is_best_so_far_and_the_hypervolume_never_falls(tmp_path: Path) -> None:
    page = page_of(tmp_path, valued((90, 100), (85, 200), (95, 300), (70, 50)))
    accuracy, params, volume = page.data["progress"]
    assert (accuracy["trial"], accuracy["y"]) == ([0, 2, 3], [90, 95, 95])
    assert (params["trial"], params["y"]) == ([0, 3, 3], [100, 50, 50])
    assert volume["y"] == sorted(volume["y"])
    assert volume["y"][-1] == 100


def test_counts_and_reasons_add_up(tmp_path: Path) -> None:
    trials = valued((90, 100), (85, 200))
    trials += [trial(2, source="cache", reuses=0, metrics=dict(trials[0].metrics))]
    trials += [trial(i, status=Status.INFEASIBLE, reason=f"params {i}000 breaks params <= 100") for i in (3, 4, 5)]
    trials += [trial(6, status=Status.FAILED, reason="it broke", traceback="Traceback: it broke")]
    store_of(tmp_path, trials).close()
    with Run(tmp_path) as run:
        said = gather(run, "here")
    assert {each["name"]: each["number"] for each in said["counts"]} == {
        "complete": 2, "from the cache": 1, "infeasible": 3, "failed": 1
    }  # fmt: skip
    assert sum(each["share"] for each in said["counts"]) == pytest.approx(100)
    assert [(each["status"], each["number"], each["example"]) for each in said["reasons"]] == [
        ("failed", 1, "it broke"),
        ("infeasible", 3, "params 3000 breaks params <= 100"),
    ]
    assert said["reasons"][0]["traceback"] == "Traceback: it broke"


def test_what_made_it_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        valued(*FOUR),
        recipe={"space": {"name": "cnn", "widths": [16, 24]}, "strategy": "nsga2", "seed": 7},
        space={"name": "cnn", "size": "2419393593600", "fingerprint": "s1:x"},
        data={"name": "digits", "counts": {"train": 1437, "test": 360}, "inputs": {"x": {"shape": [1, 8, 8]}},
              "classes": {"y": 10}},
        versions={"torch": "2.13.0"},
        machine={"cores": 2},
        command=["nas", "search", "a.yaml"],
        constraints=["params <= 100"],
    )  # fmt: skip
    for text in (
        "The strategy nsga2 looked for", "in the space cnn of about 2.4 · 10¹² networks", "seed 7", "torch 2.13.0",
        "cores 2",
        "digits (1,437 train, 360 test; 1×8×8; 10 classes)", "command nas search a.yaml", "constraints params <= 100",
        "widths: [16, 24]",
    ):  # fmt: skip
        assert text in page.text


def test_texts_of_others_cannot_break_the_page(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script><b>&amp;\u2028"
    trials = [
        trial(0, decisions={nasty: nasty}, metrics={"val_accuracy": 1, "params": 2, nasty: 3}),
        trial(1, status=Status.FAILED, reason=nasty, traceback=nasty),
    ]
    page = page_of(tmp_path, trials, name=nasty, data={"name": nasty}, recipe={"x": nasty})
    assert len(page.scripts) == 4
    assert page.decisions("large", 0) == [f"{nasty}={nasty}"]
    assert page.words.count(nasty) >= 3


def test_a_run_still_going_can_be_reported_by_its_own_store(tmp_path: Path) -> None:
    with store_of(tmp_path, valued(*FOUR)) as store:
        path = write_report(store, tmp_path / "now.html")
        assert path == tmp_path / "now.html"
        store.add(trial(9))
        assert "5 of 5 trials" in Page(write_report(tmp_path).read_text(encoding="utf-8")).text


def test_what_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    store_of(tmp_path, valued(*FOUR)).close()
    with pytest.raises(StoreError, match=r"nowhere/r\.html"):
        write_report(tmp_path, tmp_path / "nowhere" / "r.html")
    with pytest.raises(StoreError, match="is missing"):
        write_report(tmp_path / "nowhere")


def test_a_network_that_does_not_fit_its_inputs_any_more_is_drawn_without_shapes(tmp_path: Path) -> None:
    page = page_of(tmp_path, valued((90, 100)), inputs={"x": {"shape": [7]}})
    assert page.text.count("the network of trial") == 1


def test_many_trials_make_a_bounded_page(tmp_path: Path) -> None:
    graph, many = network(3), 4200
    trials = [
        trial(i, graph=graph, metrics={"val_accuracy": 50 + 40 * i / many, "params": i if i % 3 == 0 else many + i})
        for i in range(many)
    ]
    store_of(tmp_path, trials).close()
    with Run(tmp_path) as run:
        said = gather(run, "here")
        ends = {run.front.ids[0], run.front.ids[-1]}
        suggested = {each.trial.id for each in run.front.suggestions()}
    assert said["front"] == many // 3 + 2  # every third, and the two most accurate of the others
    drawn = [card["id"] for card in said["cards"]]
    assert DRAWN - 5 <= len(drawn) <= DRAWN
    assert {drawn[0], drawn[-1]} == ends
    assert suggested <= set(drawn)
    assert said["left_out"] == said["front"] - len(drawn)
    listed = [row["id"] for row in said["table"]["rows"]]
    assert networks.LISTED - 5 <= len(listed) <= networks.LISTED
    assert ends | suggested <= set(listed)
    assert said["table"]["more"] == said["front"] - len(listed)
    faint = said["plot"]["faint"]
    assert 350 < len(faint["id"]) <= points.FAINT + 20
    assert sum(faint["count"]) == many - said["front"]
    assert said["plot"]["together"]
    assert len(said["progress"][-1]["trial"]) <= course.STEPS


def test_what_was_worked_out_is_taken_from_the_page_as_long_as_the_trials_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def decisions_of(rows: Any, front: Any) -> dict[str, Any]:
        made.append(len(rows))
        return {"goals": [], "agreed": [], "text": f"looked at {len(rows)} trials"}

    monkeypatch.setattr("results.report.gather.decisions_of", decisions_of)
    with store_of(tmp_path, valued(*FOUR)) as store:
        for _ in range(2):
            assert "looked at 4 trials" in Page(write_report(tmp_path).read_text(encoding="utf-8")).text
        assert made == [4]
        store.add(trial(9))
        assert "looked at 5 trials" in Page(write_report(tmp_path).read_text(encoding="utf-8")).text
        (tmp_path / "report.html").write_text('<script type="application/json" id="report-kept">{</script>')
        write_report(tmp_path)
    assert made == [4, 5, 5]
    store_of(tmp_path / "other", valued((1, 2), *FOUR[1:])).close()
    write_report(tmp_path / "other", tmp_path / "report.html")
    assert made == [4, 5, 5, 4]


def test_the_state_says_whether_it_goes_on_and_how_far_it_is(tmp_path: Path) -> None:
    facts = {"recipe": {"budget": {"trials": 48, "hours": 1}}, "seconds": 75.0}
    with store_of(tmp_path, valued(*FOUR), **facts):
        going = Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    assert "still going" in going
    assert "4 of 48 trials have ended, 1 min 15 s of at most 1 h 00 min are used , as of 20" in going
    assert re.search(r"nas report \S+ copy writes this page anew", going)
    left = Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    assert "not ended 4" not in going
    assert "not ended" in left
    assert re.search(r"nas resume \S+ copy goes on with it", left)
    (tmp_path / "store.sqlite.lock").write_text(f"process 999999999 on {socket.gethostname()}\n")
    assert "not ended" in Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    (tmp_path / "store.sqlite.lock").write_text(f"process {os.getppid()} on {socket.gethostname()}\n")
    assert f"process {os.getppid()} on" in Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    page = page_of(tmp_path / "b", valued(*FOUR), stop_reason="interrupted", **facts)
    assert "interrupted" in page.text
    assert "nas resume" in page.text


def test_how_to_make_it_again(tmp_path: Path) -> None:
    page = page_of(tmp_path / "my run", valued(*FOUR), recipe={"space": "cnn"}, commit="abc123", stop_reason="trials",
                   command=["nas", "search", "a b.yaml"], directory="/somewhere")  # fmt: skip
    assert "nas search 'a b.yaml' in the folder /somewhere" in page.text
    assert "git checkout abc123" in page.text
    assert re.search(r"nas search '\S+my run/recipe.yaml' --out '\S+my run-again'", page.text)
    here = words.again_of({"recipe": {}}, ".", has_folder=True)  # in the run's own folder
    assert here[0]["command"] == "nas search ./recipe.yaml --out again"


def test_the_ways_of_a_finalist_stand_in_its_card_and_not_in_the_table(tmp_path: Path) -> None:
    numbers = {"inherited": (91.0, 90.0), "tuned": (93.0, 92.5), "scratch": (92.0, 94.0)}
    metrics = {
        f"{part}_accuracy_{way}": value
        for way, two in numbers.items()
        for part, value in zip(("val", "test"), two, strict=True)
    }
    finalist = trial(9, stage="finalist", of=1, metrics={**metrics, "val_accuracy": 93.0, "test_accuracy": 92.5})
    store_of(tmp_path, [*valued(*FOUR), finalist]).close()
    with Run(tmp_path) as run:
        said = gather(run, "here")
    again = [head["name"] for head in said["table"]["heads"] if head["kind"] == "again"]
    assert again == ["test_accuracy", "val_accuracy"]
    ways = next(card for card in said["cards"] if card["id"] == 1)["ways"]
    assert [(head["name"], head["taken"]) for head in ways["heads"]] == [
        ("inherited", False), ("tuned", True), ("scratch", False)
    ]  # fmt: skip
    cells = {row["name"]: row["cells"] for row in ways["rows"]}
    assert cells["test_accuracy"] == ["90.00 %", "92.50 %", "94.00 %"]
    assert [card["ways"] for card in said["cards"] if card["id"] != 1] == [None, None]
    assert said["retrained"] == {1: {"test_accuracy": 92.5, "val_accuracy": 93.0}}


def test_what_an_infeasible_trial_cost_is_said_as_it_was(tmp_path: Path) -> None:
    trials = [trial(0), trial(1, status=Status.INFEASIBLE, reason="too large")]
    store_of(tmp_path / "free", trials).close()
    late = trial(2, status=Status.INFEASIBLE, reason="too slow", seconds=3.0)
    reused = [
        trial(3, status=Status.INFEASIBLE, reason="too slow", source="cache", reuses=2),
        trial(4, source="cache", reuses=0),
    ]
    store_of(tmp_path / "paid", [*trials, late, *reused]).close()
    found = {}
    for name in ("free", "paid"):
        with Run(tmp_path / name) as run:
            found[name] = {each["name"]: each for each in course.counts_of(run.rows)}
    assert found["free"]["infeasible"]["note"].endswith("; cost nothing to find out")
    assert found["paid"]["infeasible"]["note"].endswith("; 1 of them had to be measured to know")
    numbers = {name: each["number"] for name, each in found["paid"].items()}
    assert numbers == {"complete": 1, "from the cache": 2, "infeasible": 2, "failed": 0}


@pytest.mark.parametrize("goals", [1, 2, 3])
def test_cells_keep_the_best_of_each_the_extremes_and_the_number_of_all(goals: int) -> None:
    rng = np.random.default_rng(goals)
    grid = rng.random((20_000, max(goals, 2)))
    other = rng.random(20_000)
    kept, counts = points.thin(grid, 800, [*grid.T, other])
    assert 400 < len(kept) <= 800 + 2 * (len(grid[0]) + 1)
    assert sum(counts) == 20_000
    assert min(counts) >= 1
    assert len(set(kept)) == len(kept)
    for column in (*grid.T, other):
        assert {int(column.argmin()), int(column.argmax())} <= set(kept)
    assert int(grid.sum(axis=1).argmin()) in kept


def test_an_option_that_could_not_be_seen_stands_in_quotes() -> None:
    assert [points.option(value) for value in ("", "a", 3, ("", "b"), [])] == ['""', "a", "3", '{"", b}', "{}"]


def test_few_points_are_all_kept() -> None:
    assert points.thin(np.array([[0.0, 1.0], [1.0, 0.0]]), 5, []) == ([0, 1], [1, 1])


@pytest.mark.parametrize("size", [1e300, 1.7e308])
def test_values_at_both_ends_of_what_a_float_holds_make_a_page_and_figures(tmp_path: Path, size: float) -> None:
    values = [(size * ((10 - i) / 10), size * ((5 - i) / 5)) for i in range(11)]
    page = page_of(tmp_path, valued(*values, (-size, size), (0.0, size)))
    assert "No hypervolume: it is larger than what a number holds." in page.text
    assert [each["kind"] for each in page.data["progress"]] == ["best", "best"]
    assert len(page.data["plot"]["large"]["id"]) == 11
    with Run(tmp_path) as run:
        for draw, name in ((front_figure, "front"), (progress_figure, "progress")):
            assert draw(run, tmp_path / f"{name}.png").stat().st_size > 1000
