"""Rate coding: integrate-and-fire neurons whose spike count stands for the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnx2genn.coding.base import StepwiseCoding
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.errors import CodingError


@dataclass(frozen=True, kw_only=True)
class Rate(StepwiseCoding):
    """Integrate-and-fire neurons (Diehl et al. 2015; soft reset: Rueckauer et al. 2017).

    With θ the threshold, the neuron integrates its input current and fires when it reaches θ::

        V <- V + I + b
        if V >= θ:  spike of value θ;  V <- V - θ (soft reset)  or  V <- 0 (hard reset)

    n spikes in T steps stand for the activation n θ / T.

    Graded spikes send several levels l = θ / (2^bits - 1) at once (burst spikes: Li and Zeng
    2022). A signed neuron remembers the sum M of what it sent and takes back what was too much
    (Wang et al. 2022), so that spikes which come unevenly do less harm. With m = 2^bits - 1 both
    are::

        V <- V + I + b;  k = clip(floor(V / l), 0 or -min(M, m), m)
        if k != 0:  spike of value k l;  V <- V - k l;  M <- M + k

    Attributes:
        reset: ``soft`` keeps what exceeds the threshold; ``hard`` loses it.
        initial: Potential at the start of the window as a fraction of l; one half rounds to the
            nearest level instead of down (Deng and Gu 2021; Bu et al. 2022).
        input: ``constant`` signed current in every step, or ``poisson``: in every step a spike
            with probability exactly |x| / scale, which keeps the sign of x.
        readout: ``membrane`` integrates the output's input and does not fire; ``spikes`` counts
            the spikes of output neurons.
        seed: Of the Poisson input.
        weight_maximum: Threshold at least the largest weight, as Diehl et al. do.
        bits: Of a spike: it has one of 2^bits - 1 sizes.
        signed: Whether negative spikes correct positive ones that were sent before.
    """

    name: ClassVar[str] = "rate"

    steps: int = 32
    # Neurons that fire while they integrate gain from it; those that accumulate first do not.
    bias_correction: bool = True
    reset: str = "soft"
    initial: float = 0.5
    input: str = "constant"
    readout: str = "membrane"
    seed: int = 0
    weight_maximum: bool = False
    bits: int = 1
    signed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, choices in _CHOICES.items():
            if getattr(self, option) not in choices:
                raise CodingError(
                    f"{option}={getattr(self, option)!r} is unknown; choose {', '.join(choices)}."
                )
        if not 0 <= self.initial < 1:
            raise CodingError(f"initial={self.initial} is not in 0..1.")
        if not 1 <= self.bits <= _MOST_BITS:
            raise CodingError(f"bits={self.bits} is not in 1..{_MOST_BITS}.")
        if self.reset == "hard" and not self._binary:
            raise CodingError(
                "reset='hard' forgets what graded or signed spikes have to keep; use reset='soft'."
            )

    @property
    def _binary(self) -> bool:
        return self.bits == 1 and not self.signed

    @property
    def _largest(self) -> int:
        """Levels of the largest spike."""
        return 2**self.bits - 1

    @property
    def levels(self) -> int:
        """The largest spike in every step."""
        return self.steps * self._largest

    def unit(self, threshold: np.ndarray) -> np.ndarray:
        """The smallest spike has the value θ / (2^bits - 1)."""
        return threshold / self._largest

    def step_value(self, threshold: np.ndarray) -> np.ndarray:
        """θ / (2^bits - 1) / T."""
        return threshold / self.levels

    @property
    def rounding(self) -> float:
        """The initial potential: a constant current a makes floor(T a / θ + V / θ) spikes."""
        return self.initial

    def window_start(self, depth: int) -> int:
        """One step of delay for each population on the way."""
        return depth

    def fire(self, current: np.ndarray, spikes: np.ndarray) -> None:
        """Integrate and fire over one window, level 1."""
        potential = np.full(spikes.shape[1:], self.initial, dtype=np.float32)
        fire = self._fire_binary if self._binary else self._fire_graded
        fire(potential, current, spikes)

    def _fire_binary(self, potential: np.ndarray, current: np.ndarray, spikes: np.ndarray) -> None:
        fired = np.empty(potential.shape, dtype=bool)
        constant = len(current) == 1
        for step in range(len(spikes)):
            potential += current[0 if constant else step]
            np.greater_equal(potential, np.float32(1), out=fired)
            np.copyto(spikes[step], fired)
            if self.reset == "soft":
                potential -= spikes[step]
            else:
                potential[fired] = 0.0

    def _fire_graded(self, potential: np.ndarray, current: np.ndarray, spikes: np.ndarray) -> None:
        largest = np.float32(self._largest)
        lowest = np.zeros_like(potential)
        sent = np.zeros_like(potential)
        constant = len(current) == 1
        for step, spike in enumerate(spikes):
            potential += current[0 if constant else step]
            np.floor(potential, out=spike)
            np.clip(spike, lowest, largest, out=spike)
            potential -= spike
            if self.signed:
                sent += spike
                np.negative(sent, out=lowest)
                np.maximum(lowest, -largest, out=lowest)

    def neuron(self) -> NeuronCode:
        """V integrates and fires at 1; M is what a signed neuron sent."""
        if self._binary:
            reset = "V -= S;" if self.reset == "soft" else "V = (S > 0.0) ? 0.0 : V;"
            return NeuronCode(
                variables=("V",),
                begin=f"V = {float(self.initial)};",
                step=f"V += arrived + bias; S = (V >= 1.0) ? 1.0 : 0.0; {reset}",
            )
        top = float(self._largest)
        lowest = f"-fmin(M, {top})" if self.signed else "0.0"
        return NeuronCode(
            variables=("V", "M"),
            begin=f"V = {float(self.initial)}; M = 0.0;",
            step=f"V += arrived + bias; S = fmin(fmax(floor(V), {lowest}), {top}); V -= S; M += S;",
            graded=True,
        )


_MOST_BITS = 8
_CHOICES = {
    "reset": ("soft", "hard"),
    "input": ("constant", "poisson"),
    "readout": ("membrane", "spikes"),
}
