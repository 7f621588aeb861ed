"""Small networks run on one thread, large ones on as many as there are, and the caller's setting comes back."""

from __future__ import annotations

import os

import pytest
import torch

from evaluators.supernet.threads import PER_THREAD, threads, threads_for
from nas.core.language import op, seq
from nas.core.profile import profile
from nas.core.space import Space, image


def test_as_many_as_the_largest_network_keeps_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    space = Space(seq(op("conv", width=8), op("head")), image(3, 16, 16), classes=4)
    macs = profile(space[0].graph, space.inputs).macs
    for wanted, batch in ((1, 1), (1, PER_THREAD // macs), (3, 3 * PER_THREAD // macs + 1), (6, PER_THREAD)):
        assert threads_for(space, [space[0]], batch) == wanted


def test_the_setting_comes_back_also_after_an_error() -> None:
    before = torch.get_num_threads()
    seen = []

    def fail() -> None:
        with threads(before + 1):
            seen.append(torch.get_num_threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
