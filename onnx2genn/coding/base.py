"""What every coding says: how a value becomes spikes, within which window, on which levels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.errors import CodingError

THRESHOLD_RULES = ("max", "percentile", "mse", "balance", "spike-norm", "none")


@dataclass(frozen=True, kw_only=True)
class Coding(ABC):
    """How the value of an activation becomes the spikes of a neuron.

    A neuron counts in units of its smallest spike: it receives its input divided by that unit
    (:meth:`unit`), and its ``code`` is the whole number of units that it has sent at the end of
    its window.

    Attributes:
        steps: T, the length of the window in which a population may fire, in time steps.
        threshold: How thresholds are chosen: ``max`` of the calibration activations (Diehl et
            al. 2015), a ``percentile`` of the positive ones (Rueckauer et al. 2017), the least
            squared error of the coding's own levels (``mse``), local threshold balancing
            (``balance``; Bu et al. 2025), or the largest current that the spikes themselves cause
            (``spike-norm``; Sengupta et al. 2019), which simulates layer after layer. With
            ``none`` all thresholds are 1: the network without normalisation, for comparison.
        percentile: For the rule of that name, 0 to 100.
        per_channel: One threshold for each channel; otherwise one for each population.
        bias_correction: Shift the input of each channel so that its mean over the calibration
            samples is the ANN's (after Li et al. 2021); simulates layer after layer.
    """

    name: ClassVar[str]
    accumulates: ClassVar[bool]
    """Whether a population first collects its whole input and then fires."""
    most_steps: ClassVar[int] = 1024
    """Longest window that a search for the fewest steps tries."""

    steps: int
    threshold: str = "mse"
    percentile: float = 99.9
    per_channel: bool = True
    bias_correction: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise CodingError(f"steps={self.steps}: a window has at least one step.")
        if self.threshold not in THRESHOLD_RULES:
            raise CodingError(
                f"threshold={self.threshold!r} is unknown; choose {', '.join(THRESHOLD_RULES)}."
            )
        if not 0 < self.percentile <= 100:
            raise CodingError(f"percentile={self.percentile} is not in 0..100.")

    @property
    @abstractmethod
    def levels(self) -> int:
        """Largest code; the values 0, 1, ..., levels times the unit can be expressed."""

    @abstractmethod
    def unit(self, threshold: np.ndarray) -> np.ndarray:
        """Value that a source's smallest spike adds to what its target receives."""

    @abstractmethod
    def step_value(self, threshold: np.ndarray) -> np.ndarray:
        """Activation, in ANN units, that a code of 1 stands for."""

    @property
    def rounding(self) -> float:
        """Fraction of a step that rounding down adds first; one half rounds to the nearest."""
        return 0.5

    def quantise(self, values: np.ndarray, threshold: np.ndarray) -> np.ndarray:
        """Round activations to the values that a spike train of one window can express."""
        step = self.step_value(threshold)
        return np.clip(np.floor(values / step + self.rounding), 0, self.levels) * step

    @abstractmethod
    def window_start(self, depth: int) -> int:
        """First step in which a population at a depth may fire."""

    @abstractmethod
    def input_start(self, depth: int) -> int:
        """First step in which the spikes of its sources reach a population at a depth."""

    @abstractmethod
    def neuron(self) -> NeuronCode:
        """Write the neuron's equations as text, for a backend that compiles them."""

    def latency(self, depth: int, *, firing: bool = False) -> int:
        """Steps from the presentation of a sample to the network's answer.

        Args:
            depth: Populations on the longest way from the input to the readout.
            firing: Whether the readout fires, and does not only integrate.
        """
        start = self.window_start if firing else self.input_start
        return start(depth) + self.steps

    def options(self) -> dict[str, Any]:
        """Return all options, to be saved and shown."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True, kw_only=True)
class StepwiseCoding(Coding):
    """A coding whose neurons integrate and fire in the same window."""

    accumulates: ClassVar[bool] = False

    def input_start(self, depth: int) -> int:
        """The population's own window."""
        return self.window_start(depth)

    @abstractmethod
    def fire(self, current: np.ndarray, spikes: np.ndarray) -> None:
        """Simulate neurons over one window.

        Args:
            current: Input of each step in units, [T, ...], or [1, ...] if it is constant.
            spikes: Where the spikes go, in units, [T, ...]; may be ``current`` itself.
        """


@dataclass(frozen=True, kw_only=True)
class AccumulatingCoding(Coding):
    """A coding whose neurons collect the input of a window and fire in the next one.

    What they fire depends on the sum alone, so the network's answer is the answer of the ANN with
    its activations rounded to the coding's levels.
    """

    accumulates: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold == "spike-norm":
            raise CodingError(
                f"threshold='spike-norm' is for rate coding: neurons of {self.name!r} fire after "
                "their input, of which no single step can be too large. Use 'mse'."
            )

    def window_start(self, depth: int) -> int:
        """One window and one step of delay for each population on the way."""
        return depth * (self.steps + 1)

    def input_start(self, depth: int) -> int:
        """One window before the population's own."""
        return self.window_start(depth) - self.steps

    def step_value(self, threshold: np.ndarray) -> np.ndarray:
        """The unit itself: codes add up within the window."""
        return self.unit(threshold)

    def encode(self, total: np.ndarray) -> np.ndarray:
        """Return the code of a neuron that collected ``total`` units, [...], as whole float32."""
        return np.clip(np.floor(total + np.float32(0.5)), 0, self.levels)

    @abstractmethod
    def spike_count(self, code: np.ndarray) -> np.ndarray:
        """Return how many spikes express a code, as integers."""

    @abstractmethod
    def spike_train(self, code: np.ndarray) -> np.ndarray:
        """Return the value of the spike of each step in units, [T, ...]."""
