"""Randomness without a running stream: each draw comes from a digest of (seed, purpose, ids).

Because no stream runs along, a resumed search draws what the uninterrupted one would have drawn, in any process and
under any `PYTHONHASHSEED`.
"""

from __future__ import annotations

import hashlib
import random


def derive(seed: int, purpose: str, *ids: int | str) -> int:
    """An integer in [0, 2**63), the same in every process, different for different arguments.

    >>> derive(0, "propose", 1) == derive(0, "propose", 1) != derive(0, "propose", 2)
    True
    """
    text = "\x1f".join([str(seed), purpose, *(f"{type(i).__name__}:{i}" for i in ids)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, *ids: int | str) -> random.Random:
    """A fresh `random.Random` for one purpose; it is never shared and never global."""
    return random.Random(derive(seed, purpose, *ids))
