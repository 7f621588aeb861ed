"""Every network of every space: exported, reloaded by a fresh process, and equal to the bit."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nas.core import registry
from nas.core.build import build
from nas.core.records import Candidate
from nas.core.space import Space
from results.export.about import Architecture, check, read, to_json, versions
from results.export.draft import Draft, converted, settled, write
from results.export.folder import load
from results.export.proof import differences
from results.export.tree import leaves
from tests.results.export.spaces import WRITTEN, registered, worn

ROOT = Path(__file__).parents[3]
EACH = 6
"""Networks of each space."""
MANY = int(os.environ.get("ESPALIER_EXPORTS", "0"))
"""Networks of each space in all forms, for a longer run."""
REGISTERED = ("cnn", "nas_bench_101", "nas_bench_201", "nas_bench_macro", "resnet_pooling", "tree")


def _networks(space: Space, count: int) -> list:
    """Random networks that can be, drawn evenly over choices and over networks."""
    rng = random.Random(20)
    found = []
    for place in range(50 * count):
        candidate = space.sample(rng, ("choices", "networks")[place % 2])
        if space.trouble(candidate) is None and candidate not in found:
            found.append(candidate)
        if len(found) == min(count, space.size()):
            break
    return found


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Space, object, Draft]]:
    """Exports of random networks, not proved yet."""
    import search_spaces  # noqa: F401

    root = tmp_path_factory.mktemp("exports")
    spaces = {name: registered(name) for name in registry.names("space") if name not in ("mine",)}
    spaces |= {name: make() for name, make in WRITTEN.items()}
    found = []
    for name, space in spaces.items():
        for place, candidate in enumerate(_networks(space, EACH)):
            about = check({"space": name, "decisions": candidate.decisions, "metrics": {"val_accuracy": 90.5}})
            draft, folder = _draft(space, candidate, root / f"{name}{place}", place, about)
            (folder / "architecture.json").write_text(to_json(draft.architecture))
            found.append((name, space, candidate, draft))
    return found


def _draft(
    space: Space, candidate: Candidate, folder: Path, seed: int, about: Mapping[str, object], **fusing: bool
) -> tuple[Draft, Path]:
    """An export that is not proved yet, of a network with weights of its own, and its folder."""
    folder.mkdir()
    weights = worn(build(candidate.graph, space.inputs, seed=seed + 1), seed).state_dict()
    return write(candidate.graph, space.inputs, weights, folder, about, **fusing), folder


def test_enough_networks_of_every_space(exports) -> None:
    names = [name for name, *_ in exports]
    assert {*REGISTERED, *WRITTEN} == set(names)
    for name in {*registry.names("space"), *WRITTEN}:
        assert names.count(name) >= (2 if name == "needy" else 1 if name == "awkward" else EACH), name


def test_all_agree_to_the_bit_without_the_engine(exports) -> None:
    drafts = [draft for *_, draft in exports if draft.alone]
    assert len(drafts) > 0.9 * len(exports)
    found = differences([draft.claim for draft in drafts], alone=True)
    odd = {d.claim.folder.name: what for d, what in zip(drafts, found, strict=True) if what["source"] != (0.0, 0.0)}
    assert odd == {}


def test_those_that_need_more_packages_agree_too(exports) -> None:
    drafts = [draft for *_, draft in exports if not draft.alone]
    assert drafts
    found = differences([draft.claim for draft in drafts], alone=False)
    assert found == [{"source": (0.0, 0.0)}] * len(drafts)


FUSED = ("cnn", "nas_bench_201", "paths")
"""Spaces of which a network is fused: chains, cells of which much is merged, every merge."""
BOTH = ("text", "own", "cnn", "paths")
"""Spaces of which the quick sample is written in ONNX too: tokens, tied weights of a user's module, fused ones; one of
several outputs is in test_formats.py."""


def test_programs_and_onnx_agree_in_every_space_and_fused_ones_too(exports, tmp_path: Path) -> None:
    smallest, networks = {}, {}
    for name, space, candidate, draft in exports:
        size = len(leaves(draft.root))
        if size < smallest.get(name, size + 1):
            smallest[name], networks[name] = size, (space, candidate, draft)
    drafts = []
    for name, (space, candidate, draft) in networks.items():
        if name in FUSED:
            draft, _ = _draft(space, candidate, tmp_path / name, 0, {}, fold_norms=True, merge_branches=True)
            assert "folded" in draft.architecture.about["fused"], name
        drafts.append(replace(draft, formats=("pt2", "onnx") if name in BOTH else ("pt2",)))
    _all_agree(drafts)


@pytest.mark.slow
@pytest.mark.skipif(not MANY, reason="set ESPALIER_EXPORTS=20 for 20 networks of every space in all forms")
@pytest.mark.parametrize("name", [*REGISTERED, *WRITTEN])
def test_many_networks_agree_in_all_forms(name: str, tmp_path: Path) -> None:
    space = WRITTEN[name]() if name in WRITTEN else registered(name)
    drafts = []
    for place, candidate in enumerate(_networks(space, MANY)):
        for fused in (False, True):
            fusing = {"fold_norms": fused, "merge_branches": fused}
            draft, _ = _draft(space, candidate, tmp_path / f"{place}{fused}", place, {}, **fusing)
            drafts.append(replace(draft, formats=("pt2", "onnx")))
    print(f"\n{name}: {len(drafts)} networks in all forms; largest differences {_all_agree(drafts)}")


def _all_agree(drafts: list[Draft]) -> dict[str, float]:
    """Every form of every draft is written, reloads in a fresh process, and is as equal as it has to be.

    Returns: form, fused or not, → largest difference as a share of an output's largest number.
    """
    made = converted(drafts, alone=False)
    assert {draft.claim.folder.name: dict(draft.left_out) for draft in made if draft.left_out} == {}
    found = differences([draft.claim for draft in made], [("source", *draft.formats) for draft in made], alone=False)
    worst: dict[str, float] = {}
    for draft, said in zip(made, found, strict=True):
        settled(draft, said)  # raises where a form differs
        assert draft.fused or said["source"] == (0.0, 0.0)
        for form, gap in said.items():
            name = f"{form}, fused" if draft.fused else form
            worst[name] = max(worst.get(name, 0.0), gap.relative)
    return worst


def test_architecture_comes_back(exports) -> None:
    for _, space, candidate, draft in exports:
        known = read(draft.claim.folder)
        assert known.graph == candidate.graph
        assert known.inputs == dict(space.inputs)
        assert space.decide(known.about["decisions"]) == candidate


def test_sources_pass_ruff_and_import_torch_only(exports, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, _, _, draft in exports:
        if name not in ("own", "needy"):  # a user's own file is copied as it is
            shutil.copy(draft.claim.folder / "model.py", tmp_path / f"{draft.claim.folder.name}.py")
    for command in (["check"], ["format", "--diff"]):
        ended = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
    for path in tmp_path.glob("*.py"):
        imported = set(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
        assert imported <= {"torch", "collections", "pathlib"}, path


def test_sources_have_no_generated_names(exports) -> None:
    for *_, draft in exports:
        text = (draft.claim.folder / "model.py").read_text()
        assert not re.search(r"\b[a-z]+_\d+_\d+\b", text)
        assert "nas.core" not in text
        assert str(ROOT) not in text


def test_loads_in_this_process_too(exports) -> None:
    import torch

    for _, _, _, draft in exports[:: len(exports) // 10]:
        network = load(draft.claim.folder)
        assert not network.training
        with torch.no_grad():
            result = network(*draft.claim.operands)
        outputs = result if isinstance(result, dict) else {"": result}
        for name, value in draft.claim.outputs.items():
            assert torch.equal(outputs[name], value)


def test_json_is_plain(exports) -> None:
    for *_, draft in exports[:20]:
        data = json.loads((draft.claim.folder / "architecture.json").read_text())
        assert data["format"] == 1
        assert to_json(Architecture(draft.architecture.graph, draft.architecture.inputs, {}, versions()))
