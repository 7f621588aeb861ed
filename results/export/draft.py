"""An export while it is made: files in a folder that nobody else sees, what has to be proved of them, and the proof."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import ExportError, ShapeError
from nas.core.graph import Graph
from nas.core.profile import InputSpec, profile
from results.export.about import ARCHITECTURE, Architecture, inputs_in_words, introduction, readme, to_json, versions
from results.export.formats import DATA, FORMATS, FORMS, accepted

if TYPE_CHECKING:
    from torch import Tensor

    from nas.core.difference import Difference
    from results.export.proof import Claim
    from results.export.tree import Block

MODEL, WEIGHTS, README = "model.py", "weights.safetensors", "README.md"
FILES = {
    MODEL: "the network as plain torch source; `load()` returns it in eval mode",
    WEIGHTS: "its weights",
    ARCHITECTURE: "graph, inputs, decisions, metrics, versions, and how equal each form is",
}
"""Every file that each export has but the README, and what it is."""
OURS = (*FILES, *(made.file for made in FORMATS.values()), DATA, README)
"""Every file that an export may hold."""
SEEDED = "seeded examples"
"""What inputs are called that the caller did not give."""


@dataclass(frozen=True)
class Examples:
    """Inputs on which a network is proved, batch first, one tensor for each input; words: which they are."""

    values: tuple[Tensor, ...]
    words: str


@dataclass(frozen=True)
class Proof:
    """How far one form of a network is from the built module.

    tolerance: what is accepted of the relative difference. batches: on how many examples it was run, each time.
    """

    form: str
    max_abs_difference: float
    max_rel_difference: float
    tolerance: float
    batches: tuple[int, ...]

    def check(self) -> None:
        """Raise ExportError where the difference is not within the tolerance."""
        if not self.max_rel_difference <= self.tolerance:
            form = FORMS[self.form]
            raise ExportError(
                f"{form.spoken} differs from the built one by {self.max_abs_difference:g}, "
                f"{self.max_rel_difference:.2g} of the largest output; allowed is {self.tolerance:g}; {form.hint}"
            )

    def to_dict(self) -> dict[str, Any]:
        """A form that `json.dumps` takes."""
        return {
            "form": self.form,
            "max_abs_difference": self.max_abs_difference,
            "max_rel_difference": self.max_rel_difference,
            "tolerance": self.tolerance,
            "batches": list(self.batches),
        }


@dataclass(frozen=True)
class Exported:
    """An export that was proved.

    proofs: how far each form is from the built module. examples: on which inputs. left_out: format that was not asked
    for by name and could not be written → why. notes: what a user of the folder has to know, such as a package that a
    module of theirs imports.
    """

    folder: Path
    files: tuple[str, ...]
    proofs: tuple[Proof, ...]
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    examples: str = SEEDED

    @property
    def max_abs_difference(self) -> float:
        """The largest absolute difference of any output of the reloaded source."""
        return next(proof.max_abs_difference for proof in self.proofs if proof.form == "source")

    def to_dict(self) -> dict[str, Any]:
        """A form that `json.dumps` takes."""
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "max_abs_difference": self.max_abs_difference,
            "proofs": [proof.to_dict() for proof in self.proofs],
            "examples": self.examples,
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Draft:
    """Files in a folder that nobody has proved yet.

    root: the tree that the source was written from. formats: what is to be written beside the source; by_name: whether
    the caller named them, so that one that cannot be written is an error. left_out: as in `Exported`. proofs: what was
    measured before. fused: whether layers were fused, so that no form can be equal to the bit.
    """

    architecture: Architecture
    claim: Claim
    root: Block
    notes: tuple[str, ...]
    alone: bool
    formats: tuple[str, ...] = ()
    by_name: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    proofs: tuple[Proof, ...] = ()
    fused: bool = False


def write(
    graph: Graph,
    inputs: Mapping[str, InputSpec],
    weights: Mapping[str, Tensor] | None,
    place: Path,
    about: Mapping[str, Any],
    examples: Examples | Sequence[Tensor] | Tensor | None = None,
    *,
    fold_norms: bool = False,
    merge_branches: bool = False,
) -> Draft:
    """Write source and weights into an empty folder, and say what has to be proved. Raises ExportError."""
    from safetensors.torch import save

    from nas.core.build import build
    from results.export import proof, steady
    from results.export.given import fill, operands_of, state_of
    from results.export.source import source_of
    from results.export.tree import tree_of

    inputs = {name: inputs[name] for name in graph.inputs}
    given = examples.values if isinstance(examples, Examples) else examples
    words = examples.words if isinstance(examples, Examples) else SEEDED if examples is None else "given examples"
    architecture = Architecture(graph, inputs, about, versions(), trained=weights is not None, examples=words)
    try:
        network = build(graph, inputs)
        root = built = tree_of(graph, inputs)
    except ShapeError as error:
        raise ExportError(f"this graph is no network: {error}") from error
    if weights is not None:
        fill(network, weights)
    state, done = state_of(network), ""
    notes: tuple[str, ...] = ()
    if fold_norms or merge_branches:
        from results.export.costs import cost_after
        from results.export.fuse import fuse

        trained = [name for name, _ in network.named_parameters(remove_duplicate=False)]
        fused = fuse(root, state, norms=fold_norms, branches=merge_branches)
        cost = cost_after(profile(graph, inputs), root, state, trained, fused)
        root, state = fused.root, fused.state
        counts = ((fused.norms, "batch norm", "folded"), (fused.branches, "branch", "merged"))
        done = ", ".join(_counted(*each) for each in counts if each[0])
        known = {"fused": done, "fused_cost": cost} if done else {"fused": "nothing could be"}
        architecture = replace(architecture, about={**about, **known})
        nothing = [
            words
            for asked, count, words in (
                (fold_norms, fused.norms, "no batch norm was folded"),
                (merge_branches, fused.branches, "no branches were merged: no sum adds layers that one layer can be"),
            )
            if asked and not count
        ]
        notes = (*(["; ".join(nothing)] if nothing else []), *fused.notes)
    source = source_of(root, introduction(architecture))
    operands = proof.examples(inputs) if given is None else operands_of(given, inputs)
    claim = proof.claim(place, network, operands)
    steady.check(network, operands, graph, inputs, built)
    (place / MODEL).write_text(source.text, encoding="utf-8")
    (place / WEIGHTS).write_bytes(save(state))
    alone = not source.kept
    return Draft(architecture, claim, root, (*source.kept, *notes), alone, fused=bool(done))


def _counted(count: int, what: str, done: str) -> str:
    """
    >>> _counted(1, "batch norm", "folded"), _counted(3, "branch", "merged")
    ('1 batch norm folded', '3 branches merged')
    """
    return f"{count} {what}{'' if count == 1 else 'es' if what.endswith('ch') else 's'} {done}"


def prove(drafts: Sequence[Draft]) -> list[Exported]:
    """Write the formats of drafts, reload all forms in a fresh process and compare; then write what was found.

    Raises: ExportError for the first that differs, or that lacks a format that was asked for by name.
    """
    from results.export import proof

    alone = all(draft.alone for draft in drafts)
    with proof.fresh("reload.py", alone) as checker:  # it gets ready while the formats are made
        drafts = converted(drafts, alone)
        forms = [("source", *draft.formats) for draft in drafts]
        found = proof.differences([draft.claim for draft in drafts], forms, alone, checker)
    return [settled(draft, said) for draft, said in zip(drafts, found, strict=True)]


def converted(drafts: Sequence[Draft], alone: bool) -> list[Draft]:
    """The drafts, with their formats written; formats that an exporter refuses are left out, or are an error."""
    from results.export import proof
    from results.export.refused import sentences
    from results.export.tree import leaves

    wanted = [draft for draft in drafts if draft.formats]
    if not wanted:
        return list(drafts)
    with tempfile.TemporaryDirectory(prefix="nas-export-") as place, proof.fresh("convert.py", alone) as maker:
        jobs = [
            {
                "folder": str(draft.claim.folder),
                "inputs": proof.save(draft.claim.operands, Path(place) / f"{number}.inputs"),
                "formats": list(draft.formats),
                "packages": {name: FORMATS[name].packages for name in draft.formats},
                "input_names": inputs_in_words(draft.architecture.inputs),
                "output_names": list(draft.architecture.graph.output_names),
                "suspects": [i.path for i in leaves(draft.root) if getattr(i.what, "target", "") == "user"],
            }
            for number, draft in enumerate(wanted)
        ]
        answers = dict(zip(map(id, wanted), maker.answers(jobs, "converted"), strict=True))
    done = []
    for draft in drafts:
        refused = {name: why for name, why in answers.get(id(draft), {}).items() if why is not None}
        known = draft.architecture
        said = sentences(refused, known.graph, known.inputs, draft.root)
        if said and draft.by_name:
            raise ExportError("\n".join(dict.fromkeys(said.values())))
        left = tuple(name for name in draft.formats if name not in refused)
        done.append(replace(draft, formats=left, left_out={**draft.left_out, **said}))
    return done


def settled(draft: Draft, found: Mapping[str, Difference | str]) -> Exported:
    """Judge what the forms of a draft gave, and write it down. Raises ExportError."""
    proofs = list(draft.proofs)
    for form, difference in found.items():
        if isinstance(difference, str):
            raise ExportError(f"{FORMS[form].spoken} does not run as the built one: {difference}")
        proofs.append(Proof(form, *difference, accepted(form, draft.fused), draft.claim.sizes))
        proofs[-1].check()
    folder, formats = draft.claim.folder, {name: FORMATS[name] for name in draft.formats}
    packages = [package for made in formats.values() for package in made.packages]
    source = next(proof for proof in proofs if proof.form == "source")
    architecture = replace(
        draft.architecture,
        max_abs_difference=source.max_abs_difference,
        proofs=tuple(proof.to_dict() for proof in proofs),
        versions=versions(packages),
    )
    files = {**FILES, **{made.file: made.what for made in formats.values()}}
    if (folder / DATA).exists():
        files[DATA] = "weights of model.onnx"
    (folder / ARCHITECTURE).write_text(to_json(architecture), encoding="utf-8")
    text = readme(architecture, files, {name: made.file for name, made in formats.items()})
    (folder / README).write_text(text, encoding="utf-8")
    return Exported(folder, (*files, README), tuple(proofs), draft.notes, draft.left_out, architecture.examples)
