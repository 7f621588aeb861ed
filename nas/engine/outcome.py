"""What a search came to, and what is told of it while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from nas.core.records import Trial


@dataclass(frozen=True)
class Outcome:
    """What a search came to. The counts are of search trials of all sessions, finalists not among them.

    complete: trials with a measurement that counts; `cached` of the trials took theirs from an equal one.
    seconds: wall time of all sessions.
    stop_reason: 'trials', 'hours', 'failures' (too many), 'exhausted' (nothing left to propose), 'interrupted', or ''
        while the search is running.
    """

    trials: int = 0
    complete: int = 0
    cached: int = 0
    infeasible: int = 0
    failed: int = 0
    seconds: float = 0.0
    stop_reason: str = ""


@dataclass(frozen=True)
class Event:
    """Something to show: a search trial ended ('trial') or was read back ('replay'), or a finalist did ('finalist').

    Trials come in the order in which they end. outcome: the counts of those that were told, so far.
    """

    kind: str
    trial: Trial
    outcome: Outcome
