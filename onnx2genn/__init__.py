"""Turn trained networks in ONNX files into spiking neural networks and run them on GeNN."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx2genn.api import check, convert, load
    from onnx2genn.data.datasets import samples_from
    from onnx2genn.errors import (
        BackendError,
        CalibrationError,
        CodingError,
        DataError,
        Onnx2GennError,
        Problem,
        UnsupportedModelError,
    )
    from onnx2genn.frameworks import from_keras, from_torch
    from onnx2genn.frontend.operators import operator
    from onnx2genn.ir.memory import memory_budget
    from onnx2genn.ir.preprocessing import Preprocessing
    from onnx2genn.spiking_network import Evaluation, SpikingNetwork

# Where each public name lives: modules are imported when a name of theirs is first used.
_HOMES = {
    "BackendError": "errors",
    "CalibrationError": "errors",
    "CodingError": "errors",
    "DataError": "errors",
    "Evaluation": "spiking_network",
    "Onnx2GennError": "errors",
    "Preprocessing": "ir.preprocessing",
    "Problem": "errors",
    "SpikingNetwork": "spiking_network",
    "UnsupportedModelError": "errors",
    "check": "api",
    "convert": "api",
    "from_keras": "frameworks",
    "from_torch": "frameworks",
    "load": "api",
    "memory_budget": "ir.memory",
    # By way of the operators that are built in, which it may then replace.
    "operator": "frontend.operators",
    "samples_from": "data.datasets",
}

__all__ = [
    "BackendError",
    "CalibrationError",
    "CodingError",
    "DataError",
    "Evaluation",
    "Onnx2GennError",
    "Preprocessing",
    "Problem",
    "SpikingNetwork",
    "UnsupportedModelError",
    "__version__",
    "check",
    "convert",
    "from_keras",
    "from_torch",
    "load",
    "memory_budget",
    "operator",
    "samples_from",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("onnx2genn")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
