"""What every shared cache keeps to, as tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.core.records import Known, Measurement, Status
from nas.core.roles import Cache


def known(number: int = 0, **changed: Any) -> Known:
    """A measurement with all keys. `keys` among what is changed are laid over the others."""
    keys = {
        "decisions": f"d1:{number}",
        "graph": f"g2:{number}",
        "functional": f"f1:{number}",
        "evaluation": f"e1:graph {number}",
        "function": f"e1:function {number}",
        **changed.pop("keys", {}),
    }
    fields: dict[str, Any] = {
        "status": Status.COMPLETE,
        "reason": "",
        "measurement": Measurement(
            {"val_accuracy": 90.0 + number, "params": 12}, 1.5, ({"epoch": 1, "val_accuracy": 50.0},), {"device": "cpu"}
        ),
        "trial": number,
        "run": "runs/first",
        "seconds": 2.5,
    }
    return Known(keys, **(fields | changed))


class CacheContract:
    """Subclass and say how a cache at a place is made; two that are made at one place share what they hold."""

    def make(self, place: Path) -> Cache:
        """A cache at `place`, a path that no other test uses."""
        raise NotImplementedError

    def test_what_was_added_is_found_whole(self, tmp_path: Path) -> None:
        """By its evaluation key: status, reason, measurement, and where it came from."""
        cache = self.make(tmp_path / "cache.sqlite")
        cache.add(known(0))
        cache.add(known(1, status=Status.INFEASIBLE, reason="too large"))
        for number in (0, 1):
            found = cache.find(known(number).keys)
            assert found is not None, f"measurement {number} was added and not found"
            assert (found.measurement, found.trial, found.run) == (known(number).measurement, number, "runs/first")
            assert (found.seconds, dict(found.keys)) == (2.5, dict(known(number).keys))
        assert (found.status, found.reason) == (Status.INFEASIBLE, "too large")
        cache.close()

    def test_what_was_not_added_is_not_found(self, tmp_path: Path) -> None:
        """Nothing comes of nothing."""
        cache = self.make(tmp_path / "cache.sqlite")
        assert cache.find(known(0).keys) is None
        cache.add(known(1))
        assert cache.find(known(0).keys) is None
        cache.close()

    def test_the_graph_goes_before_the_function(self, tmp_path: Path) -> None:
        """A twin by function is found where the graph is not, and only when the function is asked for."""
        cache = self.make(tmp_path / "cache.sqlite")
        cache.add(known(0))
        twin = dict(known(0, keys={"decisions": "d1:7", "graph": "g2:7", "evaluation": "e1:graph 7"}).keys)
        found = cache.find(twin)
        assert found is not None, "a twin by function was not found"
        assert found.trial == 0
        alone = {name: key for name, key in twin.items() if name not in ("functional", "function")}
        assert cache.find(alone) is None, "a twin by function was found by its graph"
        cache.add(known(7, keys=twin))
        found = cache.find(twin)
        assert found is not None
        assert found.trial == 7, "the graph's own measurement goes first"
        cache.close()

    def test_the_first_stays(self, tmp_path: Path) -> None:
        """Two runs may measure the same at the same time: everybody gets the first."""
        cache = self.make(tmp_path / "cache.sqlite")
        cache.add(known(0))
        cache.add(known(0, trial=5, measurement=Measurement({"val_accuracy": 1.0})))
        found = cache.find(known(0).keys)
        assert found is not None
        assert found.trial == 0
        cache.close()

    def test_versions_of_keys_are_never_mixed(self, tmp_path: Path) -> None:
        """Even where the rest of a key agreed."""
        cache = self.make(tmp_path / "cache.sqlite")
        cache.add(known(0, keys={"graph": "g1:0", "functional": "f0:0"}))
        assert cache.find(known(0).keys) is None, "a measurement with keys of other versions was used"
        cache.close()

    def test_others_see_it(self, tmp_path: Path) -> None:
        """A second cache at the same place finds what the first one holds."""
        first, second = self.make(tmp_path / "cache.sqlite"), self.make(tmp_path / "cache.sqlite")
        first.add(known(0))
        assert second.find(known(0).keys) is not None
        second.add(known(1))
        assert first.find(known(1).keys) is not None
        first.close()
        first.close()
        assert second.find(known(0).keys) is not None
        second.close()
