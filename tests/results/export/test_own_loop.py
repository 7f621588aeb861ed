"""An exported network in its user's own code: a plain training loop, its state dict, torch.compile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nas.core.language import op, parallel, seq
from nas.core.space import Space, image
from results.export import export, load

SCRIPT = Path(__file__).parents[3] / "examples/own_loop/train.py"
SPACE = Space(
    seq(stem=op("conv", width=8), paths=parallel(op("conv"), op("max_pool"), merge="add"), head=op("head")),
    image(1, 8, 8),
    10,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    about = {"data": {"name": "digits", "normalisation": {"mean": [4.9], "std": [6.0]}}}
    to = tmp_path_factory.mktemp("home") / "net"
    return export(SPACE.decide({}).graph, SPACE.inputs, None, to, about, formats="none").folder


def test_the_example_trains_it_compiled_and_saves_what_loads_again(folder: Path, tmp_path: Path) -> None:
    asked = ("--epochs", "3", "--compile", "aot_eager", "--save", "new.safetensors")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *asked],
        cwd=tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", done.stdout)]
    assert len(losses) == 3
    assert losses[0] > losses[1] > losses[2]
    before, after = load(folder).state_dict(), load_file(tmp_path / "new.safetensors")
    assert before.keys() == after.keys()
    network = load(folder)
    network.load_state_dict(after)
    assert not torch.equal(network.state_dict()["head.classifier.weight"], before["head.classifier.weight"])


def test_the_example_knows_nothing_of_the_engine() -> None:
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", SCRIPT.read_text(), re.MULTILINE))
    assert imported <= {"argparse", "json", "sys", "pathlib", "torch", "safetensors", "sklearn", "model"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler itself
def test_compiled_it_gives_the_same_numbers(folder: Path) -> None:
    network, x = load(folder), torch.rand(3, 1, 8, 8)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(x), network(x))
