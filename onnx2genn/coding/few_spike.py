"""Few-spike coding: the spikes of a window are the digits of a value."""

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
_MOST_SIGNED = 10  # 3^10 / 2 levels are as many as 16 bits hold


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

    With signed spikes a digit is -1, 0 or 1 and a spike at step t is worth 3^(K-1-t) l, where
    l = θ / N and N = (3^K - 1) / 2 (balanced ternary digits)::

        V <- clip(floor(u / l + 1/2), 0, N)
        step t:  h = 3^(K-1-t);  if 2 |V| > h:  spike of value sign(V) h l;  V <- V - sign(V) h

    so that K steps have N + 1 levels: 14 with K = 3 and 41 with K = 4, in place of 8 and 16.

    Attributes:
        signed: Whether spikes may be negative.
    """

    name: ClassVar[str] = "few-spike"

    steps: int = 8
    signed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps > self.most_steps:
            what = "few-spike with signed=True" if self.signed else "few-spike"
            enough = 5 if self.signed else 8
            raise CodingError(
                f"steps={self.steps}: {what} has at most {self.most_steps} steps, which are "
                f"{self._levels(self.most_steps) + 1} levels; {enough} are enough for nearly every "
                "network."
            )

    @property
    def most_steps(self) -> int:
        """As many as 16 bits hold the codes of."""
        return _MOST_SIGNED if self.signed else _MOST_STEPS

    def _levels(self, steps: int) -> int:
        """Return the largest code of so many digits."""
        return (3**steps - 1) // 2 if self.signed else 2**steps - 1

    @property
    def _weights(self) -> list[int]:
        """What a spike of each step is worth, in units."""
        base = 3 if self.signed else 2
        return [base**digit for digit in reversed(range(self.steps))]

    @property
    def quantiser(self) -> Quantiser:
        """2^K levels of θ / 2^K, or N levels of θ / N above 0."""
        levels = self._levels(self.steps)
        return Quantiser(levels=levels, parts=levels if self.signed else levels + 1)

    def spike_count(self, code: np.ndarray) -> np.ndarray:
        """Digits other than 0."""
        if not self.signed:
            kind = np.uint8 if self.steps <= 8 else np.uint16
            return np.bitwise_count(code.astype(kind, copy=False))
        return np.count_nonzero(self.spike_train(code), axis=0).astype(np.uint8)

    def spike_train(self, code: np.ndarray) -> np.ndarray:
        """Digits, the most significant first, each with its value."""
        rest = code.astype(np.int32)
        train = np.empty((self.steps, *rest.shape), np.float32)
        for step, weight in enumerate(self._weights):
            spike = weight * (2 * rest > weight if self.signed else rest >= weight)
            if self.signed:
                spike = spike - weight * (2 * rest < -weight)
            train[step] = spike
            rest = rest - spike
        return train

    def arrived(self, code: np.ndarray) -> np.ndarray:
        """First digits; of a binary number, those of its bits."""
        if self.signed:
            return super().arrived(code)
        whole = code.astype(np.uint16)
        found = np.empty((self.steps, *whole.shape), np.float32)
        for step, weight in enumerate(self._weights):
            found[step] = whole & np.uint16(2**16 - weight)
        return found

    def neuron(self) -> NeuronCode:
        """F collects the sources' digits by their weight; V drains, one digit a step."""
        spike = "(V >= weight) ? 1.0 : 0.0"
        weight = f"(scalar)(1 << ({self.steps - 1} - phase))"
        if self.signed:
            spike = "(V + V > weight) ? 1.0 : ((V + V < -weight) ? -1.0 : 0.0)"
            *first, last = map(float, self._weights)
            chosen = [f"(phase == {step}) ? {worth} : " for step, worth in enumerate(first)]
            weight = f"({''.join(chosen)}{last})"
        return NeuronCode(
            variables=("V", "F"),
            collected="F + bias",
            begin=f"V = {self.quantiser.expression('total')}; F = 0.0;",
            step=f"F += arrived * weight; S = {spike}; V -= S * weight;",
            weight=weight,
            signed=self.signed,
        )
