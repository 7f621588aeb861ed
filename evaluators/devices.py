"""On what a network runs: the choice of a device, without importing torch where no GPU can be."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from nas.core.errors import EvaluationError, RecipeError, nearest

DEVICES = ("auto", "cpu", "cuda", "mps")


def check_device(device: object, where: str) -> None:
    """Raises RecipeError for what cannot be a device, and for one that is not there."""
    if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise RecipeError(f"{where}: device {device!r}; {nearest(device, DEVICES)}")
    try:
        if device != "auto":  # which is always there, and need not import torch yet
            resolve(device)
    except EvaluationError as error:
        raise RecipeError(f"{where}: {error}") from None


def resolve(device: str) -> str:
    """'auto' is the GPU ('cuda') where there is one, else 'cpu'. Raises EvaluationError when a device is not there."""
    if device == "cpu":
        return device
    if device == "auto" and not _may_have_cuda():
        return "cpu"
    import torch

    cuda = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if cuda else "cpu"
    if device.startswith("cuda") and not cuda:
        raise EvaluationError(f"device {device!r} is not there: torch {torch.__version__} sees no GPU; use auto or cpu")
    if device.startswith("cuda:") and int(device.partition(":")[2]) >= torch.cuda.device_count():
        raise EvaluationError(
            f"device {device!r} is not there: torch sees {torch.cuda.device_count()} GPUs; use cuda:0 or auto"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise EvaluationError("device 'mps' is not there; use auto or cpu")
    return device


def name_of(device: str) -> str:
    """What a person calls the device: the GPU's name, or the processor's."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return processor()


def processor() -> str:
    """The processor's name, as far as the system tells."""
    file = Path("/proc/cpuinfo")
    if file.is_file():
        for line in file.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _may_have_cuda() -> bool:
    """False where a GPU can be ruled out without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1"):
        return False
    return visible is not None or shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()
