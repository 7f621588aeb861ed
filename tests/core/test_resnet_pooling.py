"""`resnet_pooling` against what is published of its 36 networks."""

from __future__ import annotations

from itertools import combinations

import pytest

from nas.core.errors import GraphError, NotInSpaceError
from nas.core.profile import profile
from nas.core.space import image
from search_spaces.cnn import cnn
from search_spaces.resnet_pooling import resnet_pooling


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, 36),
        ({"depths": (3, 2, 2, 2), "widths": (64, 128, 256, 512)}, 56),
        ({"depths": (4, 4, 6, 3), "widths": (8, 16, 32, 64)}, 560),
    ],
)
def test_the_published_numbers_of_networks(fields: dict[str, tuple[int, ...]], size: int) -> None:
    assert resnet_pooling(**fields).size() == size  # type: ignore[arg-type]


def test_all_networks_have_the_same_parameters_and_later_poolings_cost_more() -> None:
    space = resnet_pooling()
    costs = {space.spell(c.graph): profile(c.graph, space.inputs) for c in space.enumerate()}
    cuts = combinations(range(1, 10), 2)
    assert set(costs) == {f"[{first},{last - first},{10 - last}]" for first, last in cuts}
    assert {cost.params for cost in costs.values()} == {272_474}
    assert costs["[8,1,1]"].macs == max(cost.macs for cost in costs.values())
    assert costs["[1,1,8]"].macs == min(cost.macs for cost in costs.values())


def test_texts_and_candidates_belong_together() -> None:
    space = resnet_pooling()
    for candidate in space.enumerate():
        assert space.parse(space.spell(candidate.graph)) == candidate
    for text in ("[4,3]", "[4,3,4]", "[10,0,0]", "[0,5,5]", "4-3-3", ""):
        with pytest.raises(NotInSpaceError):
            space.parse(text)
    with pytest.raises(NotInSpaceError, match="no body"):
        space.spell(cnn(image(3, 8, 8))[0].graph)


@pytest.mark.parametrize("fields", [{"depths": (4,)}, {"widths": (16, 0, 64)}, {"depths": (4, 3), "widths": (1, 2, 3)}])
def test_fields_are_checked(fields: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(GraphError, match="resnet_pooling"):
        resnet_pooling(**fields)  # type: ignore[arg-type]
