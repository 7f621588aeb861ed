"""A run opened anywhere gives its trials, front, finalists and facts, and follows a search that goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nas.core.build import build
from nas.core.errors import ExportError, StoreError
from nas.core.graph import Node, chain
from nas.core.records import Objective, Status
from results.export import Exported
from results.run import Run
from tests.results.samples import network, store_of, trial


def test_everything_of_a_run_is_at_hand(tmp_path: Path) -> None:
    made = [trial(id_) for id_ in range(6)]
    made += [
        trial(6, status=Status.FAILED, reason="nan"),
        trial(7, stage="finalist", of=4),
        trial(8, stage="finalist", of=4),
    ]
    store_of(tmp_path / "run", made, seed=3, inputs={"x": {"shape": [1, 8, 8], "dtype": "float32"}}).close()
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    with Run(tmp_path / "elsewhere") as run:
        assert run.folder == tmp_path / "elsewhere"
        assert run.objectives == (Objective("val_accuracy", "max", "%"), Objective("params", "min", ""))
        assert run.facts["seed"] == 3
        assert list(run.trials()["trial"]) == list(range(9))
        assert list(run.trials("finalist")["of"]) == [4, 4]
        assert {of: again.id for of, again in run.finalists.items()} == {4: 8}
        assert run.trial(5).candidate.graph == network(7)
        assert [row.reason for row in run.rows if row.reason] == ["nan"]
        assert run.inputs is not None
        assert run.inputs["x"].shape == (1, 8, 8)
        # accuracy 90 + id % 7, params 1000 * (id % 5 + 1)
        assert run.front.ids == (5,)
        assert [(t.metrics["val_accuracy"], t.metrics["params"]) for t in run.front] == [(95, 1000)]
        assert run.front[0].candidate.graph == network(7)
        assert json.loads(json.dumps(run.front.summary()))["front"][0]["decisions"] == {"stage/kernel": 7, "number": 5}


def test_it_follows_a_search_that_goes_on(tmp_path: Path) -> None:
    with store_of(tmp_path, []) as writer, Run.open(tmp_path) as run:
        assert (list(run.front), run.rows, run.front.summary()["reference"]) == ([], [], None)
        writer.add(trial(0, metrics={"val_accuracy": 90, "params": 10}))
        assert run.front.ids == (0,)
        writer.add(trial(1, metrics={"val_accuracy": 95, "params": 5}))
        assert run.front.ids == (1,)
        assert len(run.trials()) == 2
        with pytest.raises(StoreError, match="no trial 2; it has 2 trials"):
            run.trial(2)


def test_a_run_that_never_said_its_goals_is_refused_clearly(tmp_path: Path) -> None:
    store_of(tmp_path, [], objectives=None).close()
    with Run(tmp_path) as run, pytest.raises(StoreError, match="no objectives: it was stopped before it began"):
        run.front  # noqa: B018
    other = tmp_path / "other"
    store_of(other, [], objectives={"val_accuracy": "max"}).close()
    with Run(other) as run, pytest.raises(StoreError, match=r"'objectives' is .*expected a list of mappings"):
        run.front  # noqa: B018
    with pytest.raises(StoreError, match="is missing"):
        Run(tmp_path / "nowhere")


def exportable(folder: Path) -> Run:
    graph = chain([Node("a", "conv", {"width": 4}), Node("h", "head", {"classes": 3})])
    store_of(
        folder,
        [trial(0, graph=graph), trial(1, graph=graph, source="cache", reuses=0), trial(2, graph=graph)],
        inputs={"x": {"shape": [1, 6, 6], "dtype": "float32", "vocabulary": None}},
        data={"name": "mine", "normalisation": {"mean": [0.5], "std": [0.2]}, "secret": "no"},
        name="my search",
    ).close()
    return Run(folder)


def test_a_network_is_taken_home_with_the_weights_that_were_kept(tmp_path: Path) -> None:
    with exportable(tmp_path / "run") as run:
        assert run.inputs is not None
        trained = build(run.trial(0).candidate.graph, run.inputs, seed=5).state_dict()
        (tmp_path / "run" / "trials" / "0").mkdir(parents=True)
        save_file(trained, tmp_path / "run" / "trials" / "0" / "weights.safetensors")
        made = run.export(
            run.rows[1], tmp_path / "net", formats="none"
        )  # from the cache: the weights are those of trial 0
        assert made.max_abs_difference == 0.0
    written = load_file(tmp_path / "net" / "weights.safetensors")
    assert len(written) == len(trained)
    assert all(any(torch.equal(tensor, other) for other in written.values()) for tensor in trained.values())
    about = json.loads((tmp_path / "net" / "architecture.json").read_text())["about"]
    metrics = json.loads((tmp_path / "net" / "architecture.json").read_text())["metrics"]
    assert list(metrics)[:2] == ["val_accuracy", "params"]  # the goals
    assert about["units"] == {"val_accuracy": "%"}
    assert (about["title"], about["trial"], about["run"]) == ("my search", 1, "run")
    assert about["data"] == {"name": "mine", "normalisation": {"mean": [0.5], "std": [0.2]}}
    assert "untrained" not in " ".join(made.notes)
    assert "inputs are to be normalised" in " ".join(made.notes)


def test_how_far_a_network_is_from_its_supernet_is_carried_along(tmp_path: Path) -> None:
    with exportable(tmp_path / "run") as run:
        assert run.inputs is not None
        home = tmp_path / "run" / "trials" / "0"
        home.mkdir(parents=True)
        save_file(build(run.trial(0).candidate.graph, run.inputs, seed=5).state_dict(), home / "weights.safetensors")
        known = {"examples": 16, "max_abs_difference": 2e-7, "max_rel_difference": 1e-8, "gates": {}}
        (home / "inherited.json").write_text(json.dumps(known))
        made = run.export(0, tmp_path / "net", formats=())
        assert [(each.form, each.max_abs_difference) for each in made.proofs] == [("supernet", 2e-7), ("source", 0.0)]
        assert made.proofs[0].batches == (16,)
        (home / "inherited.json").write_text(json.dumps(known | {"max_rel_difference": 0.2}))
        with pytest.raises(ExportError, match=r"supernet under the same decisions differs .* by 2e-07, 0\.2 of the la"):
            run.export(0, tmp_path / "other", formats=())
        (home / "inherited.json").write_text("{}")
        with pytest.raises(StoreError, match=r"inherited\.json is damaged \(KeyError.*delete it"):
            run.export(0, tmp_path / "other", formats=())


def test_what_an_export_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def quick(graph, inputs, weights, to, about, examples, **options):
        given["weights"] = weights
        return Exported(to, (), (), ("a note",))

    monkeypatch.setattr("results.taking.export", quick)
    with exportable(tmp_path / "run") as run:
        with pytest.raises(ExportError, match=r"kept no weights of trial 2 .* --untrained"):
            run.export(2, tmp_path / "net")
        notes = run.export(2, tmp_path / "net", untrained=True).notes
        assert given["weights"] is None
        assert notes[:2] == ("a note", "the weights are untrained: the run kept none of trial 2")
        damaged = tmp_path / "run" / "trials" / "2" / "weights.safetensors"
        damaged.parent.mkdir(parents=True)
        damaged.write_bytes(b"not tensors")
        with pytest.raises(StoreError, match=r"2/weights\.safetensors is damaged"):
            run.export(2, tmp_path / "net")
        with pytest.raises(StoreError, match="no trial 9"):
            run.export(9, tmp_path / "net")
    store_of(tmp_path / "other", [trial(0)]).close()
    with Run(tmp_path / "other") as run, pytest.raises(StoreError, match="does not say what its networks take"):
        run.export(0, tmp_path / "net")


@pytest.mark.parametrize("asked", ["zero", None, True, 1.5])
def test_what_is_no_trial_is_not_exported(tmp_path: Path, asked: object) -> None:
    with (
        exportable(tmp_path) as run,
        pytest.raises(ExportError, match=r"trial .* cannot be exported; expected its num"),
    ):
        run.export(asked, tmp_path / "net")  # type: ignore[arg-type]


@pytest.mark.parametrize("to", ["a" * 300, "~nouser/net", "a\0b"])
def test_a_folder_that_no_system_takes(tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with exportable(tmp_path) as run, pytest.raises(ExportError, match=r"cannot be (a folder|written): "):
        run.export(0, to, untrained=True)


@pytest.mark.parametrize("given", [3, ["x"], {"x": 3}, {"x": {}}, {"x": {"shape": "abc"}}])
def test_damaged_inputs_are_told(tmp_path: Path, given: object) -> None:
    store_of(tmp_path / "run", [trial(0)], inputs=given).close()
    with Run(tmp_path / "run") as run, pytest.raises(StoreError, match=r"the fact 'inputs' is .*; expected a mapping"):
        run.inputs  # noqa: B018 - looking is what raises


def test_a_store_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(tmp_path / "run", [trial(0)]).close()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        with pytest.raises(StoreError, match=r"cannot be read: Permission denied; check that you may read"):
            Run(tmp_path / "run")
    with pytest.raises(StoreError, match=r"cannot be looked for: .*give another path"):
        Run("a" * 300)
