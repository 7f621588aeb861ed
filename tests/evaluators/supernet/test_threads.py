"""Small networks run on one thread, large ones on as many as there are."""

from __future__ import annotations

import os

import pytest

from evaluators.supernet.threads import PER_THREAD, threads_for
from nas.core.language import op, seq
from nas.core.profile import profile
from nas.core.space import Space, image


def test_as_many_as_the_largest_network_keeps_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    space = Space(seq(op("conv", width=8), op("head")), image(3, 16, 16), classes=4)
    macs = profile(space[0].graph, space.inputs).macs
    for wanted, batch in ((1, 1), (1, PER_THREAD // macs), (3, 3 * PER_THREAD // macs + 1), (6, PER_THREAD)):
        assert threads_for(space, [space[0]], batch) == wanted
