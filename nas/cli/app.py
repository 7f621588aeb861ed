"""The commands of `nas`: their names, options and help. What they do is imported when they are called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.output import debugging, guarded

app = typer.Typer(
    name="nas",
    help="Neural architecture search: launch a search, look at the Pareto front, take the network home.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a key of the recipe, as in evaluator.epochs=2. Repeatable."
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        import nas

        typer.echo(f"espalier-nas {nas.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Neural architecture search: launch a search, look at the Pareto front, take the network home."""
    debugging(debug)


@app.command()
def search(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="The recipe.", show_default=False)],
    sets: Set = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's folder; runs/NAME-N if not given.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Launch a search. Ends with the front, report.html and the best network."""
    with guarded() as out_:
        from nas.cli.searching import search as work

        work(out_, recipe, sets or [], out, json)


@app.command()
def resume(folder: Folder, sets: Set = None, json: Json = False) -> None:
    """Go on with a run. Also makes it longer: --set budget.trials=200."""
    with guarded() as out_:
        from nas.cli.searching import resume as work

        work(out_, folder, sets or [], json)


@app.command()
def front(
    folder: Folder,
    x: Annotated[str | None, typer.Option("--x", metavar="METRIC", help="Another metric for the front.")] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="METRIC", help="Another metric, beside --x.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every network, also of a long front.")] = False,
    json: Json = False,
) -> None:
    """Print the Pareto front of a run as a table."""
    with guarded() as out_:
        from nas.cli.looking import front as work

        work(out_, folder, x, y, all_, json)


@app.command()
def report(
    folder: Folder,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Also draw the front, the networks on it, the progress.")
    ] = False,
    tables: Annotated[bool, typer.Option("--tables", help="Also write front.csv and trials.parquet.")] = False,
    json: Json = False,
) -> None:
    """Write the report of a run as one HTML page."""
    with guarded() as out_:
        from nas.cli.looking import report as work

        work(out_, folder, open_, figures, tables, json)


@app.command()
def compare(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR", help="The folders of two runs or more.", show_default=False)
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE", help="Draw them too, as FILE.png, .svg or .pdf.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare runs: fronts, hypervolume, budget to the same quality."""
    with guarded() as out_:
        from nas.cli.comparing import comparison

        comparison(out_, folders or [], figure, json)


@app.command()
def export(
    folder: Folder,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="The trial's number.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder.", show_default=False)],
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Fresh weights where the run kept none of this trial.")
    ] = False,
    formats: Annotated[
        str | None,
        typer.Option(metavar="pt2,onnx", help="What to write beside the source: pt2, onnx or none. All if not given."),
    ] = None,
    fold_norms: Annotated[
        bool, typer.Option("--fold-norms", help="Fold batch norms into the layers before them.")
    ] = False,
    merge_branches: Annotated[
        bool, typer.Option("--merge-branches", help="Merge parallel convolutions into one; folds batch norms too.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an earlier export in that folder.")] = False,
    json: Json = False,
) -> None:
    """Write a network as a plain torch module, a torch.export program and ONNX, each proved equal."""
    with guarded() as out_:
        from nas.cli.exporting import export as work

        work(out_, folder, trial, to, untrained, formats, fold_norms, merge_branches, replace, json)


@app.command()
def evaluate(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="A folder of nas export, a file .pt2 or .onnx, or file.py:name that gives an nn.Module.",
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Data as in a recipe: digits, photos/, '{path: photos/, size: 48}'."),
    ] = None,
    part: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    raw: Annotated[bool, typer.Option("--raw", help="Feed inputs as they come, not normalised.")] = False,
    shape: Annotated[
        str | None, typer.Option("--input", metavar="C,H,W", help="Shape of one example, where nothing else says it.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Examples of one pass, for latency.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(help="Threads on a CPU, for latency.")] = 1,
    repeats: Annotated[int, typer.Option(help="Passes of which the median is taken.")] = 50,
    json: Json = False,
) -> None:
    """Measure a network again: accuracy, latency on this device, parameters, multiply-adds."""
    with guarded() as out_:
        from nas.cli.measuring import evaluate as work

        bench = {"batch": batch, "device": device, "threads": threads, "repeats": repeats}
        work(out_, network, data, part, raw, shape, bench, json)


@app.command()
def spaces(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A space's name, or path/file.py:name.", show_default=False)
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the space. Repeatable.")
    ] = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE", help="Draw the space, as FILE.svg, .png or .pdf.")
    ] = None,
    draw_network: Annotated[
        Path | None, typer.Option("--draw-network", metavar="FILE", help="Draw one network of it, likewise.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which network to draw.")] = 0,
    json: Json = False,
) -> None:
    """List the search spaces, or show one."""
    with guarded() as out_:
        from nas.cli.spaces import one, several

        if name is None:
            several(out_, sets or [], draw or draw_network, json)
        else:
            one(out_, name, sets or [], draw, draw_network, seed, json)


def run() -> None:
    """The command `nas`, with `--debug` allowed anywhere."""
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        arguments = ["--debug", *(argument for argument in arguments if argument != "--debug")]
    app(args=arguments, prog_name="nas")
