"""Networks that are there already: what is measured of them is known beforehand."""

import numpy as np
import pytest
import torch
from torch import nn

from evaluators.bench import Bench
from evaluators.data import Data, Examples
from evaluators.existing import costs, interval, quality
from nas.core.errors import DataError, EvaluationError
from nas.core.profile import InputSpec

FAST = Bench(device="cpu", warm_up=1, repeats=5)


def data(counts: dict[str, int] | None = None, classes: int = 3, mean=(), std=()) -> Data:
    """Images whose pixel is their number, of class number modulo classes."""

    def part(count: int) -> Examples:
        x = np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1)
        return Examples(x, {"y": np.arange(count) % classes})

    sizes = {"train": 4, "validation": 5, "test": 10} | (counts or {})
    names = {"y": tuple(map(str, range(classes)))}
    return Data("numbers", "image", *(part(sizes[split]) for split in sizes), names, mean, std)


class Says(nn.Module):
    """Logits for one class, whatever comes in; what came in is kept."""

    def __init__(self, answer: int = 0, classes: int = 3) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.eye(classes)[answer])
        self.seen: list[torch.Tensor] = []

    def forward(self, x):
        self.seen.append(x)
        return self.logits.expand(len(x), -1)


@pytest.mark.parametrize(("answer", "right"), [(0, 4), (1, 3), (2, 3)])  # of the numbers 0 to 9
def test_accuracy_and_loss(answer, right):
    found = quality(Says(answer), data(), "test", "cpu")
    assert found["test_accuracy"] == pytest.approx(10 * right)
    hit, miss = -np.log(np.exp([1, 0]) / (np.e + 2))
    assert found["test_loss"] == pytest.approx((right * hit + (10 - right) * miss) / 10)


def test_each_part_by_its_name():
    assert list(quality(Says(), data(), "validation", "cpu")) == ["val_accuracy", "val_loss"]
    assert quality(Says(), data(), "train", "cpu")["train_accuracy"] == 50  # 0 and 3 of 0 to 3


@pytest.mark.parametrize(
    ("feed", "second"), [(None, (1 - 2) / 4), ((), 1.0), (((1.5,), (0.5,)), -1.0)], ids=["data's", "raw", "its own"]
)
def test_what_the_network_is_fed(feed, second):
    network = Says()
    quality(network, data(mean=(2.0,), std=(4.0,)), "test", "cpu", feed)
    assert network.seen[-1].flatten()[1].item() == second


def test_a_part_that_is_not_there():
    with pytest.raises(DataError, match="'tset' of the data; did you mean 'test'"):
        quality(Says(), data(), "tset", "cpu")
    with pytest.raises(DataError, match="no examples in its test part"):
        quality(Says(), data({"test": 0}), "test", "cpu")


class Broken(nn.Module):
    def forward(self, x):
        raise ValueError("no\nway")


class Lists(nn.Module):
    def forward(self, x):
        return [x]


class Gives(nn.Module):
    """What a function makes of the inputs."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_one_output_may_have_any_name():
    found = quality(Gives(lambda x: {"logits": torch.eye(3)[0].expand(len(x), -1)}), data(), "test", "cpu")
    assert found["test_accuracy"] == pytest.approx(40)


def test_a_batch_that_does_not_fit():
    with pytest.raises(EvaluationError, match="fails on a batch of 1000000000: "):
        costs(nn.Flatten(), {"x": InputSpec((3, 1000, 1000))}, Bench(device="cpu", batch=10**9))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Gives(lambda x: torch.full((len(x), 3), float("nan"))), "numbers that are not finite, so it has no accuracy"),
        (Gives(lambda x: torch.zeros(1, 3)), r"output 'y' has shape \(1, 3\) for 2 inputs; expected \(2, classes\)"),
        (Broken(), r"fails on inputs of shape \(2, 1, 1, 1\): ValueError: no way"),
        (Lists(), "returns a list; expected a tensor of logits"),
        (Says(classes=5), r"output 'y' has shape \(5,\), numbers has 3 classes there"),
        (nn.Identity(), r"output 'y' has shape \(1, 1, 1\)"),
    ],
)
def test_networks_that_are_none_for_these_data(network, words):
    with pytest.raises(EvaluationError, match=words):
        quality(network, data(), "test", "cpu")


def test_costs_are_those_counted_by_hand():
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 25, 7)
    )
    found, notes = costs(network, {"x": InputSpec((2, 5, 5))}, FAST)
    assert found["params"] == (2 * 9 * 4 + 4) + 2 * 4 + (100 * 7 + 7)
    assert found["macs"] == 25 * 4 * 2 * 9 + 100 * 7
    assert found["latency_ms"] > 0
    assert found["peak_memory_bytes"] >= 4 * (found["params"] + 8)
    assert notes["repeats"] == 5


def test_attention_is_counted_too():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    found, _ = costs(layer, {"x": InputSpec((6, 8))}, FAST)
    projections, feed_forward, products = 6 * 8 * 8 * 4, 6 * 8 * 16 * 2, 2 * 6 * 6 * 8
    assert found["macs"] == projections + feed_forward + products


def test_a_network_keeps_its_weights_and_torch_its_threads():
    network, before = Says(), torch.get_num_threads()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    costs(network, {"x": InputSpec((1, 1, 1))}, FAST)
    assert torch.get_num_threads() == before
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(  # values of statsmodels' proportion_confint(…, method="wilson")
    ("right", "count", "low", "high"),
    [(0, 10, 0.0, 27.75328), (10, 10, 72.24672, 100.0), (81, 263, 25.52911, 36.62007)],
)
def test_intervals(right, count, low, high):
    assert interval(100 * right / count, count) == pytest.approx((low, high), abs=2e-3)
