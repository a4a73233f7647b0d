"""Convert models that are still in their framework; each needs that framework installed."""

from onnx2genn.frameworks.keras import from_keras
from onnx2genn.frameworks.torch import from_torch

__all__ = ["from_keras", "from_torch"]
