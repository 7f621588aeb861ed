"""Time per training step of `evaluators.training.loop`, beside the shortest loop that trains the same network.

    python tests/benchmarks/training_loop.py [--epochs 6] [--device cpu]

The shortest loop has no schedule, no label smoothing, no clipping, no reports and no checks; both loops use the same
batches, optimizer and memory format, and look at the validation part after each epoch. `bare`: ours without smoothing
and clipping, which are work of their own. On the smallest network the difference is largest. Prints JSON; on a CPU the
times are the processor's, so that other programs matter less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from evaluators.data import Data, load
from evaluators.devices import name_of, resolve
from evaluators.train import Train
from evaluators.training.batches import Batches
from evaluators.training.loop import fit
from nas.core.build import build
from nas.core.graph import Graph, Node, chain
from nas.core.records import Budget

NETWORKS = {
    "linear": chain([Node("flat", "flatten"), Node("out", "linear", {"width": 10})]),
    "one conv": chain([Node("a", "conv", {"width": 8}), Node("head", "head", {"classes": 10})]),
    "ten convs": chain(
        [*(Node(f"c{k}", "conv", {"width": 16}) for k in range(10)), Node("head", "head", {"classes": 10})]
    ),
}


def shortest(network: nn.Module, data: Data, batch: int, epochs: int, device: str) -> int:
    """Train with as few lines as possible; return the number of steps."""
    see = data.normaliser(device)
    parts = {}
    for split in ("train", "validation"):
        x, y = data.tensors(split, device)
        parts[split] = (see(x).contiguous(memory_format=torch.channels_last), y["labels"])
    x, y = parts["train"]
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.008, fused=True)
    steps = 0
    for _ in range(epochs):
        network.train()
        for index in torch.randperm(len(x)).to(device).split(batch):
            loss = F.cross_entropy(network(x[index]), y[index])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
        network.eval()
        with torch.inference_mode():
            (network(parts["validation"][0]).argmax(1) == parts["validation"][1]).float().mean().item()
    return steps


def ours(network: nn.Module, settings: Train, epochs: int, device: str) -> int:
    parts = [Batches(settings.data, split, device, channels_last=True) for split in ("train", "validation")]
    return fit(network, *parts, settings, Budget(epochs), torch.Generator().manual_seed(0), device).steps


def per_step(run: Callable[[nn.Module, int], int], graph: Graph, data: Data, epochs: int, device: str) -> float:
    """Milliseconds, the median of five runs."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    times = []
    for _ in range(5):
        network = build(graph, data.inputs).to(device, memory_format=torch.channels_last)
        run(network, 1)
        start = clock()
        steps = run(network, epochs)
        times.append((clock() - start) / steps * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    device = resolve(chosen.device)
    data = load("digits")
    ours_as = {
        "bare": Train(data, device=device, amp="off", clip=0.0, label_smoothing=0.0),
        "default": Train(data, device=device, amp="off"),
    }
    batch = ours_as["default"].batch_size
    rows = {}
    for name, graph in NETWORKS.items():
        runs: dict[str, Callable[[nn.Module, int], int]] = {
            "shortest": lambda net, epochs: shortest(net, data, batch, epochs, device),
            "bare": lambda net, epochs: ours(net, ours_as["bare"], epochs, device),
            "default": lambda net, epochs: ours(net, ours_as["default"], epochs, device),
        }
        times = {kind: per_step(run, graph, data, chosen.epochs, device) for kind, run in runs.items()}
        rows[name] = {
            **{f"{kind}_ms": round(value, 3) for kind, value in times.items()},
            **{f"{kind}_ratio": round(times[kind] / times["shortest"], 3) for kind in ours_as},
        }
    print(json.dumps({"device": name_of(device), "torch": torch.__version__, "batch": batch, "steps": rows}))


if __name__ == "__main__":
    main()
