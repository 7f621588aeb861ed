"""Places for the parts of a scene: layers from top to bottom, few crossings, straight edges, nothing on top of another.

A layered drawing (Sugiyama, Tagawa and Toda 1981): an item's layer is the longest way to it; an edge that passes a
layer has a bend in it, which takes room there as an item does, so no edge runs over an item; the order in a layer comes
from sweeps of barycenters; positions are the least-squares answer that keeps order and distances.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import ceil, sqrt

from results.drawing import labels
from results.drawing.scene import Edge, Item, Scene

SIDE, GAP, BEND, ENTRY = 14.0, 18.0, 10.0, 9.0
"""Px between neighbours in a layer, between layers, the width of a bend, most px between edges that reach a leaf."""

PADDING, HEADING = 12.0, 19.0
"""Px between a box and what is in it, and the height of its title."""

LEAD = 5.0
"""Px below that title where no line comes in."""

ROW = 760.0
"""Px that items may take side by side before they are put into rows, where nothing connects them."""

SWEEPS = 12


def arrange(scene: Scene, *, framed: bool = False) -> None:
    """Give every item of the scene, and of the boxes in it, its size and place.

    framed: the scene is the inside of a box, whose inputs and outputs are points on its edge, with a name where there
        are several.
    """
    if scene.layers:
        return
    for item in scene.items:
        _measure(item)
    for ports in (scene.inputs, scene.outputs):
        for port in ports:
            named = labels.width(port.title, labels.DETAIL)
            if not framed:
                port.width, port.height = named + 18, 20.0
            elif len(ports) > 1:
                port.width, port.height = named + 4, 14.0
            else:
                port.width, port.height = 2.0, 0.0
    _assign_layers(scene)
    _order(scene)
    _spread_entries(scene)
    _place_across(scene, framed=framed)
    _place_down(scene)


def _measure(item: Item) -> None:
    if item.inner is not None:
        arrange(item.inner, framed=True)
        heading = labels.width(item.title, labels.DETAIL, bold=True) + (40 if item.count > 1 else 0)
        item.width = max(item.inner.width, heading) + 2 * PADDING
        if len(item.inner.inputs) == 1:  # room for the title beside the line that comes in
            reach = labels.width(item.title, labels.DETAIL, bold=True) + 18
            lacks = reach - (item.width / 2 + item.inner.inputs[0].x - item.inner.width / 2)
            item.width += 2 * max(lacks, 0.0)
        item.height = item.inner.height + HEADING
        # the inside is centred in the box, which its ports follow
        item.entries = [port.x - item.inner.width / 2 for port in item.inner.inputs] or [0.0]
        item.exits = [port.x - item.inner.width / 2 for port in item.inner.outputs] or [0.0]
        return
    texts = [labels.width(item.title, labels.TITLE, bold=True)]
    texts += [labels.width(line, labels.DETAIL) for line in item.details]
    badge = 30 if item.count > 1 else 0
    item.width = max(max(texts) + badge + (18 if item.small else 22), 34)
    item.height = (20 if item.small else 24) + 13 * len(item.details)


def _assign_layers(scene: Scene) -> None:
    """Layers by the longest way, and a bend in each layer that an edge passes."""
    into: dict[Item, list[Edge]] = defaultdict(list)
    for edge in scene.edges:
        into[edge.target].append(edge)
    for item in scene.items:  # in topological order
        item.layer = 1 + max((edge.source.layer for edge in into[item]), default=0)
    if not (scene.inputs or scene.outputs or scene.edges):
        _assign_rows(scene)
    last = 1 + max((item.layer for item in scene.items), default=0)
    for port in scene.outputs:
        port.layer = last
    scene.layers = [list(scene.inputs), *([] for _ in range(last))]
    for item in [*scene.items, *scene.outputs]:
        scene.layers[item.layer].append(item)
    for edge in scene.edges:
        for layer in range(edge.source.layer + 1, edge.target.layer):
            bend = Item("bend", layer=layer, width=BEND)
            edge.bends.append(bend)
            scene.layers[layer].append(bend)


def _assign_rows(scene: Scene) -> None:
    """Rows of items that nothing connects, for a picture that is wider than high; what is low comes first."""
    items = scene.items
    area = sum((item.width + SIDE) * (item.height + GAP) for item in items)
    widest = max(ROW, sqrt(2.5 * area))
    groups = [items]
    if sum(item.width + SIDE for item in items) > widest:
        items.sort(key=lambda item: item.inner is not None)
        groups = [[item for item in items if (item.inner is None) is leaf] for leaf in (True, False)]
    row = 0
    for group in filter(None, groups):
        total = sum(item.width + SIDE for item in group)
        even = total / ceil(total / widest) + max(item.width for item in group) / 2
        row, wide = row + 1, 0.0
        for item in group:
            if wide and wide + item.width > min(widest, even):
                row, wide = row + 1, 0.0
            item.layer, wide = row, wide + item.width + SIDE


Link = tuple[Item, float, Item, float]
"""From an item (at an offset from its middle) to one in the next layer (at an offset)."""


def _links(scene: Scene) -> list[Link]:
    found: list[Link] = []
    for edge in scene.edges:
        stops = [edge.source, *edge.bends, edge.target]
        for above, below in itertools.pairwise(stops):
            start = above.exits[edge.start] if above is edge.source else 0.0
            end = below.entries[edge.end] if below is edge.target else 0.0
            found.append((above, start, below, end))
    return found


def _order(scene: Scene) -> None:
    """Orders within layers by barycenters, up and down in turn; the best that was seen stays."""
    links = _links(scene)
    above: dict[Item, list[Link]] = defaultdict(list)
    below: dict[Item, list[Link]] = defaultdict(list)
    for link in links:
        below[link[0]].append(link)
        above[link[2]].append(link)
    best, fewest = [list(layer) for layer in scene.layers], _crossings(scene.layers, links)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        spot = {item: float(place) for layer in scene.layers for place, item in enumerate(layer)}
        for layer in scene.layers[1:] if sweep % 2 == 0 else scene.layers[-2::-1]:
            wish = {}
            for item in layer:
                if sweep % 2 == 0:
                    ends = [_lean(spot[source], source, start) for source, start, _, _ in above[item]]
                else:
                    ends = [_lean(spot[target], target, end) for _, _, target, end in below[item]]
                wish[item] = sum(ends) / len(ends) if ends else spot[item]
            layer.sort(key=wish.__getitem__)
            spot.update((item, float(place)) for place, item in enumerate(layer))
        now = _crossings(scene.layers, links)
        if now < fewest:
            best, fewest = [list(layer) for layer in scene.layers], now
    scene.layers = best


def _lean(place: float, item: Item, offset: float) -> float:
    """A port, counted in places: it is less than a place away from its item."""
    return place + 0.9 * offset / max(item.width, 1.0)


def _spread_entries(scene: Scene) -> None:
    """Give each edge that reaches a leaf a point of its own on its top edge, from left to right as they come."""
    spot = {item: place for layer in scene.layers for place, item in enumerate(layer)}
    into: dict[Item, list[Edge]] = defaultdict(list)
    for edge in scene.edges:
        into[edge.target].append(edge)
    for item, edges in into.items():
        if (item.inner is None or not item.inner.inputs) and len(edges) > 1:
            edges.sort(key=lambda edge: (spot[edge.bends[-1] if edge.bends else edge.source], edge.start))
            step = max(min(ENTRY, (item.width - 20) / (len(edges) - 1)), 0.0)
            item.entries = [step * (place - (len(edges) - 1) / 2) for place in range(len(edges))]
            for place, edge in enumerate(edges):
                edge.end = place


def _crossings(layers: Sequence[Sequence[Item]], links: Sequence[Link]) -> int:
    spot = {item: place for layer in layers for place, item in enumerate(layer)}
    between: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for above, start, below, end in links:
        between[above.layer].append((_lean(spot[above], above, start), _lean(spot[below], below, end)))
    count = 0
    for pairs in between.values():
        ends: list[float] = []
        for _, end in sorted(pairs):  # two edges cross when their starts and their ends are in opposite orders
            count += len(ends) - bisect.bisect_right(ends, end)
            bisect.insort(ends, end)
    return count


def _place_across(scene: Scene, *, framed: bool) -> None:
    """x of all items: each as near to where its links lead as order and distances allow."""
    links = _links(scene)
    above: dict[Item, list[Wish]] = defaultdict(list)
    below: dict[Item, list[Wish]] = defaultdict(list)
    alone = _lone(links)
    for source, start, target, end in links:
        weight = 8.0 if source in alone and alone[source][2] is target else 1.0
        below[source].append((target, end - start, weight))
        above[target].append((source, start - end, weight))
    for layer in scene.layers:
        _settle(layer, [0.0] * len(layer), [1.0] * len(layer))
    for sweep in range(1 if is_chain(scene) else 2 * SWEEPS):
        down = sweep % 2 == 0
        for layer in scene.layers if down else scene.layers[::-1]:
            wishes, weights = [], []
            for item in layer:
                ends = above[item] if down else below[item]
                if sweep >= SWEEPS or not ends:
                    ends = above[item] + below[item]
                weight = sum(end[2] for end in ends)
                wishes.append(sum((o.x + offset) * w for o, offset, w in ends) / weight if ends else item.x)
                weights.append(weight or 1.0)
            _settle(layer, wishes, weights)
    for _ in range(2):
        _straighten(scene, alone)
    if framed and len(scene.inputs) == len(scene.outputs) == 1:  # boxes in a chain stand exactly below each other
        scene.outputs[0].x = scene.inputs[0].x
    left = min((item.x - item.width / 2 for layer in scene.layers for item in layer), default=0.0)
    right = max((item.x + item.width / 2 for layer in scene.layers for item in layer), default=0.0)
    for layer in scene.layers:
        for item in layer:
            item.x -= left
    scene.width = right - left


def _lone(links: Sequence[Link]) -> dict[Item, Link]:
    """Item → the link to the next layer, where it is the only one that leaves the item and that reaches its target."""
    leaving, entering = Counter(link[0] for link in links), Counter(link[2] for link in links)
    return {link[0]: link for link in links if leaving[link[0]] == entering[link[2]] == 1}


def _straighten(scene: Scene, alone: dict[Item, Link]) -> None:
    """Put the items that follow one another by lone links exactly below each other, where their neighbours let them."""
    beside = {}
    for layer in scene.layers:
        for place, item in enumerate(layer):
            beside[item] = (layer[place - 1] if place else None, layer[place + 1] if place + 1 < len(layer) else None)
    inner = {link[2] for link in alone.values()}
    for first in [item for item in alone if item not in inner]:
        run = [(first, 0.0)]
        while run[-1][0] in alone:
            _, start, target, end = alone[run[-1][0]]
            run.append((target, run[-1][1] + start - end))
        if not _align(run, beside):
            _align([(item, shift) for item, shift in run if item.kind == "bend"], beside)


def _align(run: Sequence[tuple[Item, float]], beside: Mapping[Item, tuple[Item | None, Item | None]]) -> bool:
    """Put each item of the run at one x plus its shift; False when the neighbours leave no such x."""
    low, high = float("-inf"), float("inf")
    for item, shift in run:
        left, right = beside[item]
        if left is not None:
            low = max(low, left.x + (left.width + item.width) / 2 + SIDE - shift)
        if right is not None:
            high = min(high, right.x - (right.width + item.width) / 2 - SIDE - shift)
    if not run or low > high:
        return False
    x = min(max(sum(item.x - shift for item, shift in run) / len(run), low), high)
    for item, shift in run:
        item.x = x + shift
    return True


def is_chain(scene: Scene) -> bool:
    """Whether its items follow one another, one in each layer."""
    return all(len(layer) == 1 for layer in scene.layers)


Wish = tuple[Item, float, float]
"""To be below or above this item, this far to its side, with this weight."""


def _settle(layer: Sequence[Item], wishes: Sequence[float], weights: Sequence[float]) -> None:
    """Put the items of a layer as near to their wishes as can be, in order and without touching.

    Least squares under x[i+1] - x[i] >= distance: after subtracting the distances it is isotonic regression, solved by
    pooling adjacent violators.
    """
    shifts, pools = [0.0], []
    for left, right in itertools.pairwise(layer):
        shifts.append(shifts[-1] + (left.width + right.width) / 2 + SIDE)
    for wish, weight, shift in zip(wishes, weights, shifts, strict=False):
        pools.append((wish - shift, weight, 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    settled = [value for value, _, size in pools for _ in range(size)]
    for item, value, shift in zip(layer, settled, shifts, strict=False):
        item.x = value + shift


def _place_down(scene: Scene) -> None:
    """y of all items: layer under layer, low items in the middle of theirs."""
    wide: dict[int, float] = defaultdict(float)
    for above, start, below, end in _links(scene):
        wide[above.layer] = max(wide[above.layer], abs(above.x + start - below.x - end))
    top = 0.0 if scene.layers[0] else LEAD
    for number, layer in enumerate(scene.layers):
        height = max((item.height for item in layer), default=0.0)
        for item in layer:
            item.y = top + (height - item.height) / 2
            item.top, item.bottom = top, top + height
            if item.kind == "bend":
                item.y, item.height = top, height
        top += height
        if layer and number < len(scene.layers) - 1:
            top += GAP + min(wide[number] / 8, 22.0)
    scene.height = top if scene.layers[-1] or not scene.items else top - GAP + PADDING
