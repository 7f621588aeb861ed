"""Parts of the data: a class has the same share in each, and the same seed gives the same parts anywhere."""

from __future__ import annotations

import numpy as np

from nas.core.errors import DataError
from nas.core.seeds import generator


def check_share(share: object, where: str) -> float | int:
    """A share of examples: a fraction in (0, 1) with a point, or a whole number from 1 on. Raises DataError."""
    if isinstance(share, float) and 0 < share < 1:
        return share
    if isinstance(share, int) and not isinstance(share, bool) and share >= 1:
        return share
    raise DataError(
        f"{where}: {share!r}; expected a fraction between 0 and 1, as in 0.2, or a number of examples, as in 100"
    )


def stratified(
    codes: np.ndarray, share: float | int, seed: int, purpose: str, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Set `share` of the examples apart, class by class.

    Args:
        codes: class numbers, (N,).
        share: a fraction of the examples, or how many.

    Returns: indices that stay, indices set apart; both in ascending order. Each class keeps at least one example on
        either side; beyond that, sizes are exact.
    Raises: DataError for a class of a single example, and when nothing would stay.
    """
    total = len(codes)
    wanted = round(share * total) if share < 1 else int(share)
    classes, counts = np.unique(codes, return_counts=True)
    if (counts < 2).any():
        lonely = int(classes[np.argmin(counts)])
        raise DataError(
            f"{where}: class number {lonely} has a single example, too few to set some apart for the {purpose} part; "
            "add examples, or give the parts yourself"
        )
    if wanted > total - len(classes):
        raise DataError(
            f"{where}: {wanted} of {total} examples for the {purpose} part would leave a class without training "
            f"examples; at most {total - len(classes)}"
        )
    quota = counts * (wanted / total)
    take = np.clip(np.floor(quota).astype(int), 1, counts - 1)
    while take.sum() < wanted:  # the largest remainders get the examples left over
        take[np.argmax(np.where(take < counts - 1, quota - take, -np.inf))] += 1
    while take.sum() > wanted and (take > 1).any():  # small classes took one each: large ones give some back
        take[np.argmin(np.where(take > 1, quota - take, np.inf))] -= 1
    apart: list[int] = []
    for label, count in zip(classes.tolist(), take.tolist(), strict=True):
        members = np.flatnonzero(codes == label).tolist()
        generator(seed, "split", purpose, label).shuffle(members)
        apart += members[:count]
    mask = np.zeros(total, bool)
    mask[apart] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)
