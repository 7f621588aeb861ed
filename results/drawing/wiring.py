"""A `dag` of a space as it is drawn: its nodes, and lines from what they take, dashed where that is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nas.core.parts import Dag, Edge, Entry, Part, Setting, join
from results.drawing.declared import labelled, most_of, outputs_of, sources_of
from results.drawing.options import setting_of
from results.drawing.scene import Edge as Line
from results.drawing.scene import Item, Scene

WIRES = 80
"""Most lines to sources that are open, in one `dag`; above this they are told in words."""


class Maker(Protocol):
    """What draws the parts of a dag."""

    ties: set[str]

    def item(self, part: Part, at: str, name: str) -> Item:
        """A part at an address."""

    def merge(self, merge: Setting, fit: Setting, at: str, fit_at: str) -> Item:
        """What brings several operands together."""


@dataclass
class Wiring:
    """A `dag` with its sources, some of which may be open."""

    maker: Maker
    scene: Scene
    part: Dag
    at: str

    def draw(self) -> None:
        """Put the entries and the lines between them into the scene."""
        places: dict[str, tuple[Item, Part | None]] = {
            name: (port, None) for name, port in zip(self.part.inputs, self.scene.inputs, strict=True)
        }
        names = {item.name: item.part for item in self.part.structure() if hasattr(item, "part")}
        wires = sum(len(sources_of(source)) for entry in self.part.entries for source in entry.sources
                    if isinstance(source, Part))  # fmt: skip
        for entry in self.part.entries:
            at = join(self.at, entry.name)
            item = labelled(self.maker.item(entry.part, at, entry.name), entry.name, entry.part)
            target = item
            most = sum(most_of(source) for source in entry.sources)
            opened = isinstance(entry.merge, Part) or isinstance(entry.fit, Part)  # told even where it changes nothing
            if opened or (most > 1 and entry.merges is not None):
                below = join(at, "input_merge"), join(at, "input_fit")
                target = self.maker.merge(entry.merges or "add", entry.fit, *below)
                self.scene.items.append(target)
                self.scene.edges.append(Line(target, 0, item, 0))
            self.scene.items.append(item)
            self._sources(entry, target, names, places, words=wires > WIRES)
            places[entry.name] = (item, entry.part)
        for (_, ref), port in zip(self.part.outputs, self.scene.outputs, strict=True):
            source, start = _from(places, ref)
            self.scene.edges.append(Line(source, start, port, 0))

    def _sources(
        self,
        entry: Entry,
        target: Item,
        names: dict[str, Part],
        places: dict[str, tuple[Item, Part | None]],
        *,
        words: bool,
    ) -> None:
        """Lines from what an entry may take. words: open ones are told in words only."""
        opened = [name for name in names if name.rpartition("/")[0] == entry.name and names[name].gives_value]
        opened = [name for name in opened if not name.endswith(("/input_merge", "/input_fit"))]
        place = 0
        for source in entry.sources:
            if not isinstance(source, Part):
                start, port = _from(places, str(source))
                self.scene.edges.append(Line(start, port, target, place if target.ports[0] > place else 0))
                place += 1
                continue
            text, lines = setting_of(source, join(self.at, opened.pop(0)), self.maker.ties)
            edge = f"from {source.source} or not" if isinstance(source, Edge) else ""
            target.say((edge if words else "") if edge else f"input {text}", *lines)
            if not words:
                for name in sources_of(source):
                    start, port = _from(places, name)
                    end = place if target.ports[0] > place else 0
                    self.scene.edges.append(Line(start, port, target, end, open=True))
            place += 1


def _from(places: dict[str, tuple[Item, Part | None]], ref: str) -> tuple[Item, int]:
    """The item and the port that a reference leads to."""
    name, _, output = ref.partition(":")
    item, part = places[name]
    found = outputs_of(part) if part is not None else ()
    place = found.index(output) if output in found else 0
    return item, place if place < item.ports[1] else 0
