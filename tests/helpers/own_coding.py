"""A coding that is not the package's: it rounds otherwise, and has other levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnx2genn.coding import AccumulatingCoding, Quantiser
from onnx2genn.coding.neuron import NeuronCode


@dataclass(frozen=True, kw_only=True)
class Prompt(AccumulatingCoding):
    """Sends its spikes at once, one a step; of T steps the last is always silent."""

    name: ClassVar[str] = "prompt"

    steps: int = 8
    rounding: float = 0.0

    @property
    def quantiser(self) -> Quantiser:
        return Quantiser(levels=self.steps - 1, parts=2 * self.steps, rounding=self.rounding)

    def spike_train(self, code: np.ndarray) -> np.ndarray:
        steps = np.arange(self.steps).reshape(-1, *[1] * code.ndim)
        return (code > steps).astype(np.float32)

    def neuron(self) -> NeuronCode:
        return NeuronCode(
            variables=("N", "F"),
            collected="F + bias",
            begin=f"N = {self.quantiser.expression('total')}; F = 0.0;",
            step="F += arrived; S = (N >= 1.0) ? 1.0 : 0.0; N -= S;",
        )


def rounded(coding: Prompt, values: np.ndarray, threshold: float) -> np.ndarray:
    """Its rounding by hand."""
    step = threshold / (2 * coding.steps)
    return np.minimum(np.maximum(np.floor(values / step + coding.rounding), 0), coding.steps - 1)
