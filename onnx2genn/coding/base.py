"""What every coding says: how a value becomes spikes, within which window, and what that needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.coding.options import checked
from onnx2genn.coding.quantiser import Quantiser
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
            samples is the ANN's (after Li et al. 2021); simulates layer after layer. It is kept
            only if it brings the answers to samples that were held out closer to the ANN's.
    """

    name: ClassVar[str]
    accumulates: ClassVar[bool]
    """Whether a population first collects its whole input and then fires."""

    steps: int
    threshold: str = "mse"
    percentile: float = 99.9
    per_channel: bool = True
    bias_correction: bool = False

    def __post_init__(self) -> None:
        for item in fields(self):
            value = checked(item.name, getattr(self, item.name), item.type)
            object.__setattr__(self, item.name, value)
        if self.steps < 1:
            raise CodingError(f"steps={self.steps}: a window has at least one step.")
        if self.threshold not in THRESHOLD_RULES:
            raise CodingError(
                f"threshold={self.threshold!r} is unknown; choose {', '.join(THRESHOLD_RULES)}."
            )
        if not 0 < self.percentile <= 100:
            raise CodingError(f"percentile={self.percentile} is not in 0..100.")

    @property
    def most_steps(self) -> int:
        """Longest window that a search for the fewest steps tries."""
        return 1024

    @property
    def tries(self) -> bool:
        """Whether thresholds are tried on samples that were held out; all count for other rules."""
        return self.threshold == "mse"

    def for_depth(self, depth: int) -> Coding:
        """Return the coding with what depends on the depth of a network decided.

        Args:
            depth: Populations on the longest way from the input to the readout.
        """
        return self

    def with_digits(self, digits: int) -> Coding:
        """Return the coding whose levels a population of fewer digits has.

        Args:
            digits: d, 1 to T; all T are the coding itself.

        Raises:
            CodingError: There are none or more of them, or populations cannot have fewer.
        """
        if not 1 <= digits <= self.steps:
            raise CodingError(f"A population has 1 to {self.steps} digits, not {digits}.")
        if digits < self.steps:
            raise CodingError(
                f"Neurons of coding {self.name!r} fire while they integrate: all have {self.steps} "
                "steps. For fewer digits take a coding that accumulates first, as 'few-spike'."
            )
        return self

    @property
    @abstractmethod
    def quantiser(self) -> Quantiser:
        """The values that a window can express."""

    @abstractmethod
    def unit(self, threshold: np.ndarray) -> np.ndarray:
        """Value that a source's smallest spike adds to what its target receives."""

    @property
    def poisson(self) -> bool:
        """Whether the input is a train of random spikes instead of a constant current."""
        return False

    @property
    def events(self) -> bool:
        """Whether the input is events of a sensor, counted in every step."""
        return False

    @property
    def spiking_input(self) -> bool:
        """Whether the input is spikes of whatever kind."""
        return self.poisson or self.events

    @property
    def seed(self) -> int:
        """Seed of the random input."""
        return 0

    @property
    def firing_readout(self) -> bool:
        """Whether output neurons fire, and their spikes are counted."""
        return False

    @property
    def weight_maximum(self) -> bool:
        """Whether thresholds are at least as large as the largest weight."""
        return False

    @property
    def expected_spikes(self) -> float:
        """How many spikes a neuron sends in a window, about, where nothing is known of it."""
        return self.steps / 4

    @property
    @abstractmethod
    def train_length(self) -> int:
        """Length of the spike trains to keep: 1 where the sum over a window is all that counts."""

    @abstractmethod
    def window_start(self, depth: int) -> int:
        """First step in which a population at a depth may fire."""

    @abstractmethod
    def input_start(self, depth: int) -> int:
        """First step in which the spikes of its sources reach a population at a depth."""

    @abstractmethod
    def neuron(self) -> NeuronCode:
        """Write the neuron's equations as text, for a backend that compiles them."""

    @abstractmethod
    def fire(self, current: np.ndarray, spikes: np.ndarray) -> None:
        """Simulate neurons over one window.

        Args:
            current: Input of each step in units, [train_length, ...], or [1, ...] if it is
                constant.
            spikes: Where the spikes go, in units, [train_length, ...]; may be ``current`` itself.
        """

    def spike_count(self, code: np.ndarray) -> np.ndarray:
        """Return how many spikes express a code, as whole numbers; for binary spikes as many."""
        return code

    def spike_train(self, code: np.ndarray) -> np.ndarray:
        """Return the value of the spike of each step in units, [T, ...].

        Raises:
            CodingError: What the neurons fire depends on more than their code.
        """
        raise CodingError(f"The spikes of coding {self.name!r} do not follow from their number.")

    def arrived(self, code: np.ndarray) -> np.ndarray:
        """Return what was sent up to each step in units, [T, ...].

        Raises:
            CodingError: What the neurons fire depends on more than their code.
        """
        found = self.spike_train(code)
        for step in range(1, len(found)):
            found[step] += found[step - 1]
        return found

    def integrated(self, current: np.ndarray, spikes: np.ndarray) -> np.ndarray:
        """Return the potential V after each step, [T, ...], from what arrived and what was fired.

        Raises:
            CodingError: V follows from the code alone, or there is none.
        """
        raise CodingError(f"The potential of coding {self.name!r} is not that of its input.")

    def drained(self, code: np.ndarray) -> np.ndarray:
        """Return the potential V after each step, [T, ...], of neurons that send a code.

        Raises:
            CodingError: V depends on more than the code, or there is none.
        """
        raise CodingError(f"The potential of coding {self.name!r} does not follow from its code.")

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

    @property
    def train_length(self) -> int:
        """T."""
        return self.steps

    def unit(self, threshold: np.ndarray) -> np.ndarray:
        """T times the value of a code of 1, since the values of T steps are averaged."""
        return threshold / (self.quantiser.parts / self.steps)

    def input_start(self, depth: int) -> int:
        """The population's own window."""
        return self.window_start(depth)


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

    def with_digits(self, digits: int) -> Coding:
        """Return the coding with a window of d steps.

        Its codes are the smallest ones of T steps, spike for spike: those of which only the last d
        digits are not 0. So a population of d digits has its levels, and the neurons of T steps.
        """
        fewer = 0 < digits < self.steps
        return replace(self, steps=digits) if fewer else super().with_digits(digits)

    @property
    def train_length(self) -> int:
        """1."""
        return 1

    def unit(self, threshold: np.ndarray) -> np.ndarray:
        """Value of a code of 1: codes add up within the window."""
        return self.quantiser.step_value(threshold)

    def window_start(self, depth: int) -> int:
        """One window and one step of delay for each population on the way."""
        return depth * (self.steps + 1)

    def input_start(self, depth: int) -> int:
        """One window before the population's own."""
        return self.window_start(depth) - self.steps

    def fire(self, current: np.ndarray, spikes: np.ndarray) -> None:
        """Round what was collected."""
        spikes[...] = self.quantiser.code(current)

    @abstractmethod
    def spike_train(self, code: np.ndarray) -> np.ndarray:
        """Return the value of the spike of each step in units, [T, ...]."""

    def drained(self, code: np.ndarray) -> np.ndarray:
        """What of the code has not been sent yet."""
        return code - self.arrived(code)
