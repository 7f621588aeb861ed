"""Latency and memory of a network, measured on the device it would run on."""

from __future__ import annotations

import gc
import statistics
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from evaluators.devices import name_of, resolve
from nas.core.build import build
from nas.core.graph import Graph
from nas.core.profile import InputSpec
from nas.core.threads import threads

if TYPE_CHECKING:
    from evaluators.bench import Bench

LEAST = 5
"""Passes that are timed in any case."""


def measure_network(
    graph: Graph, inputs: Mapping[str, InputSpec], names: Sequence[str], bench: Bench
) -> tuple[dict[str, float], dict[str, Any]]:
    """'latency_ms' and 'peak_memory_bytes' of a network in evaluation mode and float32, and the circumstances."""
    device = resolve(bench.device)
    before = torch.cuda.memory_allocated(device) if device.startswith("cuda") else 0
    network = build(graph, inputs).to(device).eval()
    return measure_module(network, {name: inputs[name] for name in graph.inputs}, names, bench, before)


def measure_module(
    network: nn.Module, inputs: Mapping[str, InputSpec], names: Sequence[str], bench: Bench, before: int = 0
) -> tuple[dict[str, float], dict[str, Any]]:
    """The same of any module, which is in evaluation mode on the bench's device.

    inputs: in the order of its arguments. before: bytes on a GPU that are not its own.
    """
    device = resolve(bench.device)
    notes: dict[str, Any] = {"device": name_of(device), "batch": bench.batch, "torch": torch.__version__}
    found: dict[str, float] = {}
    with threads(bench.threads):
        batch = tuple(example(spec, bench.batch, device) for spec in inputs.values())
        with torch.inference_mode():
            if "peak_memory_bytes" in names:
                found["peak_memory_bytes"], notes["memory"] = _memory(network, batch, device, before)
            if "latency_ms" in names:
                times = _times(lambda: network(*batch), device, bench)
                found["latency_ms"] = statistics.median(times)
                low, _, high = statistics.quantiles(times, n=4)
                notes |= {
                    "threads": bench.threads,
                    "warm_up": bench.warm_up,
                    "repeats": len(times),
                    "quartiles_ms": [low, high],
                }
    return found, notes


def example(spec: InputSpec, batch: int, device: str) -> Tensor:
    """A batch of zeros: what the numbers are does not change what they cost."""
    return torch.zeros((batch, *spec.shape), dtype=getattr(torch, spec.dtype), device=device)


def _times(call: Callable[[], object], device: str, bench: Bench) -> list[float]:
    """Milliseconds of each repeat. A GPU's are taken between events on its own clock."""
    cuda = device.startswith("cuda")
    for _ in range(bench.warm_up):
        call()
    times: list[float] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        if cuda:
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        while len(times) < bench.repeats and (len(times) < LEAST or time.perf_counter() - began < bench.seconds):
            times.append(_time_cuda(call, device) if cuda else _time_cpu(call, device))
    finally:
        if collecting:
            gc.enable()
    return times


def _time_cpu(call: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    call()
    if device == "mps":
        torch.mps.synchronize()
    return (time.perf_counter() - start) * 1e3


def _time_cuda(call: Callable[[], object], device: str) -> float:
    with torch.cuda.device(device):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return float(start.elapsed_time(stop))


def _memory(network: nn.Module, batch: tuple[Tensor, ...], device: str, before: int) -> tuple[float, str]:
    """The largest number of bytes at once, and how it was found."""
    if device.startswith("cuda"):
        network(*batch)  # libraries take their workspaces once
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        network(*batch)
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before), "as allocated by torch on the GPU"
    held = [*network.parameters(), *network.buffers(), *batch]
    with Ledger(held) as ledger:
        network(*batch)
    return float(ledger.peak), "sizes of all tensors alive at once; workspaces inside an operation not counted"


class Ledger(TorchDispatchMode):
    """Adds up the storages of all tensors that are alive while it is entered, views counted once.

    peak: the largest sum, in bytes.
    """

    def __init__(self, held: Sequence[Tensor]) -> None:
        super().__init__()
        self._holders: dict[int, int] = {}
        """Address of a storage → how many live tensors look at it."""
        self._tensors: set[int] = set()
        self._size = 0
        self.peak = 0
        for tensor in held:
            self._enter(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._enter(leaf)
        return result

    def _enter(self, tensor: Tensor) -> None:
        if id(tensor) in self._tensors:
            return
        storage = tensor.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        self._tensors.add(id(tensor))
        if not self._holders.get(address):
            self._size += size
            self.peak = max(self.peak, self._size)
        self._holders[address] = self._holders.get(address, 0) + 1
        weakref.finalize(tensor, self._leave, id(tensor), address, size).atexit = False

    def _leave(self, name: int, address: int, size: int) -> None:
        self._tensors.discard(name)
        self._holders[address] -= 1
        if not self._holders[address]:
            del self._holders[address]
            self._size -= size
