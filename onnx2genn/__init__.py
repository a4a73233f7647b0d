"""Turn trained networks in ONNX files into spiking neural networks and run them on GeNN."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx2genn.conversion import convert
    from onnx2genn.errors import (
        BackendError,
        CalibrationError,
        CodingError,
        DataError,
        Onnx2GennError,
        Problem,
        UnsupportedModelError,
    )
    from onnx2genn.evaluation import Evaluation
    from onnx2genn.frameworks import from_keras, from_torch
    from onnx2genn.graph.operators import operator
    from onnx2genn.graph.reader import check
    from onnx2genn.network import SpikingNetwork
    from onnx2genn.saving import load

# Where each public name lives: modules are imported when a name of theirs is first used.
_HOMES = {
    "BackendError": "errors",
    "CalibrationError": "errors",
    "CodingError": "errors",
    "DataError": "errors",
    "Evaluation": "evaluation",
    "Onnx2GennError": "errors",
    "Problem": "errors",
    "SpikingNetwork": "network",
    "UnsupportedModelError": "errors",
    "check": "graph.reader",
    "convert": "conversion",
    "from_keras": "frameworks",
    "from_torch": "frameworks",
    "load": "saving",
    # By way of the operators that are built in, which it may then replace.
    "operator": "graph.operators",
}

__all__ = [
    "BackendError",
    "CalibrationError",
    "CodingError",
    "DataError",
    "Evaluation",
    "Onnx2GennError",
    "Problem",
    "SpikingNetwork",
    "UnsupportedModelError",
    "check",
    "convert",
    "from_keras",
    "from_torch",
    "load",
    "operator",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
