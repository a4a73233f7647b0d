"""The values that options of a coding take."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from onnx2genn.errors import CodingError

# By type: what is taken, how it is kept, and what it is called.
_TYPES: dict[str, tuple[Any, Callable[[Any], Any], str]] = {
    "int": (Integral, int, "whole number"),
    "float": (Real, float, "number"),
    "bool": ((bool, np.bool_), bool, "true or false"),
    "str": (str, str, "word"),
}
_BOOLS = (bool, np.bool_)


def checked(name: str, value: Any, annotation: Any) -> Any:
    """Return the value of an option as plain Python has it, so that it can be saved.

    Args:
        name: Option.
        value: As it was given: also a scalar of numpy, or a whole number for a fraction.
        annotation: Type of the option or its name; other types than those of options pass.

    Raises:
        CodingError: The value is of another type, or not a number.
    """
    kind = getattr(annotation, "__name__", annotation)
    if kind not in _TYPES:
        return value
    taken, keep, words = _TYPES[kind]
    fits = isinstance(value, taken) and (kind == "bool") == isinstance(value, _BOOLS)
    if not fits or (kind == "float" and math.isnan(value)):
        raise CodingError(f"{name}={value!r} is no {words}.")
    return keep(value)
