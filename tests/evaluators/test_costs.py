"""Costs beside any evaluator: exact where they are counted, plausible and documented where they are measured."""

import pytest
import torch
from torch import nn

from evaluators.bench import Bench
from evaluators.costs import WithCosts, measure_costs, with_costs
from evaluators.table import Table
from evaluators.train import Train
from evaluators.training.cost import Ledger
from nas.core.errors import RecipeError
from nas.core.graph import Node, chain
from nas.core.profile import InputSpec, profile
from nas.core.records import Budget, Candidate, Constraint, Measurement
from nas.core.roles import Evaluator
from nas.testing import EvaluatorContract
from tests.evaluators.networks import candidate, small

INPUTS = {"x": InputSpec((1, 8, 8))}


class Known:
    """An evaluator that reports one number, and `macs` of its own."""

    writes_files = True
    default_budget = Budget(3)

    def evaluate(self, candidate, budget, seed, folder=None):
        return Measurement({"score": float(seed), "macs": 7}, 1.5, ({"epoch": 1},), {"folder": folder})

    def metrics(self):
        from evaluators.metrics import metric

        return [metric("score"), metric("macs")]

    def fingerprint(self):
        return "known"


class TestWithCostsKeepsTheContract(EvaluatorContract):
    def make(self) -> WithCosts:
        names = ["latency_ms", "peak_memory_bytes", "params", "train_memory_bytes"]
        return WithCosts(Train("digits", device="cpu"), names, INPUTS, Bench(device="cpu"))

    def candidates(self) -> list[Candidate]:
        return [small(4), small(6)]


def test_only_what_is_wanted_and_missing_is_added():
    known = Known()
    assert with_costs(known, ["score", "macs"], INPUTS) is known
    wrapped = with_costs(known, ["score", "macs", "params", "latency_ms"], INPUTS)
    assert isinstance(wrapped, WithCosts)
    assert isinstance(wrapped, Evaluator)
    assert wrapped.names == ("params", "latency_ms")
    assert [metric.name for metric in wrapped.metrics()] == ["score", "macs", "params", "latency_ms"]
    assert (wrapped.writes_files, wrapped.default_budget) == (True, Budget(3))
    assert not hasattr(wrapped, "knows_stage")


def test_the_measurement_keeps_what_was_there():
    found = WithCosts(Known(), ["params", "macs", "latency_ms"], INPUTS).evaluate(small(), Budget(1), 4, folder="f")
    assert (found.metrics["score"], found.metrics["macs"], found.metrics["params"]) == (4.0, 7, 9_658)
    assert (found.seconds, found.curve, found.notes["folder"]) == (1.5, ({"epoch": 1},), "f")


def test_a_candidate_that_breaks_a_bound_on_a_cost_is_not_evaluated():
    class Expensive(Known):
        def evaluate(self, candidate, budget, seed):
            raise AssertionError("it was evaluated")

    bounds = (Constraint("params", "<=", 9_000.0), Constraint("score", ">=", 1.0))
    found = with_costs(Expensive(), ["params", "peak_memory_bytes"], INPUTS, constraints=bounds).evaluate(
        small(), Budget(1), 0
    )
    assert set(found.metrics) == {"params", "peak_memory_bytes"}
    assert found.notes["broken"] == ["params <= 9000"]
    held = WithCosts(Known(), ["params"], INPUTS, constraints=(Constraint("params", "<=", 9_658.0),))
    assert held.evaluate(small(), Budget(1), 0).metrics == {"score": 0.0, "macs": 7, "params": 9_658}


def test_the_circumstances_of_a_measured_cost_are_noted():
    threads = torch.get_num_threads()
    bench = Bench(batch=3, repeats=9, warm_up=1, device="cpu")
    costs, notes = measure_costs(small(), ["latency_ms"], INPUTS, bench)
    assert torch.get_num_threads() == threads
    assert {"batch": 3, "repeats": 9, "warm_up": 1, "threads": 1, "torch": torch.__version__}.items() <= notes[
        "costs"
    ].items()
    low, high = notes["costs"]["quartiles_ms"]
    assert 0 < low <= costs["latency_ms"] <= high


def test_more_work_takes_longer():
    times = [
        measure_costs(small(width), ["latency_ms"], INPUTS, Bench(batch=16, repeats=15, device="cpu"))[0]["latency_ms"]
        for width in (4, 128)
    ]
    assert times[1] > 2 * times[0], "a thousand times the MACs"


def test_a_long_pass_is_not_repeated_for_ever(monkeypatch):
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("evaluators.training.cost.time.perf_counter", lambda: next(clock))
    _, notes = measure_costs(small(4), ["latency_ms"], INPUTS, Bench(repeats=50, seconds=2.0, device="cpu"))
    assert notes["costs"]["repeats"] == 5


def test_peak_memory_of_a_chain_is_weights_input_and_the_two_largest_neighbours():
    widths = (32, 8, 64, 4)
    graph = chain([Node(f"n{k}", "linear", {"width": width}) for k, width in enumerate(widths)])
    inputs = {"x": InputSpec((16,))}
    batch = 10
    costs, _ = measure_costs(candidate(graph), ["peak_memory_bytes"], inputs, Bench(batch=batch, device="cpu"))
    params = profile(graph, inputs).params
    assert costs["peak_memory_bytes"] == 4 * (params + batch * 16 + batch * (8 + 64))


def test_views_share_memory_and_the_dead_are_forgotten():
    x = torch.zeros(100)
    with torch.inference_mode(), Ledger([x]) as ledger:
        for _ in range(5):
            view = (x + 1).view(10, 10).t()[2:]
            view.relu_()
            del view
    assert ledger.peak == 800


def test_the_ledger_sees_inside_modules():
    hidden = nn.Sequential(nn.Linear(4, 1000, bias=False), nn.Linear(1000, 4, bias=False))
    x = torch.zeros(1, 4)
    with torch.inference_mode(), Ledger([*hidden.parameters(), x]) as ledger:
        hidden(x)
    assert ledger.peak == 4 * (8000 + 4 + 1000 + 4)


def test_a_table_stays_in_process_unless_something_is_measured(tmp_path):
    (tmp_path / "t.csv").write_text("arch,val\na,1\n")
    table = Table(str(tmp_path / "t.csv"), {"val_accuracy": "val"})
    assert WithCosts(table, ["params"], INPUTS).in_process
    assert not WithCosts(table, ["latency_ms"], INPUTS).in_process


def test_fingerprints_of_measured_costs_name_the_machine():
    plain = WithCosts(Known(), ["params"], INPUTS)
    measured = WithCosts(Known(), ["latency_ms"], INPUTS, Bench(device="cpu"))
    other = WithCosts(Known(), ["latency_ms"], INPUTS, Bench(device="cpu", batch=2))
    assert plain.fingerprint().startswith("known+costs1:params")
    assert torch.__version__.partition("+")[0] in measured.fingerprint()
    assert len({plain.fingerprint(), measured.fingerprint(), other.fingerprint()}) == 3


def test_wrong_names_and_fields():
    with pytest.raises(RecipeError, match="cost 'latency'; did you mean 'latency_ms'"):
        WithCosts(Known(), ["latency"], INPUTS)
    with pytest.raises(RecipeError, match="repeats is 0; expected a whole number of at least 1"):
        Bench(repeats=0)
    with pytest.raises(RecipeError, match="device 'tpu'"):
        Bench(device="tpu")
    with pytest.raises(RecipeError, match="seconds is -1"):
        Bench(seconds=-1)


def test_a_device_that_is_not_there_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match="costs: device 'cuda' is not there"):
        Bench(device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_costs_on_a_gpu():
    bench = Bench(batch=64, device="cuda")
    costs, notes = measure_costs(small(64), ["latency_ms", "peak_memory_bytes"], {"x": InputSpec((1, 8, 8))}, bench)
    params = profile(small(64).graph, INPUTS).params
    assert 0.01 < costs["latency_ms"] < 100
    assert costs["peak_memory_bytes"] > 4 * params
    assert costs["peak_memory_bytes"] < 4 * params + 512 * 2**20
    assert notes["costs"]["device"] == torch.cuda.get_device_name()
