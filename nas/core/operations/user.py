"""Any `nn.Module` class of a user's own as an operation: shapes by a dry run on the meta device."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from nas.core.errors import GraphError, ShapeError, told
from nas.core.imports import load_object
from nas.core.table import Attribute, Call, Layer, Legal, Operation, Shape
from nas.core.values import FrozenDict, digest, freeze

_ANY = Legal("any value", lambda _: True)
FILLED = ("in_channels", "in_features", "in_shape")
"""Constructor parameters that are filled with what arrives when they are not given."""

VALUELESS = (
    "; shapes are worked out on tensors without values (x.is_meta): write it with torch operations, "
    "or start forward with `if x.is_meta: return` a tensor of the shape that it gives"
)


@cache
def user_operation(text: str) -> Operation:
    """The operation of the class that `text` names. Raises GraphError when it is no nn.Module class."""
    from torch import nn

    cls = load_object(text)
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise GraphError(f"operation {text!r} is {cls!r}; expected a class derived from torch.nn.Module")
    parameters = [p for p in inspect.signature(cls).parameters.values() if p.name not in FILLED]
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    attributes: dict[str, Attribute] = {
        p.name: Attribute(p.name, _default(p), _ANY)
        for p in parameters
        if p.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    }
    for name in FILLED:
        if name in inspect.signature(cls).parameters or open_ended:
            attributes[name] = Attribute(name, None, _ANY)
    forward = list(inspect.signature(cls.forward).parameters.values())[1:]
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [p for p in forward if p.kind in by_place]
    many = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in forward)
    least = sum(p.default is inspect.Parameter.empty for p in positional)
    arity = (max(least, 1), None if many else len(positional))
    return Operation(text, _dry(text, cls), attributes, arity, source=_source(cls))


def _source(cls: type) -> str:
    """A digest of the class's source; '' for one that was compiled elsewhere."""
    try:
        return digest(inspect.getsource(cls))
    except (OSError, TypeError):
        return ""


def _default(parameter: inspect.Parameter) -> Any:
    """The default, or a text that stands for it where it is no value (`act=nn.ReLU`) and so cannot be given anyway."""
    if parameter.default is inspect.Parameter.empty:
        return parameter.default
    try:
        return freeze(parameter.default)
    except GraphError:
        return "what the class says"


def _dry(text: str, cls: type) -> Callable[..., Layer]:
    """A layer function that runs the class on the meta device, once per shapes and attributes.

    Operands are float32; operands (L,) that the class refuses as such are tried as token ids, int64.
    """
    takes = inspect.signature(cls).parameters

    @lru_cache(maxsize=10_000)
    def run(shapes: tuple[Shape, ...], given: FrozenDict) -> Layer:
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        attributes: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None or name not in FILLED
        }
        for name, value in (("in_channels", shapes[0][0]), ("in_features", shapes[0][-1]), ("in_shape", shapes[0])):
            if name in takes and name not in attributes:
                attributes[name] = value
        words = ", ".join(f"{name}={value!r}" for name, value in attributes.items())
        first: BaseException | None = None
        for dtype in (torch.float32, torch.int64) if any(len(shape) == 1 for shape in shapes) else (torch.float32,):
            try:
                with torch.device("meta"), torch.random.fork_rng(devices=[]):
                    module = cls(**attributes)
                    operands = [torch.empty(2, *x, dtype=dtype if len(x) == 1 else None) for x in shapes]
                    with FlopCounterMode(display=False) as counter, torch.no_grad():
                        out = module(*operands)
                break
            except (Exception, SystemExit) as error:
                first = first or error
        else:
            assert first is not None
            valueless = re.search(r"\bmeta\b|register_meta", str(first)) is not None
            raise ShapeError(
                f"{cls.__name__}({words}) does not run on operands of shape {', '.join(map(str, shapes))}: "
                f"{told(first)}{VALUELESS if valueless else ''}"
            ) from first
        if not isinstance(out, torch.Tensor) or out.dim() < 2 or out.shape[0] != 2:
            what = f"shape {tuple(out.shape)}" if isinstance(out, torch.Tensor) else type(out).__name__
            raise ShapeError(f"{cls.__name__}({words}) gives {what} for a batch of 2; expected one tensor, batch first")
        return Layer(
            tuple(out.shape[1:]),
            Call("user", (text,), FrozenDict(attributes)),
            params=sum(p.numel() for p in module.parameters()),
            macs=counter.get_total_flops() // 4,  # two per multiply-add, a batch of two
        )

    def layer(*shapes: Shape, **attributes: Any) -> Layer:
        return run(shapes, FrozenDict(attributes))

    return layer
