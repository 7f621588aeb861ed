"""Finalists that go on from what the search has spent: from where, under which key, and what is said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nas.core.errors import RecipeError
from nas.core.keys import evaluation_key, graph_key
from nas.core.records import Budget, Candidate, Measurement, Trial
from nas.core.roles import FROM_SCRATCH, Job
from nas.core.seeds import derive
from nas.engine.executors.attempt import attempt
from nas.engine.finalists import CONTINUED
from nas.engine.reuse import Reuse
from nas.engine.strategies.random import Random
from nas.testing import MemoryCache, MemoryStore
from nas.testing.samples import Agreement
from tests.engine.helpers import ACCURACY, SPACE, TARGET, Listed, Shuffled, controller, summary

CANDIDATES = list(SPACE.enumerate())
SHORT, LONG, LONGER = Budget(2), Budget(8), Budget(20)


@dataclass
class Parts(Agreement):
    """Says of how many epochs, in which parts, its number is; what it goes on from is in a file."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    writes_files = True
    continues = True
    knows_stage = True

    def evaluate(  # type: ignore[override]
        self,
        candidate: Candidate,
        budget: Budget,
        seed: int,
        folder: Path,
        stage: str,
        before: Path | None = None,
        spent: Budget | None = None,
        checkpoint: bool = False,
    ) -> Measurement:
        found = super().evaluate(candidate, budget, seed)
        self.asked.append((stage, before, spent, checkpoint))
        text, notes = f"{budget.amount:g}", {}
        if before is not None and (before / "checkpoint.txt").read_text() == "damaged":
            notes = {FROM_SCRATCH: "it is damaged"}
        elif before is not None:
            mine, earlier = (before / "checkpoint.txt").read_text().split("=")
            assert mine == candidate.decisions.key, "a checkpoint of another candidate"
            text = f"{earlier}+{budget.amount - spent.amount:g}"  # type: ignore[union-attr]
        (folder / "weights.safetensors").write_text(text)
        if checkpoint:
            (folder / "checkpoint.txt").write_text(f"{candidate.decisions.key}={text}")
        return Measurement(found.metrics, notes={**notes, "parts": text})


def search(folder: Path, store: MemoryStore | None = None, **fields: Any) -> tuple[list[Trial], list[str]]:
    """A search with finalists; they, and what was remarked."""
    remarks: list[str] = []
    given = {
        "evaluator": Parts(TARGET), "folder": folder, "finalists": (3, LONG, "checkpoint"), "budget": SHORT,
        "objectives": (ACCURACY,), "trials": 20, "store": store if store is not None else MemoryStore(),
        "on_remark": remarks.append,
    }  # fmt: skip
    plan = controller(**(given | fields))
    plan.run()
    return plan.store.trials("finalist"), remarks


def parts(final: list[Trial]) -> list[str]:
    return [trial.measurement.notes["parts"] for trial in final if trial.measurement is not None]


def test_every_finalist_goes_on_from_its_trial_also_behind_the_front(tmp_path: Path):
    evaluator = Parts(TARGET)
    final, remarks = search(tmp_path, evaluator=evaluator)
    assert remarks == []
    assert parts(final) == ["2+6"] * 3
    for trial in final:
        assert trial.measurement is not None
        assert trial.measurement.notes[CONTINUED] == trial.of
        assert trial.measurement.notes["spent_before"] == "2 epochs"
        assert trial.budget == LONG
    told = [asked for asked in evaluator.asked if asked[0] == "finalist"]
    assert sorted(told, key=str) == sorted(
        (("finalist", tmp_path / "trials" / str(trial.of), SHORT, True) for trial in final), key=str
    )
    assert {asked for asked in evaluator.asked if asked[0] == "search"} == {("search", None, None, True)}


def test_from_scratch_nothing_is_left_and_nothing_changes(tmp_path: Path):
    evaluator = Parts(TARGET)
    final, remarks = search(tmp_path, evaluator=evaluator, finalists=(3, LONG))
    assert (parts(final), remarks) == (["8"] * 3, [])
    assert {asked[1:] for asked in evaluator.asked} == {(None, None, False)}
    assert not list(tmp_path.glob("trials/*/checkpoint.*"))
    seed = derive(0, "evaluate")
    for trial in final:
        expected = evaluation_key(trial.keys["graph"], evaluator.fingerprint(), LONG, seed, "finalist")
        assert trial.keys["evaluation"] == expected


def test_a_number_from_a_continuation_has_another_key(tmp_path: Path):
    keys = []
    for name, fields in {
        "scratch": {"finalists": (3, LONG)},
        "after 2": {},
        "after 3": {"budget": Budget(3)},
        "again": {},
    }.items():
        final, _ = search(tmp_path / name, **fields)
        keys.append([trial.keys["evaluation"] for trial in final])
    scratch, after_two, after_three, again = keys
    assert after_two == again
    for one, other in ((scratch, after_two), (scratch, after_three), (after_two, after_three)):
        assert not set(one) & set(other)


def test_a_run_goes_on_with_a_larger_budget_from_its_finalists(tmp_path: Path):
    store = MemoryStore()
    first, _ = search(tmp_path, store)
    both, remarks = search(tmp_path, store, finalists=(3, LONGER, "checkpoint"))
    assert both[:3] == first
    assert parts(both) == ["2+6"] * 3 + ["2+6+12"] * 3
    assert [trial.of for trial in both[3:]] == [trial.of for trial in first]
    assert [t.measurement.notes[CONTINUED] for t in both[3:] if t.measurement] == [trial.id for trial in first]
    assert remarks == []
    again, _ = search(tmp_path, store, finalists=(3, LONGER, "checkpoint"))
    assert again == both
    anew, _ = search(tmp_path, store, finalists=(3, LONGER))
    assert parts(anew[6:]) == ["20"] * 3
    assert search(tmp_path, store, finalists=(3, LONGER, "checkpoint")) == (anew, [])


def test_a_checkpoint_that_is_gone_is_said_and_the_finalist_is_that_from_scratch(tmp_path: Path):
    store = MemoryStore()
    search(tmp_path, store, finalists=None)  # leaves none
    final, remarks = search(tmp_path, store)
    assert parts(final) == ["8"] * 3
    assert remarks == [
        f"the finalist of trial {t.of} is trained from scratch: its checkpoint is not there (any more)" for t in final
    ]
    scratch, _ = search(tmp_path / "scratch", finalists=(3, LONG))
    assert [t.keys for t in final] == [t.keys for t in scratch]
    assert search(tmp_path, store) == (final, []), "resuming repeats nothing"


def test_a_damaged_checkpoint_is_said_and_the_finalist_is_that_from_scratch(tmp_path: Path):
    store = MemoryStore()
    search(tmp_path, store, finalists=(1, LONG, "checkpoint"), executor=Stopped())
    for file in tmp_path.glob("trials/*/checkpoint.txt"):
        file.write_text("damaged")
    final, remarks = search(tmp_path, store, finalists=(1, LONG, "checkpoint"))
    (one,) = final
    assert parts(final) == ["8"]
    assert remarks == [
        f"the finalist of trial {one.of} is trained from scratch: the checkpoint of trial {one.of} is of no use: "
        "it is damaged"
    ]
    scratch, _ = search(tmp_path / "scratch", finalists=(1, LONG))
    assert one.keys == scratch[0].keys
    assert one.measurement is not None
    assert CONTINUED not in one.measurement.notes
    assert search(tmp_path, store, finalists=(1, LONG, "checkpoint")) == (final, [])


def test_a_continued_finalist_stays_when_its_checkpoint_goes(tmp_path: Path):
    store = MemoryStore()
    final, _ = search(tmp_path, store)
    for file in tmp_path.glob("trials/*/checkpoint.txt"):
        file.unlink()
    assert search(tmp_path, store) == (final, [])


def test_a_budget_that_is_no_larger_is_from_scratch_and_said(tmp_path: Path):
    final, remarks = search(tmp_path, finalists=(1, SHORT, "checkpoint"))
    assert parts(final) == ["2"]
    assert remarks == [
        f"the finalist of trial {final[0].of} is trained from scratch: the 2 epochs that it had are no less than the "
        "2 epochs of a finalist"
    ]


def test_only_what_may_be_a_finalist_keeps_its_files(tmp_path: Path):
    store = MemoryStore()
    final, _ = search(tmp_path, store, trials=40)
    trials = [t for t in store.trials("search") if t.source == "evaluated"]
    values = {t.id: -t.metrics["val_accuracy"] for t in trials}
    graph = {t.id: t.keys["graph"] for t in trials}
    wanted = {i for i, v in values.items() if len({graph[k] for k, other in values.items() if other < v}) < 3}
    there = {int(file.parent.name) for file in tmp_path.glob("trials/*/checkpoint.txt")}
    assert there == wanted | {t.id for t in final}
    assert {int(path.name) for path in tmp_path.glob("trials/*")} == there
    assert len(wanted) < len(values) / 2


@dataclass
class Stopped(Shuffled):
    """Is interrupted when it comes to a finalist, after `after` of them."""

    after: int = 0

    def next(self):  # type: ignore[no-untyped-def]
        job: Job = self.jobs.pop(self.rng.randrange(len(self.jobs)))
        if job.stage == "finalist":
            self.after -= 1
            if self.after < 0:
                assert job.folder is not None
                (job.folder / "checkpoint.txt").write_text("half")  # what a process that is killed may leave
                raise KeyboardInterrupt
        return attempt(self.evaluator, job)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_stopped_in_a_finalist_and_resumed_gives_the_same(tmp_path: Path, after: int):
    store = MemoryStore()
    stopped, _ = search(tmp_path / "one", store, executor=Stopped(seed=after, after=after))
    assert len(stopped) == after
    resumed, remarks = search(tmp_path / "one", store, executor=Shuffled(seed=7))
    whole, _ = search(tmp_path / "two")
    assert remarks == []
    assert summary(resumed) == summary(whole)
    assert parts(resumed) == parts(whole) == ["2+6"] * 3


def test_a_checkpoint_of_another_spelling_does_not_fit(tmp_path: Path):
    """Equal networks may give their layers other names: the number is shared, the files are not."""
    cache = MemoryCache()
    rest = {"rest/times": 1, "pool/used": True}
    wide = {"block/op": "wide", "block/wide/width": 8, "block/wide/kernel": 1, **rest}
    paths = {"block/op": "paths", "block/paths/paths": ("conv_kernel1",), **rest}
    first, renamed = (next(c for c in CANDIDATES if dict(c.decisions) == wanted) for wanted in (wide, paths))
    assert graph_key(first.graph) == graph_key(renamed.graph)
    fields = {"trials": 1, "cache": cache, "reuse": Reuse()}
    search(tmp_path / "one", strategy=Listed([first]), **fields)
    store = MemoryStore()
    final, remarks = search(tmp_path / "two", store, strategy=Listed([renamed]), **fields)
    (taken,) = store.trials("search")
    assert (taken.source, taken.hit) == ("cache", "graph")
    assert parts(final) == ["8"]
    assert "an equal network of another run, whose layers may have other names" in remarks[0]


def test_what_another_run_has_trained_is_gone_on_from(tmp_path: Path):
    cache = MemoryCache()
    first, _ = search(tmp_path / "one", cache=cache, reuse=Reuse())
    evaluator = Parts(TARGET)
    final, remarks = search(tmp_path / "two", cache=cache, reuse=Reuse(), evaluator=evaluator)
    assert [asked[0] for asked in evaluator.asked] == ["finalist"] * 3
    assert parts(final) == ["2+6"] * 3
    assert remarks == []
    assert [t.keys for t in final] == [t.keys for t in first]
    assert final[0].measurement is not None
    assert final[0].measurement.notes[CONTINUED] == f"{first[0].of} of {(tmp_path / 'one').resolve()}"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"finalists": (1, LONG, "checkpiont")}, "start is 'checkpiont'; did you mean 'checkpoint'"),
        ({"evaluator": Agreement(TARGET)}, "evaluator .*Agreement does not go on from an earlier evaluation"),
    ],
)
def test_a_start_that_cannot_be_is_refused(tmp_path: Path, fields: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        search(tmp_path, strategy=Random(space=SPACE), **fields)
