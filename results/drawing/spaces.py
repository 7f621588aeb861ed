"""From a space to what is drawn: what is decided as in a network, what is open as a box that says what may be taken.

What is declared once is drawn once: a tie, a recursion, the copies of a repeat, and a large part that stands in several
places are drawn where they come first, and referred to afterwards. So a drawing is about as large as the declaration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nas.core.graph import Node
from nas.core.parts import (
    Again,
    Compute,
    Dag,
    OneOf,
    Op,
    Optional,
    Parallel,
    Part,
    Recursive,
    Repeat,
    Seq,
    Setting,
    SomeOf,
    Tie,
    join,
)
from nas.core.space import Space
from nas.core.values import FrozenDict
from results.drawing import labels
from results.drawing.columns import fold
from results.drawing.costs import span
from results.drawing.declared import LARGE, labelled, leaves_of, outputs_of, runs_of, together
from results.drawing.layout import arrange
from results.drawing.options import chosen, how_many, plain, setting_of, times_of
from results.drawing.picture import Picture
from results.drawing.scene import Edge as Line
from results.drawing.scene import Item, Scene
from results.drawing.shapes import shapes_of
from results.drawing.wiring import Wiring

BESIDE = 60
"""Most parts of one sequence, one choice or one merge that are drawn."""


def space_picture(
    space: Space, *, tallest: float | None = 1400.0, widest: float = float("inf"), title: str = ""
) -> Picture:
    """The drawing of a space with its open choices; tooltips tell their addresses.

    tallest, widest: as for a network (`results.drawing.picture`).
    """
    scene = space_scene(space)
    arrange(scene)
    if tallest is not None:
        fold(scene, tallest, widest)
    return Picture(tuple(shapes_of(scene)), scene.width, scene.height, title)


def draw_space(
    space: Space,
    *,
    tallest: float | None = 1400.0,
    widest: float = float("inf"),
    style: bool = True,
    title: str = "",
) -> str:
    """The same as the text of one `<svg>` element. style: with the style sheet (STYLE) in it, so that it is a file."""
    return space_picture(space, tallest=tallest, widest=widest, title=title).svg(style=style)


def space_scene(space: Space) -> Scene:
    """What is drawn of a space, still without places."""
    titles = [f"{name}  {labels.times(spec.shape)}" for name, spec in space.inputs.items()]
    if isinstance(space.part, Seq | Dag):
        return _Maker().scene(space.part, "", titles)
    scene = _ends(titles, outputs_of(space.part))
    _Maker().chain(scene, [("", "", space.part)])
    return scene


def _ends(inputs: Sequence[str], outputs: Iterable[str]) -> Scene:
    return Scene([Item("input", title=name) for name in inputs], [Item("output", title=name) for name in outputs])


@dataclass(frozen=True)
class _Recursion:
    """A recursion that is being drawn: where it begins, and how many levels it may have."""

    name: str
    home: str
    depth: int


@dataclass
class _Maker:
    """Draws parts. homes: where what is drawn once has been drawn. inside: recursions around what is drawn."""

    homes: dict[tuple[Part, tuple[_Recursion, ...]], str] = field(default_factory=dict)
    ties: set[str] = field(default_factory=set)
    inside: tuple[_Recursion, ...] = ()

    # ---- one part ------------------------------------------------------------------------------------------------

    def item(self, part: Part, at: str, name: str) -> Item:
        """A part at an address. name: what is written in front of what it is, or ''."""
        known = self._known(part, at, name)
        if known is not None:
            return known
        if isinstance(part, Tie):
            return self._tie(part, at, name)
        if isinstance(part, Optional):
            return self._optional(part, at, name)
        if isinstance(part, Recursive):
            return self._recursive(part, at, name)
        if isinstance(part, Again):
            return self._again(part, at)
        if isinstance(part, Op):
            return self._op(part, at)
        if isinstance(part, Compute):
            return self._compute(part, at)
        if isinstance(part, Repeat) and not part.children:
            return Item("pass", "nothing", ["repeat 0 times"], tooltip="\n".join([at, *chosen(part, at)]))
        return self._box(part, at, name)

    def _known(self, part: Part, at: str, name: str) -> Item | None:
        """What refers to an equal part that is drawn already; None where this one is to be drawn."""
        if isinstance(part, Tie | Again) or leaves_of(part) < LARGE:
            return None
        key = (replace(part, label=""), self.inside)
        home = self.homes.setdefault(key, at)
        if home == at:
            return None
        return Item("other", name or part.name, [f"as {home}"], tooltip=f"{at}: as {home}")

    def _box(self, part: Part, at: str, name: str) -> Item:
        words = "" if name else part.name
        if isinstance(part, OneOf):
            words = "one of"
        elif isinstance(part, SomeOf):
            words = _any(part)
        elif isinstance(part, Repeat):
            words = f"repeat {times_of(part)}"
        item = Item("choice" if isinstance(part, OneOf | SomeOf) else "box", inner=self.scene(part, at))
        item.title = " · ".join(filter(None, [name.replace("_", " "), words]))
        item.copies = part.most if isinstance(part, Repeat) else 1
        item.tooltip = "\n".join([at, *chosen(part, at)]).lstrip("\n")
        return item

    def _tie(self, part: Tie, at: str, name: str) -> Item:
        if part.tie in self.ties:
            told = f"{at}: tied, decided at {part.tie}"
            return Item("other", name or part.name, [f"tie {part.tie}, as above"], tooltip=told)
        self.ties.add(part.tie)
        return self.item(part.part, part.tie, name or part.name).say(f"tie {part.tie}")

    def _optional(self, part: Optional, at: str, name: str) -> Item:
        item = self.item(part.part, at, name).say("optional", *chosen(part, at))
        item.open = True
        return item

    def _recursive(self, part: Recursive, at: str, name: str) -> Item:
        if part.depth == 1:  # what would need one more level is not there
            return self.item(part.unrolled(), at, name)
        around = self.inside
        self.inside = (*around, _Recursion(part.recursion, at, part.depth))
        item = self.item(part.body, at, name or part.name).say(f"{part.depth} levels at most")
        self.inside = around
        return item

    def _again(self, part: Again, at: str) -> Item:
        around = next(each for each in reversed(self.inside) if each.name == part.recursion)
        deeper = f"one level deeper, of {around.depth}"
        told = f"{at}: as {around.home}\n{deeper}; on the last level, options that need one more are gone"
        return Item("other", f"{part.recursion} again", [deeper], tooltip=told)

    def _op(self, part: Op, at: str) -> Item:
        fixed = {name: value for name, value in part.attributes if not isinstance(value, Part)}
        node = Node("op", part.op, FrozenDict(fixed))
        title = labels.title(
            node, kernel_open=any(name == "kernel" for name, _ in part.attributes if name not in fixed)
        )
        item = Item(labels.family(part.op), title, labels.details(node), tooltip=f"{at} = {part.op}")
        self._settings(item, part.attributes, at)
        return item

    def _compute(self, part: Compute, at: str) -> Item:
        function = getattr(part.function, "__name__", "function")
        item = Item("other", f"{labels.shorten(function, 24)}(…)", ["made by a function of"])
        item.tooltip = f"{at} = {function}(…)"
        self._settings(item, part.values, at)
        item.details += labels.lines(
            [labels.shorten(f"{name} {plain(value)}", 40) for name, value in part.values
             if not isinstance(value, Part)]
        )  # fmt: skip
        return item

    def _settings(self, item: Item, settings: Iterable[tuple[str, Setting]], at: str) -> None:
        """Tell open values on an item and in its tooltip."""
        for name, setting in settings:
            if isinstance(setting, Part):
                text, lines = setting_of(setting, join(at, name), self.ties)
                item.details.append(f"{name.replace('_', ' ')} {text}")
                item.tooltip = "\n".join([item.tooltip, *lines])

    # ---- what is in a part -----------------------------------------------------------------------------------------

    def scene(self, part: Part, at: str, inputs: Sequence[str] = ("x",)) -> Scene:
        """The inside of a part that has parts."""
        if isinstance(part, Dag):
            scene = _ends(inputs if len(inputs) == len(part.inputs) else part.inputs, outputs_of(part))
            Wiring(self, scene, part, at).draw()
            return scene
        if isinstance(part, OneOf):
            scene = Scene()
            for label, option in _first(part.options, at, scene):
                scene.items.append(labelled(self.item(option, join(at, label), label), label, option))
            return scene
        scene = _ends(inputs, ("y",))
        if isinstance(part, Seq):
            self.chain(scene, [(join(at, name), name, inner) for name, inner in part.parts])
        elif isinstance(part, Repeat):
            name = span(part.children)
            here = join(at, together(part.children))
            inside = part.part
            if isinstance(inside, Seq):
                self.chain(scene, [(join(here, label), label, member) for label, member in inside.parts])
            else:
                self.chain(scene, [(here, name, inside)])
        else:
            assert isinstance(part, Parallel | SomeOf)
            self._branches(scene, part, at)
        return scene

    def chain(self, scene: Scene, members: Sequence[tuple[str, str, Part]]) -> None:
        """Parts one after another, (address, name, part) each; equal ones that follow one another are drawn once."""
        sources: list[tuple[Item, int]] = [(port, 0) for port in scene.inputs]
        drawn: list[Item] = []
        for run in runs_of(members):
            at, name, part = run[0]
            if len(drawn) >= BESIDE:
                drawn.append(
                    Item("other", f"… {len(members) - BESIDE} more", tooltip=f"{at} and what follows: not drawn")
                )
            else:
                if len(run) > 1:
                    name = span([each for _, each, _ in run])
                    at = join(at.rpartition("/")[0], together([each for _, each, _ in run]))
                drawn.append(self.item(part, at, name))
                drawn[-1].count = len(run)
            item = drawn[-1]
            for place, (source, port) in enumerate(sources):
                scene.edges.append(Line(source, port, item, place if item.ports[0] > place else 0))
            sources = [(item, 0)]
            scene.items.append(item)
            if len(drawn) > BESIDE:
                break
        for place, end in enumerate(scene.outputs if sources else ()):
            last, start = sources[0]
            scene.edges.append(Line(last, place if last.ports[1] > place else start, end, 0))

    def _branches(self, scene: Scene, part: Parallel | SomeOf, at: str) -> None:
        """Parts from one input to a merge. Where a subset is taken, the lines say that each may be missing."""
        paths = part.options if isinstance(part, SomeOf) else part.parts
        one = len(paths) == 1 or (isinstance(part, SomeOf) and part.at_most == 1)
        one = one and not (isinstance(part.merge, Part) or isinstance(part.fit, Part))
        end = scene.outputs[0] if one else self.merge(part.merge, part.fit, join(at, "merge"), join(at, "fit"))
        for name, path in _first(paths, at, scene):
            item = labelled(self.item(path, join(at, name), name), name, path)
            maybe = isinstance(part, SomeOf) or isinstance(path, Optional)
            scene.items.append(item)
            scene.edges += [Line(scene.inputs[0], 0, item, 0, open=maybe), Line(item, 0, end, 0, open=maybe)]
        if not one:
            scene.items.append(end)
            scene.edges.append(Line(end, 0, scene.outputs[0], 0))

    def merge(self, merge: Setting, fit: Setting, at: str, fit_at: str) -> Item:
        """What brings several operands together. at, fit_at: addresses of how, and of how they are fitted."""
        if isinstance(merge, Part):
            item = Item("merge", "merge")
            text, lines = setting_of(merge, at, self.ties)
            item.details.append(text)
            item.tooltip = "\n".join(lines)
        else:
            item = Item("merge", str(merge))
        if fit is not None:
            text, lines = setting_of(fit, fit_at, self.ties)
            item.details.append(f"fit {text}")
            item.tooltip = "\n".join(filter(None, [item.tooltip, *lines]))
        return item


def _first(members: Sequence[tuple[str, Setting]], at: str, scene: Scene) -> Iterator[tuple[str, Part]]:
    """Members up to BESIDE; a node stands for those after them."""
    for name, member in members[:BESIDE]:
        assert isinstance(member, Part)
        yield name, member
    if len(members) > BESIDE:
        told = f"{join(at, members[BESIDE][0])} and what follows: not drawn"
        scene.items.append(Item("other", f"… {len(members) - BESIDE} more", tooltip=told))


def _any(part: SomeOf) -> str:
    size = how_many(part.at_least, part.at_most, len(part.options))
    return f"any of, {size}" if size else "any of"
