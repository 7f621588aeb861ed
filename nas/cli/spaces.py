"""`nas spaces`: the list of registered spaces, and one of them: its size, its choices, a drawing."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from nas.cli.output import Output
from nas.core.errors import GraphError, RecipeError
from nas.core.space import Space
from nas.core.values import digits
from nas.fields import inputs_spec
from nas.loading import find_part, load, part_names
from nas.recipe import parse_yaml
from results.units import count

SHOWN = 8
"""Options of a choice that the table shows."""
TRIES = 1000
"""How many candidates are drawn until one is a network that can be drawn."""


def several(output: Output, sets: Sequence[str], draw: Path | None, json: bool) -> None:
    """The list of registered spaces with their sizes, for the inputs that they have by themselves."""
    if sets or draw is not None:
        raise RecipeError("--set and --draw are for one space; say which: nas spaces NAME --set FIELD=VALUE")
    found = [(name, load("space", name)) for name in part_names("space")]
    if json:
        output.result(
            [{"name": name, "size": digits(space.size()), "choices": len(space.choices())} for name, space in found]
        )
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("space", "networks", "choices", "what it is"):
        table.add_column(title, justify="right" if title in ("networks", "choices") else "left", overflow="fold")
    for name, space in found:
        table.add_row(name, count(space.size()), str(len(space.choices())), _about(name))
    output.show(table)
    output.say("\nSizes are for the inputs that a space has by itself; data change them. One of them: nas spaces NAME")


def one(
    output: Output, name: str, sets: Sequence[str], draw: Path | None, network: Path | None, seed: int, json: bool
) -> None:
    """Size and choices of one space. draw, network: files for a drawing of the space, and of one network of it."""
    for option, file in (("--draw", draw), ("--draw-network", network)):
        if file is not None:
            _check(option, file)
    spec = find_part("space", {"name": name, **_fields(sets)}, base=Path.cwd())
    space: Space = spec.make()
    if draw is not None:
        _draw(output, name, space, draw)
    if network is not None:
        _draw_network(output, name, space, network, seed)
    if json:
        output.result({"name": name, "size": digits(space.size()), "choices": list(_choices(space))})
        return
    settings = spec.spec()
    fields = (
        ", ".join(f"{key}={value}" for key, value in settings.items() if key != "name") if "name" in settings else ""
    )
    output.show(
        f"{name}: {count(space.size())} networks, {len(space.choices())} choices; inputs {inputs_spec(space.inputs)}"
    )
    output.show(f"fields (--set FIELD=VALUE): {fields}\n" if fields else "")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("choice", overflow="fold")
    table.add_column("kind")
    table.add_column("options", overflow="fold")
    table.add_column("active when", overflow="fold")
    for row in space.explain():
        more = f", … ({row['count']} in all)" if row["count"] > SHOWN else ""
        options = ", ".join(_option(option) for option in row["options"][:SHOWN]) + more
        table.add_row(row["address"], row["kind"], options, _needs(row["needs"]))
    output.show(table)


def _choices(space: Space) -> Iterator[dict[str, Any]]:
    for row in space.explain():
        yield {
            "address": row["address"],
            "kind": row["kind"],
            "options": row["options"],
            "count": row["count"],
            "active_when": {need["address"]: need["options"] for need in row["needs"]},
        }


def _fields(sets: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for text in sets:
        key, equals, written = text.partition("=")
        if not equals or not key or "." in key:
            raise RecipeError(f"--set {text}: expected FIELD=VALUE, as in --set width=32")
        fields[key.strip()] = parse_yaml(written, f"--set {text}")[0]
    return fields


def _about(name: str) -> str:
    """The first sentence of what made the space says of itself, or of its module."""
    from nas.core import registry

    part = registry.get("space", name)
    text = inspect.getdoc(inspect.getmodule(part)) or inspect.getdoc(part) or ""
    line = " ".join(text.split("\n\n")[0].split())
    return line.removeprefix(f"`{name}`, ").removeprefix(f"`{name}`: ").removeprefix(f"{name}: ")


def _option(option: Any) -> str:
    return "{" + ", ".join(map(str, option)) + "}" if isinstance(option, tuple | list) else str(option)


def _needs(needs: Sequence[Mapping[str, Any]]) -> str:
    shown = []
    for need in needs:
        options = [_option(option) for option in need["options"]]
        values = options[0] if len(options) == 1 else f"one of {', '.join(options)}"
        shown.append(f"{need['address']} is {values}")
    return " and ".join(shown) or "always"


def _check(option: str, file: Path) -> None:
    """Refuse a file for a drawing before anything is worked out. Raises RecipeError."""
    from results.drawing import check_ending

    check_ending(file)
    if not file.absolute().parent.is_dir():
        raise RecipeError(f"{option} {file}: there is no folder {file.parent}; make it first")


def _draw(output: Output, name: str, space: Space, file: Path) -> None:
    """Draw the space with its open choices."""
    from results.drawing import space_picture

    space_picture(space, title=f"the space {name}").save(file)
    output.say(f"drew the space into {file}")


def _draw_network(output: Output, name: str, space: Space, file: Path, seed: int) -> None:
    """Draw the first valid network that `seed` gives."""
    from results.drawing import picture

    rng, title = random.Random(seed), f"one network of {name}, seed {seed}"
    for _ in range(TRIES):
        candidate = space.sample(rng)
        if space.trouble(candidate) is None:
            break
    else:
        raise GraphError(f"none of {TRIES} drawn candidates is a network: {space.trouble(candidate)}")
    picture(candidate.graph, space.inputs, collapse=True, tallest=1400, title=title).save(file)
    output.say(f"drew one network (seed {seed}) into {file}")
