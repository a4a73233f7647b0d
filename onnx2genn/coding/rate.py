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

    Attributes:
        reset: ``soft`` keeps what exceeds the threshold; ``hard`` loses it.
        initial: Potential at the start of the window as a fraction of θ; one half rounds to the
            nearest level instead of down (Deng and Gu 2021; Bu et al. 2022).
        input: ``constant`` signed current in every step, or ``poisson``: in every step a spike
            with probability exactly |x| / scale, which keeps the sign of x.
        readout: ``membrane`` integrates the output's input and does not fire; ``spikes`` counts
            the spikes of output neurons.
        seed: Of the Poisson input.
        weight_maximum: Threshold at least the largest weight, as Diehl et al. do.
    """

    name: ClassVar[str] = "rate"

    steps: int = 32
    reset: str = "soft"
    initial: float = 0.5
    input: str = "constant"
    readout: str = "membrane"
    seed: int = 0
    weight_maximum: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, choices in _CHOICES.items():
            if getattr(self, option) not in choices:
                raise CodingError(
                    f"{option}={getattr(self, option)!r} is unknown; choose {', '.join(choices)}."
                )
        if not 0 <= self.initial < 1:
            raise CodingError(f"initial={self.initial} is not in 0..1.")

    @property
    def levels(self) -> int:
        """One spike a step."""
        return self.steps

    def unit(self, threshold: np.ndarray) -> np.ndarray:
        """A spike has the value θ."""
        return threshold

    def step_value(self, threshold: np.ndarray) -> np.ndarray:
        """θ / T."""
        return threshold / self.steps

    @property
    def rounding(self) -> float:
        """The initial potential: a constant current a makes floor(T a / θ + V / θ) spikes."""
        return self.initial

    def window_start(self, depth: int) -> int:
        """One step of delay for each population on the way."""
        return depth

    def fire(self, current: np.ndarray, spikes: np.ndarray) -> None:
        """Integrate and fire over one window, threshold 1."""
        potential = np.full(spikes.shape[1:], self.initial, dtype=np.float32)
        fired = np.empty(spikes.shape[1:], dtype=bool)
        constant = len(current) == 1
        for step in range(len(spikes)):
            potential += current[0 if constant else step]
            np.greater_equal(potential, np.float32(1), out=fired)
            np.copyto(spikes[step], fired)
            if self.reset == "soft":
                potential -= spikes[step]
            else:
                potential[fired] = 0.0

    def neuron(self) -> NeuronCode:
        """V integrates and fires at 1."""
        reset = "V -= 1.0;" if self.reset == "soft" else "V = 0.0;"
        return NeuronCode(
            variables=("V",),
            begin=f"V = {float(self.initial)};",
            step=f"V += arrived + bias; if(V >= 1.0) {{ S = 1.0; {reset} }}",
        )


_CHOICES = {
    "reset": ("soft", "hard"),
    "input": ("constant", "poisson"),
    "readout": ("membrane", "spikes"),
}
