"""The figure of a front, as file and as what is on its axes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from nas.core.errors import RecipeError
from results.figures import MANY, front_figure, make_figure
from results.progress_figure import make_progress_figure, progress_figure
from results.run import Run
from tests.results.samples import store_of, trial

POINTS = [(90, 100), (95, 20000), (94, 25000), (80, 50), (97, 90000)]


def run_of(folder: Path, points: list[tuple[float, float]]) -> Run:
    store_of(folder, [trial(i, metrics={"val_accuracy": a, "params": p}) for i, (a, p) in enumerate(points)]).close()
    return Run(folder)


def test_axes_tell_metric_unit_and_direction(tmp_path: Path) -> None:
    with run_of(tmp_path, POINTS) as run:
        (axes,) = make_figure(run).axes
        assert axes.get_xlabel() == "params – less is better"
        assert axes.get_ylabel() == "val_accuracy (%) – more is better"
        assert axes.get_xscale() == "log"
        shown = [text.get_text() for text in axes.get_legend().get_texts()]
        assert shown[:2] == ["dominated (1)", "front (4)"]
        other = make_figure(run, "trial", "params").axes[0]
        assert (other.get_xlabel(), other.get_ylabel()) == ("trial", "params – less is better")


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], []])
def test_files_of_each_format_are_written(tmp_path: Path, points: list[tuple[float, float]]) -> None:
    with run_of(tmp_path, points) as run:
        with Image.open(front_figure(run, tmp_path / "front.png", dpi=50)) as image:
            assert image.width > 100
        assert ElementTree.parse(front_figure(run, tmp_path / "front.svg")).getroot().tag.endswith("svg")
        assert front_figure(run, tmp_path / "front.pdf").read_bytes().startswith(b"%PDF")


def test_the_knee_is_marked_where_one_stands_out(tmp_path: Path) -> None:
    bent, straight = [(90, 10), (95, 20), (96, 100)], [(90, 10), (93, 20), (96, 30)]
    for points, marked in ((bent, ["knee (trial 1)"]), (straight, [])):
        with run_of(tmp_path / str(len(marked)), points) as run:
            (axes,) = make_figure(run).axes
            shown = [text.get_text() for text in axes.get_legend().get_texts()]
            assert [text for text in shown if text.startswith("knee")] == marked


def test_what_repeats_a_trial_is_not_drawn_and_what_another_run_paid_for_is(tmp_path: Path) -> None:
    trials = [trial(0, metrics={"val_accuracy": 90, "params": 100})]
    trials.append(trial(1, metrics={"val_accuracy": 80, "params": 200}))
    trials += [trial(place, metrics={"val_accuracy": 80, "params": 200}, source="cache", reuses=1) for place in (2, 3)]
    other = {"val_accuracy": 70, "params": 300}
    trials.append(trial(4, metrics=other, source="cache", reuses=0, origin="/elsewhere"))
    store_of(tmp_path, trials).close()
    with Run(tmp_path) as run:
        assert [each.id for each in run.front.dominated] == [1, 4]
        shown = [text.get_text() for text in make_figure(run).axes[0].get_legend().get_texts()]
        assert shown[0] == "dominated (2)"


def test_large_numbers_are_short_on_any_axis(tmp_path: Path) -> None:
    with run_of(tmp_path / "log", POINTS) as run:
        assert make_figure(run).axes[0].xaxis.get_major_formatter()(20000) == "20k"
    with run_of(tmp_path / "linear", [(90, 30000), (95, 60000)]) as run:
        assert make_figure(run).axes[0].xaxis.get_major_formatter()(20000) == "20k"


def test_shares_are_never_on_a_logarithmic_axis(tmp_path: Path) -> None:
    with run_of(tmp_path, [(1, 10), (98, 1000)]) as run:
        (axes,) = make_figure(run).axes
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")


def test_wrong_wishes_are_named(tmp_path: Path) -> None:
    with run_of(tmp_path, POINTS) as run:
        with pytest.raises(RecipeError, match=r"front\.jpg.*'\.png'"):
            front_figure(run, tmp_path / "front.jpg")
        with pytest.raises(RecipeError, match=r"'parms' is on no complete trial; did you mean 'params'"):
            make_figure(run, "parms")
        with pytest.raises(RecipeError, match="cannot be written"):
            front_figure(run, tmp_path / "nowhere" / "front.png")


def test_progress_has_a_panel_per_objective_and_one_of_hypervolume(tmp_path: Path) -> None:
    with run_of(tmp_path, POINTS) as run:
        accuracy, params, volume = make_progress_figure(run).axes
        assert accuracy.get_ylabel() == "best val_accuracy (%)"
        assert params.get_ylabel() == "best params"
        assert volume.get_ylabel() == "hypervolume\n(% of the final one)"
        assert volume.get_xlabel() == "trials"
        assert list(accuracy.lines[0].get_xdata()) == [1, 2, 5, 5]
        assert list(accuracy.lines[0].get_ydata()) == [90, 95, 97, 97]
        assert volume.lines[0].get_ydata()[-1] == pytest.approx(100)
        assert volume.get_ylim()[1] == 100
        for ending in (".png", ".svg", ".pdf"):
            assert progress_figure(run, tmp_path / f"p{ending}", dpi=50).stat().st_size > 1000


def test_no_axis_of_percent_runs_beyond_100(tmp_path: Path) -> None:
    with run_of(tmp_path, [(20, 100), (99.5, 200), (100, 300)]) as run:
        assert make_progress_figure(run).axes[0].get_ylim()[1] == 100
        assert make_figure(run).axes[0].get_ylim()[1] == 100
        low, high = make_progress_figure(run).axes[1].get_ylim()
        assert low < 100 < high


@pytest.mark.parametrize("points", [POINTS[:1], []])
def test_progress_of_few_trials_is_drawn_too(tmp_path: Path, points: list[tuple[float, float]]) -> None:
    with run_of(tmp_path, points) as run:
        assert progress_figure(run, tmp_path / "p.png", dpi=50).is_file()


def test_many_trials_are_drawn_on_a_logarithmic_axis(tmp_path: Path) -> None:
    with run_of(tmp_path, [(i % 50, 100 + i) for i in range(MANY)]) as run:
        axes = make_progress_figure(run).axes[-1]
        assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "trials, logarithmic")
