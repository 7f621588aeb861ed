"""How long a run takes, all its sessions together: written down now and then, so that a killed session counts too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from nas.core.records import KEYING
from nas.core.roles import Store

EVERY = 5.0
"""Seconds between two notes."""


class Clock:
    """The wall time of a run, and how much of it went into keys.

    before: seconds of earlier sessions. facts: what the store knew when the session began. keying: kind of key →
        seconds that this session spent on it, as they grow.
    """

    def __init__(self, store: Store, facts: Mapping[str, Any], keying: Mapping[str, float]) -> None:
        self._store, self._keying = store, keying
        self.before = float(facts.get("seconds", 0.0))
        self._keying_before: Mapping[str, float] = facts.get(KEYING, {})
        self._began = self._noted = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time of all sessions so far."""
        return self.before + time.monotonic() - self._began

    def tick(self) -> None:
        """Write the times down where the last note is some seconds old."""
        now = time.monotonic()
        if now - self._noted >= EVERY:
            self.note()
            self._noted = now

    def note(self) -> float:
        """Write the times down and return the wall time."""
        seconds = self.seconds
        self._store.note("seconds", seconds)
        spent = {kind: self._keying_before.get(kind, 0.0) + seconds for kind, seconds in self._keying.items()}
        self._store.note(KEYING, spent)
        return seconds
