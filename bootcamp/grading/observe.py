"""What graded code did, in a form that can be kept, compared and shown."""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections.abc import Mapping
from typing import Any

# -- showing -----------------------------------------------------------------------------------------------------


class _Short(reprlib.Repr):
    """Short forms that keep the head of long values, and say the shape of tensors and arrays."""

    def __init__(self, formats: bool = True) -> None:
        """Show number formats of tensors and arrays too, unless only numbers are compared."""
        super().__init__()
        self.digits, self.formats = 6, formats
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxdeque = 12
        self.maxstring = self.maxother = 120
        self.maxlong = 40
        self.maxlevel = 5

    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value) if len(value) <= 60 else f"{value[:60]!r}… ({len(value):,} bytes)"

    def repr_str(self, x: str, level: int) -> str:
        return repr(x) if len(x) <= self.maxstring else f"{x[: self.maxstring]!r}… ({len(x):,} characters)"

    def repr_dict(self, x: Any, level: int) -> str:
        items = [f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}" for key, value in list(x.items())[:12]]
        return "{" + ", ".join(items) + (", …" if len(x) > 12 else "") + "}"

    repr_Counter = repr_dict  # noqa: N815 - the name that reprlib looks for

    def repr_float(self, x: float, level: int) -> str:
        short = float(f"{x:.{self.digits}g}")
        return repr(x if x.is_integer() else short)

    def repr_instance(self, x: Any, level: int) -> str:
        if is_array(x):
            numbers = to_numpy(x)
            shown = f", {self._numbers(numbers.tolist())}" if numbers.size <= 12 else ""
            named = f", {x.dtype}" if self.formats else ""
            return f"{type(x).__name__} of shape {tuple(x.shape)}{named}{shown}"
        return super().repr_instance(x, level)

    def _numbers(self, value: Any) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(self._numbers, value))}]"
        return self.repr_float(value, 0) if isinstance(value, float) else repr(value)


_short = _Short()


def show(value: Any) -> str:
    """Give a value as a learner would write it, cut where it gets long; numbers have six digits.

    >>> show(list(range(100)))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...]'
    >>> show([0.1 + 0.2, 1e-9, 2.0])
    '[0.3, 1e-09, 2.0]'
    """
    return _short.repr(value)


def show_both(got: Any, expected: Any) -> tuple[str, str]:
    """Show two values that are compared by their numbers; with all digits if six show no difference.

    >>> show_both(0.25 + 1e-12, 0.25)
    ('0.250000000001', '0.25')
    """
    numbers = _Short(formats=False)
    shown = numbers.repr(got), numbers.repr(expected)
    if shown[0] == shown[1]:
        numbers.digits = 17
        shown = numbers.repr(got), numbers.repr(expected)
    return shown


def is_array(value: Any) -> bool:
    """Say whether this is a tensor or an array, without importing either library."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "tolist")


def to_numpy(value: Any) -> Any:
    """Give a tensor (of any dtype, on any device) or an array as a numpy array of float64, int64 or bool."""
    import numpy

    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.double()
        value = value.numpy()
    value = numpy.asarray(value)
    return value.astype(numpy.float64) if value.dtype.kind == "f" else value


# -- comparing ---------------------------------------------------------------------------------------------------


def difference(got: Any, expected: Any, at: str = "") -> str:
    """Say where two values first differ, in words; '' if they do not.

    A list and a tuple with the same items are the same, and so are a number and a numpy number.

    >>> difference([1, 2, 3], (1, 2, 4))
    'at [2]: expected 4, got 3'
    >>> difference("naive", "naïve")
    "at character 2: expected 'ï', got 'i'"
    """
    place = f"at {at}: " if at else ""
    if (isinstance(expected, str) and isinstance(got, str)) or (isinstance(expected, bytes) and isinstance(got, bytes)):
        return _difference_in_text(got, expected, at)
    if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
        for i, (one, other) in enumerate(zip(got, expected)):
            if inside := difference(one, other, f"{at}[{i}]"):
                return inside
        if len(got) != len(expected):
            return f"{place}expected {_count(len(expected), 'item')}, got {len(got)}"
        return ""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for key in expected:
            if key not in got:
                return f"{place}{show(key)} is missing"
            if inside := difference(got[key], expected[key], f"{at}[{show(key)}]"):
                return inside
        extra = [key for key in got if key not in expected]
        return f"{place}{show(extra[0])} should not be there" if extra else ""
    if is_array(expected) or is_array(got):
        return closeness(got, expected, 0.0, 0.0, at)
    if type(expected) is bool or type(got) is bool or expected is None or got is None:
        same = getattr(got, "item", lambda: got)() is expected  # a numpy bool is a bool
    else:
        same = bool(got == expected)
    return "" if same else f"{place}expected {show(expected)}, got {show(got)}"


def _difference_in_text(got: Any, expected: Any, at: str) -> str:
    if got == expected:
        return ""
    if at and len(got) <= 40 and len(expected) <= 40:  # a token among others is seen at one glance
        return f"at {at}: expected {expected!r}, got {got!r}"
    unit = "character" if isinstance(expected, str) else "byte"
    place = f"in {at}, " if at else ""
    i = next((i for i, (one, other) in enumerate(zip(got, expected)) if one != other), min(len(got), len(expected)))
    if i == len(got) or i == len(expected):
        return f"{place}at {unit} {i}: expected {_count(len(expected), unit)}, got {len(got)}"
    return f"{place}at {unit} {i}: expected {expected[i : i + 1]!r}, got {got[i : i + 1]!r}"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")


def closeness(got: Any, expected: Any, rtol: float, atol: float, at: str = "") -> str:
    """Say where numbers or arrays are further apart than atol + rtol · |expected|; '' if nowhere."""
    import numpy

    place = f"at {at}: " if at else ""
    try:
        one, other = to_numpy(got), to_numpy(expected)
    except (TypeError, ValueError):
        return f"{place}expected {show(expected)}, got {show(got)}"
    if one.dtype.kind not in "biuf":
        return f"{place}expected numbers, got {show(got)}"
    if one.shape != other.shape:
        return f"{place}expected the shape {other.shape}, got {one.shape}"
    far = ~numpy.isclose(one, other, rtol=rtol, atol=atol, equal_nan=False)
    if not far.any():
        return ""
    index = tuple(int(i) for i in numpy.argwhere(far)[0])
    where = f"at {at}[{', '.join(map(str, index))}]: " if index else place
    share = f"; {int(far.sum())} of {far.size} numbers are off" if far.size > 1 else ""
    right, shown = (f"{each[index]:.6g}" for each in (other, one))
    if right == shown:
        right, shown = (f"{each[index]:.17g}" for each in (other, one))
    return f"{where}expected {right}, got {shown}{share}"


# -- keeping -----------------------------------------------------------------------------------------------------


def digest(value: Any) -> Any:
    """Give a value as JSON that is short, and equal for values that are equal up to rounding."""
    if value is None or isinstance(value, (bool, int, float)):
        return value if not isinstance(value, float) or math.isfinite(value) else repr(value)
    if isinstance(value, str):
        return value if len(value) <= 80 else "text:" + hashlib.sha1(value.encode("utf-8", "replace")).hexdigest()
    if isinstance(value, (bytes, bytearray)):
        return "bytes:" + (value.hex() if len(value) <= 40 else hashlib.sha1(value).hexdigest())
    if is_array(value):
        return _digest_array(value)
    if isinstance(value, Mapping):
        value = sorted(([digest(key), digest(item)] for key, item in value.items()), key=repr)
    elif isinstance(value, (set, frozenset)):
        value = sorted((digest(item) for item in value), key=repr)
    elif isinstance(value, (list, tuple)):
        value = [digest(item) for item in value]
    else:
        return f"a {type(value).__name__}"
    text = json.dumps(value)
    return value if len(text) <= 2000 else ["items:", len(value), hashlib.sha1(text.encode()).hexdigest()]


def _digest_array(value: Any) -> Any:
    """The shape, and three sums that two different arrays hardly share."""
    import numpy

    numbers = to_numpy(value).astype(numpy.float64).ravel()
    angles = numpy.arange(numbers.size) * 0.7548776662466927
    with numpy.errstate(all="ignore"):
        sums = [numbers.sum(), numpy.abs(numbers).sum(), (numbers * numpy.cos(angles)).sum()]
    return {"shape": list(value.shape), "sums": [digest(float(each)) for each in sums]}


def alike(one: Any, other: Any, tolerance: float = 1e-3) -> bool:
    """Say whether two digests are of the same behaviour: equal, numbers up to `tolerance`."""
    if isinstance(one, float) or isinstance(other, float):
        numbers = all(isinstance(each, (int, float)) for each in (one, other))
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance) if numbers else one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(*pair, tolerance) for pair in zip(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key], tolerance) for key in one)
    return one == other and type(one) is type(other)
