"""The figure of a front, as file and as what is on its axes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from nas.core.errors import RecipeError
from results.figures import front_figure, make_figure
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


def test_wrong_wishes_are_named(tmp_path: Path) -> None:
    with run_of(tmp_path, POINTS) as run:
        with pytest.raises(RecipeError, match=r"front\.jpg.*'\.png'"):
            front_figure(run, tmp_path / "front.jpg")
        with pytest.raises(RecipeError, match=r"'parms' is on no complete trial; did you mean 'params'"):
            make_figure(run, "parms")
        with pytest.raises(RecipeError, match="cannot be written"):
            front_figure(run, tmp_path / "nowhere" / "front.png")
