"""Codings by name, and presets; importing this package imports every coding in it."""

from __future__ import annotations

import pkgutil
from dataclasses import fields, replace
from importlib import import_module
from typing import Any

from onnx2genn.coding.base import AccumulatingCoding, Coding, StepwiseCoding
from onnx2genn.coding.few_spike import FewSpike
from onnx2genn.coding.presets import PRESETS, Preset
from onnx2genn.coding.quantiser import Quantiser
from onnx2genn.coding.registry import CODINGS, register
from onnx2genn.errors import CodingError

__all__ = [
    "CODINGS",
    "DEFAULT",
    "PRESETS",
    "AccumulatingCoding",
    "Coding",
    "Preset",
    "Quantiser",
    "StepwiseCoding",
    "make",
    "register",
]

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

DEFAULT = FewSpike.name


def make(coding: str | Coding = DEFAULT, /, **options: Any) -> Coding:
    """Make a coding from the name of a coding or preset and options; None leaves a default.

    Args:
        coding: Name, or a coding, which takes the options in place of its own.
        options: Options of the coding, as ``steps``.

    Raises:
        CodingError: The name, an option or its value is unknown.
    """
    given = {key: value for key, value in options.items() if value is not None}
    base = coding if isinstance(coding, Coding) else _named(coding)
    known = {item.name for item in fields(base)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise CodingError(
            f"Coding {base.name!r} has no option {', '.join(unknown)}; "
            f"it has {', '.join(sorted(known))}."
        )
    return replace(base, **given)


def _named(name: str) -> Coding:
    if name in PRESETS:
        return PRESETS[name].coding
    if name in CODINGS:
        return CODINGS[name]()  # type: ignore[call-arg]
    raise CodingError(f"There is no coding {name!r}; choose {', '.join([*CODINGS, *PRESETS])}.")
