"""The forms that a network has: what they are called, how equal each has to be; and the files beside the source."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.core.errors import ExportError, nearest

NONE = "none"
"""What is said for the source alone."""
INSTALL = "pip install 'espalier-nas[onnx]'"


@dataclass(frozen=True)
class Format:
    """A file beside the source. packages: what writing and proving it needs beyond torch."""

    name: str
    file: str
    what: str
    packages: tuple[str, ...] = ()


FORMATS = {
    made.name: made
    for made in (
        Format(
            "pt2", "model.pt2", "the network as a torch.export program, for any number of examples; needs torch alone"
        ),
        Format(
            "onnx",
            "model.onnx",
            "the network in ONNX, for any number of examples; needs no torch",
            ("onnx", "onnxscript", "onnxruntime"),
        ),
    )
}
DATA = "model.onnx.data"
"""Weights of an ONNX network that is too large for one file."""


@dataclass(frozen=True)
class Form:
    """A form of a network that is proved equal to the built module.

    spoken: what errors call it. shown: what tables call it. hint: what to look at where it differs.
    tolerance: largest difference that is accepted, as a share of the largest number in an output of the built module.
    """

    name: str
    spoken: str
    shown: str
    tolerance: float
    hint: str


FORMS = {
    form.name: form
    for form in (
        Form(  # the same weights, cut out of larger tensors: kernels may sum them in another order
            "supernet", "the supernet under the same decisions", "the supernet under the same decisions", 1e-4,
            "its weights were not taken out as they ran in it; train the network by itself (finalists) and export that",
        ),
        Form(  # the same torch calls in the same order, so any difference is a mistake
            "source", "the reloaded network", "model.py, reloaded", 0.0,
            "does a module of yours keep numbers outside its state dict, or draw some when it is made?",
        ),
        Form(  # torch's own kernels, which a program may call in another layout
            "pt2", "model.pt2", "model.pt2, the torch.export program", 1e-5,
            "does a module of yours draw numbers, or depend on how many examples there are? --formats none omits it",
        ),
        Form(  # kernels of another library, which sum in another order; of float32's 7 digits tens of layers leave 4
            "onnx", "model.onnx", "model.onnx, in onnxruntime", 1e-4,
            "does a module of yours round, sort or draw numbers? --formats pt2 omits it",
        ),
    )
}  # fmt: skip
FUSED = 1e-4
"""What is accepted of every form of a network whose layers were fused: the same numbers by other sums."""


def accepted(form: str, fused: bool = False) -> float:
    """The largest relative difference that is accepted of a form."""
    return max(FORMS[form].tolerance, FUSED) if fused else FORMS[form].tolerance


def chosen(formats: Iterable[str] | str | None) -> tuple[str, ...]:
    """Names of the formats that are asked for, in order; None asks for all, 'none' or no names for the source alone.

    Raises: ExportError for an unknown name, and an empty one.

    >>> chosen(None), chosen("onnx, pt2"), chosen(["none"]), chosen([])
    (('pt2', 'onnx'), ('pt2', 'onnx'), (), ())
    """
    if formats is None:
        return tuple(FORMATS)
    given = formats.split(",") if isinstance(formats, str) else formats
    try:
        names = [name.strip().lower() for name in given]
    except (TypeError, AttributeError):
        raise ExportError(f"formats are {formats!r}; expected names such as ['pt2', 'onnx']") from None
    if "" in names:
        raise ExportError(f"formats are {formats!r}, where a name is empty; expected {', '.join(FORMATS)} or {NONE}")
    for name in names:
        if name not in (*FORMATS, NONE):
            raise ExportError(f"format {name!r} is unknown; {nearest(name, (*FORMATS, NONE))}")
    if NONE in names and any(name in FORMATS for name in names):
        raise ExportError(f"formats are {', '.join(names)}; 'none' stands alone")
    return tuple(name for name in FORMATS if name in names)


def lacking(names: Sequence[str]) -> dict[str, str]:
    """Format → which of its packages are missing and how to install them, for those that cannot be written here."""
    found = {}
    for name in names:
        missing = [package for package in FORMATS[name].packages if not installed(package)]
        if missing:
            words = f"{missing[-1]} is" if len(missing) == 1 else f"{', '.join(missing[:-1])} and {missing[-1]} are"
            found[name] = f"{words} not installed: {INSTALL}"
    return found


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None
