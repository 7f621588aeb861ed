"""Labelled examples from anywhere, in three parts, known before anything is trained.

    load(spec)            digits, file.npz, folder/, module:function, torchvision:NAME, huggingface:NAME → Data
    Data                  shapes, classes, counts, normalisation, fingerprint; arrays and tensors of each part
    Found, Examples       what a source of one's own returns

A source is a dataclass with `read() -> Found`, registered as kind 'data'.
"""

from evaluators.data.dataset import SPLITS, Data, Examples
from evaluators.data.digits import Digits
from evaluators.data.folder import Folder
from evaluators.data.function import Function
from evaluators.data.hubs import HuggingFace, TorchVision
from evaluators.data.load import load
from evaluators.data.npz import Npz
from evaluators.data.prepare import Preparation, prepare
from evaluators.data.source import Found, Source

__all__ = [
    "SPLITS",
    "Data",
    "Digits",
    "Examples",
    "Folder",
    "Found",
    "Function",
    "HuggingFace",
    "Npz",
    "Preparation",
    "Source",
    "TorchVision",
    "load",
    "prepare",
]
