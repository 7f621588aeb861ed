"""From what a report says to the text of the page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from nas.core.errors import StoreError
from nas.core.roles import REPORT
from results.drawing import STYLE
from results.report.gather import gather
from results.run import Run
from results.store import SqlStore

SHEETS = ("page.css", "front.css")
"""Style sheets beside this file, in the order in which the page holds them."""

SCRIPTS = ("base.js", "choice.js", "network.js", "front.js", "pins.js", "table.js", "search.js", "start.js")
"""Scripts beside this file, in the order in which the page holds them."""


def write_report(source: Run | SqlStore | str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of a run, ended or still going, as one self-contained HTML page; return where it is.

    source: the run, its store, or its folder. path: by default `report.html` in the run's folder.

    Raises: StoreError when there is no run, or when the page cannot be written.
    """
    if isinstance(source, Run):
        return _write(source, path)
    if isinstance(source, SqlStore):
        with Run(source.path or source.url.render_as_string(hide_password=False), run=source.run_name) as run:
            return _write(run, path)
    with Run(source) as run:
        return _write(run, path)


def _write(run: Run, path: str | os.PathLike[str] | None) -> Path:
    if path is None and run.folder is None:
        raise StoreError(f"{run} has no folder; say where its report is to be written")
    target = Path(path) if path is not None else Path(str(run.folder)) / REPORT
    text = render(gather(run, _folder(run), target))
    partial = target.with_name(f".{target.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)  # a reader never sees half a page
    except OSError as error:
        raise StoreError(f"the report cannot be written to {target}: {error}") from error
    return target


def _folder(run: Run) -> str:
    """The run's folder as one would type it where the report is made."""
    if run.folder is None:
        return str(run.store.url)
    path = run.folder.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def render(said: dict[str, Any]) -> str:
    """The page that says this."""
    from plotly.offline import get_plotlyjs

    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        said,
        css=Markup(STYLE + "".join((here / name).read_text(encoding="utf-8") for name in SHEETS)),
        js=Markup("".join((here / name).read_text(encoding="utf-8") for name in SCRIPTS)),
        plotly=Markup(get_plotlyjs()),
        safe=Markup,
        broken=_broken,
        json=_json,
    )


def _broken(address: str) -> Markup:
    """An address that may go on in the next line behind a slash."""
    return Markup("/<wbr>").join(address.split("/"))


def _json(value: Any) -> Markup:
    """JSON that can stand in a script element, whatever texts are in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
