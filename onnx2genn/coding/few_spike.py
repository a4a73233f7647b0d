"""Few-spike coding: the spikes of a window are the binary digits of a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnx2genn.coding.base import AccumulatingCoding
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.coding.quantiser import Quantiser
from onnx2genn.coding.registry import register
from onnx2genn.errors import CodingError

_MOST_STEPS = 16


@register
@dataclass(frozen=True, kw_only=True)
class FewSpike(AccumulatingCoding):
    """Few-spike neurons (Stöckl and Maass 2021), rounding to the nearest of 2^K levels.

    A neuron with full scale θ collects u during the window of its sources. In its own window of
    K steps, with the smallest level l = θ / 2^K, a spike at step t is worth 2^(K-1-t) l::

        V <- clip(floor(u / l + 1/2), 0, 2^K - 1)
        step t:  h = 2^(K-1-t);  if V >= h:  spike of value h l;  V <- V - h

    Against the original: rounding by half a level, a full scale for each channel, biases, and
    exact signed inputs.
    """

    name: ClassVar[str] = "few-spike"
    most_steps: ClassVar[int] = _MOST_STEPS

    steps: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps > _MOST_STEPS:
            raise CodingError(
                f"steps={self.steps}: few-spike has at most {_MOST_STEPS} steps, which are "
                f"{2**_MOST_STEPS} levels; 8 are enough for nearly every network."
            )

    @property
    def quantiser(self) -> Quantiser:
        """2^K levels of θ / 2^K."""
        return Quantiser(levels=2**self.steps - 1, parts=2**self.steps)

    def spike_count(self, code: np.ndarray) -> np.ndarray:
        """Ones among the binary digits."""
        return np.bitwise_count(code.astype(np.uint8 if self.steps <= 8 else np.uint16))

    def spike_train(self, code: np.ndarray) -> np.ndarray:
        """Binary digits, the most significant first, each with its value."""
        whole = code.astype(np.uint32)
        digits = [whole & (1 << bit) for bit in reversed(range(self.steps))]
        return np.stack(digits).astype(np.float32)

    def neuron(self) -> NeuronCode:
        """F collects the sources' digits by their weight; V drains, one digit a step."""
        return NeuronCode(
            variables=("V", "F"),
            collected="F + bias",
            begin=f"V = {self.quantiser.expression('total')}; F = 0.0;",
            step="F += arrived * weight; S = (V >= weight) ? 1.0 : 0.0; V -= S * weight;",
            weight=f"(scalar)(1 << ({self.steps - 1} - phase))",
        )
