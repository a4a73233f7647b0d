"""Two-phase rate coding: the spike count of a window stands for the value, without unevenness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnx2genn.coding.base import AccumulatingCoding
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.coding.quantiser import Quantiser
from onnx2genn.coding.registry import register


@register
@dataclass(frozen=True, kw_only=True)
class TwoPhase(AccumulatingCoding):
    """Integrate-and-fire neurons that first accumulate and then fire evenly spaced spikes.

    A neuron with threshold θ collects u during the window of its sources, and at its own window's
    start knows how many spikes it owes, each of value l = θ / T::

        n = clip(floor(u / l + 1/2), 0, T);  V <- T / 2
        step:  V <- V + n;  if V >= T:  spike of value l;  V <- V - T

    All V are whole or half, so the n spikes are exact. Since it waits for its whole input, no
    spike comes too early: T steps give the answer of an ANN with T + 1 levels, where plain rate
    coding needs more steps (two-phase neurons: Bojković et al. 2025, with random spikes; parallel
    conversion: Hao et al. 2025, with all spikes at the end).
    """

    name: ClassVar[str] = "two-phase"

    steps: int = 16
    bias_correction: bool = True

    @property
    def quantiser(self) -> Quantiser:
        """Up to one spike a step, each of θ / T."""
        return Quantiser(levels=self.steps, parts=self.steps)

    def spike_count(self, code: np.ndarray) -> np.ndarray:
        """The code itself."""
        return code.astype(np.uint32)

    def spike_train(self, code: np.ndarray) -> np.ndarray:
        """Spikes wherever the line from 1/2 to n + 1/2 crosses a whole number."""
        steps = np.arange(self.steps + 1).reshape(-1, *[1] * code.ndim)
        # In halves: floor(1/2 + n t / T) = (T + 2 n t) // 2 T.
        crossed = (self.steps + 2 * code.astype(np.int64) * steps) // (2 * self.steps)
        return np.diff(crossed, axis=0).astype(np.float32)

    def drained(self, code: np.ndarray) -> np.ndarray:
        """The running sum: T / 2, a code more in each step and T less at each spike."""
        owed = np.arange(1, self.steps + 1).reshape(-1, *[1] * code.ndim) * code
        sent = np.cumsum(self.spike_train(code), axis=0) * self.steps
        return (self.steps / 2 + owed - sent).astype(np.float32)

    def neuron(self) -> NeuronCode:
        """F collects; N is owed; V is the running sum that spaces the spikes evenly."""
        steps = float(self.steps)
        return NeuronCode(
            variables=("V", "N", "F"),
            collected="F + bias",
            begin=f"N = {self.quantiser.expression('total')}; V = {steps / 2}; F = 0.0;",
            step=f"F += arrived; V += N; if(V >= {steps}) {{ S = 1.0; V -= {steps}; }}",
        )
