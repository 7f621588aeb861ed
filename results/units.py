"""How a metric's value is written for people: its unit and how many digits say something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from nas.core.values import digits

DECADES = 30
"""By which factor an axis must spread to be logarithmic."""

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def unit_of(name: str, units: Mapping[str, str] | None = None) -> str:
    """The unit of a metric: the one in `units`, else the one that its name tells, else ''.

    >>> unit_of("val_accuracy"), unit_of("latency_ms"), unit_of("params"), unit_of("hue", {"hue": "°"})
    ('%', 'ms', '', '°')
    """
    if units and units.get(name):
        return units[name]
    if "accuracy" in name or name.endswith("_error"):
        return "%"
    for ending, unit in (("_ms", "ms"), ("_seconds", "s"), ("_bytes", "bytes"), ("_percent", "%")):
        if name.endswith(ending):
            return unit
    return ""


def written(name: str, value: float | None, units: Mapping[str, str] | None = None) -> str:
    """A value with its unit, short; '' for None.

    >>> written("val_accuracy", 98.6111), written("params", 18906), written("peak_memory_bytes", 3 * 2**20)
    ('98.61 %', '18,906', '3.0 MiB')
    >>> written("latency_ms", 1.23456), written("val_loss", 0.0701234), written("macs", 1.2e6)
    ('1.235 ms', '0.07012', '1,200,000')
    >>> written("val_accuracy", -1e300), written("size_bytes", 1e300)
    ('-1.000e+300 %', '1.000e+300 bytes')
    """
    if value is None:
        return ""
    unit = unit_of(name, units)
    if unit == "bytes" and abs(value) < 1e18:
        step = 0
        while abs(value) >= 1024 and step < len(_BYTES) - 1:
            value, step = value / 1024, step + 1
        return f"{value:.1f} {_BYTES[step]}" if step else f"{value:.0f} B"
    if unit == "%" and abs(value) < 1e9:
        return f"{value:.2f} %"
    whole = float(value).is_integer() or abs(value) >= 1e4
    text = f"{value:,.0f}" if whole and abs(value) < 1e15 else f"{value:#.4g}".rstrip(".")
    return f"{text} {unit}".rstrip()


def label(name: str, units: Mapping[str, str] | None = None) -> str:
    """A metric as an axis calls it.

    >>> label("val_accuracy"), label("params")
    ('val_accuracy (%)', 'params')
    """
    unit = unit_of(name, units)
    return f"{name} ({unit})" if unit else name


def logarithmic(name: str, low: float, high: float, units: Mapping[str, str] | None = None) -> bool:
    """Whether an axis of a metric is drawn logarithmically: where sizes spread over decades; shares never are.

    >>> logarithmic("params", 1e3, 1e6), logarithmic("params", 0, 1e6), logarithmic("val_accuracy", 1, 98)
    (True, False, False)
    """
    return unit_of(name, units) != "%" and low > 0 and high > DECADES * low


def clock(seconds: float) -> str:
    """A length of time.

    >>> clock(0.42), clock(72), clock(3700), clock(200000)
    ('0.4 s', '1 min 12 s', '1 h 01 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def count(size: int | str) -> str:
    """An exact whole number while it can be read, else about how many.

    >>> count(15625), count("2419393593600")
    ('15,625', 'about 2.4 · 10¹²')
    """
    text = size if isinstance(size, str) else digits(size)
    if len(text) < 10:
        return f"{int(text):,}"
    mantissa, _, power = f"{Decimal(text):.1e}".partition("e+")
    return f"about {mantissa} · 10{power.translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def together(parts: Sequence[str]) -> str:
    """Parts of a sentence.

    >>> together(["a", "b", "c"]), together(["a"]), together([])
    ('a, b and c', 'a', '')
    """
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
