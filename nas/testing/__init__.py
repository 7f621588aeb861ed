"""What a user runs on a part of their own: a contract suite per role, and the small pieces that the suites need.

A suite is a class whose methods pytest collects. Subclass it in a test file and say how the part is made:

    from nas.testing import StrategyContract

    class TestMine(StrategyContract):
        def make(self, **injected):
            return MySearch(**injected, population=8)
"""

from nas.testing.caches import CacheContract
from nas.testing.evaluators import EvaluatorContract
from nas.testing.executors import ExecutorContract
from nas.testing.memory import MemoryCache, MemoryStore
from nas.testing.samples import Agreement, AgreementInWorkers, Remembering, small_space
from nas.testing.strategies import StrategyContract

__all__ = [
    "Agreement",
    "AgreementInWorkers",
    "CacheContract",
    "EvaluatorContract",
    "ExecutorContract",
    "MemoryCache",
    "MemoryStore",
    "Remembering",
    "StrategyContract",
    "small_space",
]
