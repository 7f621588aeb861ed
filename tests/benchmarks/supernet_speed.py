"""What sharing costs: steps, switching, extraction, evaluation and memory of supernets, as ratios in one run.

    python -m tests.benchmarks.supernet_speed [--threads 1] [--device cpu] [--side 32] [--only PART …] [--json]

- a training step of a sampled network inside the supernet, beside the same network as a plain module; of a mixture of
  four experts, beside the supernet without. Interleaved, the least of several rounds, on four networks.
- switching to a network that was met before, and to a new one; extraction of the weights, and with a module around
  them; of a network as MobileNet's, by the processor's time.
- candidates per second over digits with inherited weights.
- memory: numbers of the weights, and what a step keeps for its backward pass.

Prints JSON; `--json` writes it beside this file, under the device and number of threads.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluators.devices import name_of
from evaluators.supernet.evaluator import SupernetEvaluator
from nas.core.language import one_of, op, repeat, seq
from nas.core.parts import Part
from nas.core.records import Budget, Candidate
from nas.core.space import Space, image
from nas.core.supernet.network import Supernet
from nas.core.supernet.sharing import Balanced, Elastic, Mixture
from search_spaces.cnn import cnn
from tests.benchmarks.judging import say

RESULT = Path(__file__).with_suffix(".json")
BATCH = 64
KINDS: Mapping[str, Elastic] = {
    "elastic": Elastic(),
    "mixture, layer-wise": Mixture(experts=4),
    "mixture, neuron-wise": Mixture(experts=4, routing="neuron"),
}


def mobile(side: int) -> Space:
    """Inverted bottlenecks of open kernels, expansions and depths, as in Once-for-all, for small images."""

    def stage(width: int, most: int, stride: int) -> Part:
        kernel, expand = one_of(3, 5, 7), one_of(3, 4, 6)
        rest = repeat(op("mbconv", kernel=kernel, expand=expand), times=one_of(*range(1, most + 1)))
        return seq(enter=op("mbconv", width=width, kernel=kernel, expand=expand, stride=stride), rest=rest)

    stages = {
        f"stage{number}": stage(width, 3, stride)
        for number, (width, stride) in enumerate([(24, 2), (40, 2), (80, 1), (112, 1), (160, 2)], 1)
    }
    return Space(seq(stem=op("stem", width=16), **stages, head=op("head")), image(3, side, side), 10)


# ---- training steps --------------------------------------------------------------------------------------------------


def stepper(run: Callable[[Tensor], Tensor], network: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    """One step of SGD, as short as it can be."""
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, fused=x.device.type in ("cpu", "cuda"))

    def step() -> None:
        F.cross_entropy(run(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        if x.is_cuda:
            torch.cuda.synchronize()

    return step


def least(steps: Mapping[str, Callable[[], None]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The least time of each, in milliseconds, over interleaved rounds; the first is for warming up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            began = clock()
            step()
            times[name].append((clock() - began) * 1e3)
    return {name: min(rows[1:]) for name, rows in times.items()}


def training(space: Space, device: str, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Steps inside supernets beside plain ones; the median over networks of the ratio of their least times."""
    (spec,) = space.inputs.values()
    x, y = torch.randn(BATCH, *spec.shape, device=device), torch.randint(0, 10, (BATCH,), device=device)
    candidates = sampled(space, 4)
    nets = {name: Supernet(space, weights) for name, weights in KINDS.items()}
    for net in nets.values():
        net.hold(candidates)
        net.to(device).train()
    rows = []
    for candidate in candidates:
        plain = nets["elastic"].extract(candidate).train()
        steps = {"plain": stepper(plain, plain, x, y)}
        for name, net in nets.items():
            steps[name] = stepper(partial(net, candidate), net, x, y)
        rows.append(least(steps, rounds, clock))
    return {
        "plain_ms": [round(row["plain"], 2) for row in rows],
        "elastic / plain": ratios(rows, "elastic", "plain"),
        "mixture, layer-wise / elastic": ratios(rows, "mixture, layer-wise", "elastic"),
        "mixture, neuron-wise / elastic": ratios(rows, "mixture, neuron-wise", "elastic"),
    }


def ratios(rows: Sequence[Mapping[str, float]], first: str, second: str) -> dict[str, float]:
    """Of the times of two things, over networks."""
    found = sorted(row[first] / row[second] for row in rows)
    return {"median": round(statistics.median(found), 3), "least": round(found[0], 3), "most": round(found[-1], 3)}


# ---- switching and taking out ----------------------------------------------------------------------------------------


def sampled(space: Space, count: int) -> list[Candidate]:
    rng = random.Random(0)
    return [space.sample(rng) for _ in range(count)]


def each(action: Callable[[Candidate], object], candidates: Iterable[Candidate]) -> dict[str, float]:
    """Milliseconds of the processor per candidate."""
    times = []
    for candidate in candidates:
        began = time.process_time()
        action(candidate)
        times.append((time.process_time() - began) * 1e3)
    return {"median_ms": round(statistics.median(times), 3), "least_ms": round(min(times), 3)}


def taking_out(space: Space) -> dict[str, Any]:
    """Switching and extraction on the CPU, by the processor's time on one thread."""
    net = Supernet(space)
    met, new = sampled(space, 160)[:80], sampled(space, 160)[80:]
    net.hold([*met, *new])
    net._plans.clear()  # rooms are made, and nothing is known of a candidate
    for candidate in met:
        net.plan(candidate)
    return {
        "layers_with_weights": statistics.median(
            sum(layer.form is not None for layer in net.plan(c).layers) for c in met
        ),
        "switch_to_one_met_before": each(net.plan, met),
        "switch_to_a_new_one": each(net.plan, new),
        "extract_weights": each(net.inherited, met),
        "extract_network": each(net.extract, met),
    }


# ---- evaluation ------------------------------------------------------------------------------------------------------


def evaluating(device: str, count: int) -> dict[str, Any]:
    """Candidates per second over the validation part of digits, with inherited weights."""
    found: dict[str, Any] = {}
    for few in (0, 4):
        evaluator = SupernetEvaluator(
            data="digits",
            space=cnn(image(1, 8, 8)),
            epochs=1,
            device=device,
            statistics={"name": "shared", "recalibrate": few},
        )
        with tempfile.TemporaryDirectory() as folder:
            evaluator.prepare(Path(folder), 0)
            candidates = [c for c in sampled(evaluator.space, 2 * count) if evaluator.space.trouble(c) is None][:count]
            began, processor = time.perf_counter(), time.process_time()
            for candidate in candidates:
                evaluator.evaluate(candidate, Budget(1), 0)
            seconds, processor = time.perf_counter() - began, time.process_time() - processor
        found[f"{few} batches of recalibration"] = {
            "candidates": len(candidates),
            "per_second": round(len(candidates) / seconds, 1),
            "per_processor_second": round(len(candidates) / processor, 1),
        }
    return found


# ---- memory ----------------------------------------------------------------------------------------------------------


def kept_bytes(run: Callable[[], Tensor]) -> int:
    """Bytes of tensors that a forward pass keeps for the backward one."""
    kept: dict[int, int] = {}

    def see(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        out = run()
    del out
    return sum(kept.values())


def memory(space: Space) -> dict[str, Any]:
    """Numbers of weights, and bytes kept by a training step of a sampled network, inside and outside."""
    (spec,) = space.inputs.values()
    x, candidates = torch.randn(BATCH, *spec.shape), sampled(space, 6)
    more = {"mixture of stage1 alone": Mixture(experts=4, layers="stage1/*"), "balanced, 4 sets": Balanced(sets=4)}
    kinds = {**KINDS, **more}
    nets = {name: Supernet(space, weights) for name, weights in kinds.items()}
    for net in nets.values():
        net.hold(candidates)
        net.train()
    elastic = nets["elastic"]
    first = sum(p.numel() for name, p in elastic.named_parameters() if "stage1/" in name)
    numbers = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    rows = []
    for candidate in candidates:
        plain = elastic.extract(candidate).train()
        row = {"plain": kept_bytes(partial(plain, x))}
        rows.append(row | {name: kept_bytes(partial(nets[name], candidate, x)) for name in KINDS})
    return {
        "numbers": numbers,
        "numbers / elastic": {name: round(count / numbers["elastic"], 3) for name, count in numbers.items()},
        "share of stage1": round(first / numbers["elastic"], 3),
        "kept_megabytes_of_plain": [round(row["plain"] / 2**20, 1) for row in rows],
        **{f"kept: {name} / plain": ratios(rows, name, "plain") for name in KINDS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--side", type=int, default=32, help="pixels of the images of training steps")
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--only", nargs="*", help="parts to measure; the others stay as the file has them")
    parser.add_argument("--json", action="store_true", help=f"write {RESULT.name}")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    by_processor = chosen.device == "cpu" and chosen.threads == 1
    clock = time.process_time if by_processor else time.perf_counter
    mobiles, cnns = mobile(chosen.side), cnn(image(3, chosen.side, chosen.side))
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        f"step_of_mobile_at_{chosen.side}": lambda: training(mobiles, chosen.device, chosen.rounds, clock),
        f"step_of_cnn_at_{chosen.side}": lambda: training(cnns, chosen.device, chosen.rounds, clock),
        "taking_out_of_mobile": lambda: taking_out(mobile(32)),
        "memory_of_mobile": lambda: memory(mobile(32)),
        "evaluating_digits": lambda: evaluating(chosen.device, chosen.candidates),
    }
    known = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    found = known.setdefault(f"{chosen.device}, {chosen.threads} threads", {})
    for name in chosen.only or parts:
        found[name] = parts[name]()
        say(f"{name}: {json.dumps(found[name], indent=1, ensure_ascii=False)}")
        found["machine"] = f"{name_of(chosen.device)}, {platform.machine()}, torch {torch.__version__}"
        found["clock"] = "of the processor" if by_processor else "of the wall"
        if chosen.json:
            RESULT.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
