"""Source `digits`: scikit-learn's handwritten digits. Built in, so that a first search needs no download."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from evaluators.data.dataset import Examples
from evaluators.data.source import Found
from nas.core.registry import register


@register("data", "digits")
@dataclass(frozen=True)
class Digits:
    """1,797 grey images of 8 x 8 pixels with values 0 … 16, ten classes.

    Reference: E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository (its test part).
    """

    def read(self) -> Found:
        """All images. They are read from the file inside scikit-learn: importing the library takes a second or two."""
        package = find_spec("sklearn")
        places = package.submodule_search_locations if package is not None else None
        file = Path(places[0]) / "datasets" / "data" / "digits.csv.gz" if places else None
        if file is not None and file.is_file():
            table = np.loadtxt(file, delimiter=",", dtype=np.int64)  # (1797, 65): 64 pixels and the class
            pixels, classes = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1]
        else:
            from sklearn.datasets import load_digits

            found = load_digits()
            pixels, classes = found.images[:, None], found.target.astype(np.int64)
        part = Examples(pixels.astype(np.uint8), {"labels": classes})
        return Found({"train": part}, "image", {}, ("scikit-learn's digits, grey images",))
