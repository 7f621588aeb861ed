"""All operations, each declared once. `find` is the way to an entry.

layers      one torch call each: convolution, linear, norms, pools, merges, …
blocks      made of other operations: conv, mbconv, attention, transformer, head, …
benchmarks  the exact operations of NAS-Bench-201, NAS-Bench-101 and NAS-Bench-Macro
user        any nn.Module class
"""

from nas.core.errors import GraphError, nearest
from nas.core.operations import benchmarks, blocks, layers
from nas.core.operations.user import user_operation
from nas.core.table import TABLE, Operation

__all__ = ["benchmarks", "blocks", "find", "layers", "operation_names"]


def find(name: str, where: str = "") -> Operation:
    """The entry called `name`; for `path/file.py:Class` or `module:Class`, one made for that nn.Module class.

    Raises: GraphError with the nearest names.
    """
    if ":" in name:
        return user_operation(name)
    if name not in TABLE:
        start = f"{where}: " if where else ""
        raise GraphError(f"{start}operation {name!r} is unknown; {nearest(name, TABLE)}; or give an nn.Module class")
    return TABLE[name]


def operation_names() -> list[str]:
    """Names of all operations, sorted."""
    return sorted(TABLE)
