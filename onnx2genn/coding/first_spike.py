"""First-spike coding: at most one spike for each neuron and sample, whose time is the value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from onnx2genn.coding.base import AccumulatingCoding
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.coding.quantiser import Quantiser
from onnx2genn.coding.registry import register
from onnx2genn.errors import CodingError

_LARGEST = 2**16


@register
@dataclass(frozen=True, kw_only=True)
class FirstSpike(AccumulatingCoding):
    """Neurons that collect and then send one spike, the earlier the larger what they collected.

    A neuron with full scale θ collects u during the window of its sources. In its own window a
    spike at step t is worth v(T - t) l, with l = θ / v(T) and v whole numbers that fall to 1 at
    the last step, and the threshold falls with them::

        V <- clip(floor(u / l + 1/2), 0, v(T))
        step t:  if V >= (v(T - t) + v(T - t - 1)) / 2 and it has not fired:  spike

    A neuron that never reaches the threshold sends nothing, which stands for 0. With linear times
    v(i) = i, and T steps have the levels of ``two-phase`` with a single spike (time to first spike:
    Rueckauer and Liu 2018; exact for ReLU: Stanojevic et al. 2022 and 2024). With p steps for each
    octave, v doubles every p steps, and values in between are spaced equally::

        v(i) = i for i < p;  else  v(p + k p + m) = (p + m) 2^k  for m < p

    so that small values are as precise, relative to themselves, as large ones (exponential kernels:
    Park et al. 2020), and a short window has a wide range.

    Attributes:
        per_octave: p, the steps that values take to double; 0 for linear times.
    """

    name: ClassVar[str] = "first-spike"

    steps: int = 64
    per_octave: int = 0
    bias_correction: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per_octave < 0:
            raise CodingError(f"per_octave={self.per_octave} is below 0.")
        octaves = self.steps // self.per_octave if self.per_octave else 0
        if octaves > _LARGEST.bit_length() or self._value(self.steps) > _LARGEST:
            raise CodingError(
                f"steps={self.steps} with per_octave={self.per_octave}: the values of a window "
                f"would span more than 1 to {_LARGEST:,}. Use fewer steps, or more for each octave."
            )

    def _value(self, index: int) -> int:
        """Return v(i)."""
        octave = self.per_octave
        if index < octave or not octave:
            return index
        doublings, rest = divmod(index - octave, octave)
        return (octave + rest) << doublings

    @cached_property
    def _values(self) -> np.ndarray:
        """v(0) to v(T), [T + 1]."""
        return np.array([self._value(index) for index in range(self.steps + 1)], np.float32)

    @property
    def quantiser(self) -> Quantiser:
        """The T + 1 values of v."""
        largest = self._value(self.steps)
        codes = tuple(map(int, self._values)) if largest > self.steps else ()
        return Quantiser(levels=largest, parts=largest, codes=codes)

    @property
    def expected_spikes(self) -> float:
        """About half of the neurons send one."""
        return 0.5

    def spike_count(self, code: np.ndarray) -> np.ndarray:
        """One, or none for a code of 0."""
        return (code > 0).astype(np.uint8)

    def spike_train(self, code: np.ndarray) -> np.ndarray:
        """All of the code at its time."""
        worth = self._values[:0:-1].reshape(-1, *[1] * code.ndim)
        return np.where(code == worth, worth, np.float32(0))

    def neuron(self) -> NeuronCode:
        """F collects the sources' spikes by their time; V waits for the threshold to fall to it."""
        now, later = (self._text(f"({index} - phase)") for index in (self.steps, self.steps - 1))
        return NeuronCode(
            variables=("V", "F"),
            collected="F + bias",
            begin=f"V = {self.quantiser.expression('total')}; F = 0.0;",
            step=(f"F += arrived * weight;\nif(V + V >= weight + {later}) {{ S = 1.0; V = 0.0; }}"),
            weight=now,
        )

    def _text(self, index: str) -> str:
        """Write v(i)."""
        octave = self.per_octave
        if not octave:
            return f"(scalar){index}"
        rest, doublings = f"({index} - {octave}) % {octave}", f"({index} - {octave}) / {octave}"
        return f"(scalar)(({index} < {octave}) ? {index} : ({octave} + {rest}) << ({doublings}))"
