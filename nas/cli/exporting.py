"""`nas export`: taking a network home."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from nas import running
from nas.cli.output import Output
from nas.core.errors import StoreError
from nas.examples import examples_of

if TYPE_CHECKING:
    from results.export import Exported


def export(
    output: Output,
    folder: Path,
    trial: int,
    to: Path,
    untrained: bool,
    formats: str | None,
    fold_norms: bool,
    merge_branches: bool,
    replace: bool,
    json: bool,
) -> None:
    """Write a network. Where a finalist was made of the trial, its weights are the ones that were trained longer."""
    with running.open(folder) as run:
        ids = {row.id for row in run.rows}
        if trial not in ids:
            known = f"trials 0 to {max(ids)}; on the front: {_ids(run)}" if ids else "no trial has ended yet"
            raise StoreError(f"{folder} holds no trial {trial}; {known}")
        again = run.finalists.get(trial)
        chosen = again.id if again is not None and again.complete else trial
        asked = run.taking(
            chosen, to, untrained=untrained, formats=formats, fold_norms=fold_norms, merge_branches=merge_branches,
            replace=replace,
        )  # fmt: skip
        output.working = True
        if chosen != trial and asked.weights is not None:  # where there are none, a note says so
            output.say(f"trial {trial} was trained again for {again.budget}; these weights are taken")
        waiting = output.err.status("writing and proving …") if output.err.is_terminal else nullcontext()
        with waiting, _terminated_as_interrupted():
            made = asked.write(examples_of(run))
    for why in dict.fromkeys(made.left_out.values()):
        output.warn(why)
    for note in made.notes:
        output.say(note)
    if json:
        output.result({**made.to_dict(), "folder": str(to)})
        return
    output.show(f"{to}: {', '.join(made.files)}\n")
    output.show(proof_table(made))
    sizes = " and ".join(", ".join(map(str, made.proofs[-1].batches)).rsplit(", ", 1))
    output.say(f"\ncompared in a fresh process on {made.examples}, {sizes} at a time")


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, as schedulers send it, is a Ctrl-C: what is half-written goes, and processes end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def proof_table(made: Exported) -> Table:
    """A row for each form: how far its outputs are from those of the network of the search."""
    from results.export.formats import FORMS

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("equal to the network of the search")
    for name in ("largest difference", "of the largest output", "allowed"):
        table.add_column(name, justify="right")
    for proof in made.proofs:
        gaps = f"{proof.max_abs_difference:.2g}", f"{proof.max_rel_difference:.2g}"
        table.add_row(FORMS[proof.form].shown, *gaps, f"{proof.tolerance:g}")
    return table


def _ids(run: Any) -> str:
    return ", ".join(str(trial.id) for trial in run.front) or "none"
