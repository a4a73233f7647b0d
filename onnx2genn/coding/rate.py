"""Rate coding: integrate-and-fire neurons whose spike count stands for the value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from onnx2genn.coding.base import StepwiseCoding
from onnx2genn.coding.clipped import Clip, at
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.coding.options import checked
from onnx2genn.coding.quantiser import Quantiser
from onnx2genn.coding.registry import register
from onnx2genn.errors import CodingError

AUTO = "auto"
# Of the look-ahead, in windows of so many steps; in longer ones it is longer.
_LEAST_AHEAD, _POPULATIONS_A_STEP, _STEPS = 2, 3, 32


@register
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

    What makes binary spikes wrong is that a neuron fires on what came early and cannot take it
    back. With a look-ahead of D steps it starts to fire D steps after its input starts, and sends
    in proportion to what it has heard: after t of its own steps it has heard h = min(t + D, T)
    steps of input, which add up to U, and fires if::

        U t / h + V(0) - M >= θ

    For a constant input these are the spikes of the neuron above, which is D = 0; D = T knows its
    whole input before the first spike, as ``two-phase`` does. What is left of the error adds up
    over the populations on the way: two steps are enough for a few of them, and ``auto`` takes one
    for every three of them, T / 32 times as many in longer windows, but no more than T / 2. Each
    population adds D steps to the latency, and none to the time per sample.

    Functions other than ReLU need the whole sum: their neurons collect for a window of T steps, and
    a function of the mean drives them in the next one as a constant current.

    Attributes:
        reset: ``soft`` keeps what exceeds the threshold; ``hard`` loses it.
        initial: Potential at the start of the window as a fraction of l; one half rounds to the
            nearest level instead of down (Deng and Gu 2021; Bu et al. 2022).
        input: ``constant`` signed current in every step; ``poisson``: in every step a spike
            with probability exactly |x| / scale, which keeps the sign of x; or ``events`` of a
            sensor, each a spike at its time: x is their number in the whole window.
        readout: ``membrane`` integrates the output's input and does not fire; ``spikes`` counts
            the spikes of output neurons.
        seed: Of the Poisson input.
        weight_maximum: Threshold at least the largest weight, as Diehl et al. do.
        bits: Of a spike: it has one of 2^bits - 1 sizes.
        signed: Whether negative spikes correct positive ones that were sent before.
        lookahead: D, at most T: steps of its input that a neuron waits for before it fires, or
            ``auto``, by the depth of the network; 2 as long as that is not known.
    """

    name: ClassVar[str] = "rate"

    steps: int = 32
    bias_correction: bool = True
    reset: str = "soft"
    initial: float = 0.5
    input: str = "constant"
    readout: str = "membrane"
    seed: int = 0
    weight_maximum: bool = False
    bits: int = 1
    signed: bool = False
    lookahead: int | str = AUTO

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lookahead != AUTO:
            if isinstance(self.lookahead, str):
                raise CodingError(f"lookahead={self.lookahead!r} is neither a number nor {AUTO!r}.")
            steps = checked("lookahead", self.lookahead, int)
            if steps < 0:
                raise CodingError(f"lookahead={steps} is below 0.")
            object.__setattr__(self, "lookahead", steps)
        for option, choices in _CHOICES.items():
            if getattr(self, option) not in choices:
                raise CodingError(
                    f"{option}={getattr(self, option)!r} is unknown; choose {', '.join(choices)}."
                )
        if not 0 <= self.initial < 1:
            raise CodingError(f"initial={self.initial} is not in 0..1.")
        if not 1 <= self.bits <= _MOST_BITS:
            raise CodingError(f"bits={self.bits} is not in 1..{_MOST_BITS}.")
        if not 0 <= self.seed < 2**31:
            raise CodingError(f"seed={self.seed} is not in 0..2^31 - 1.")
        if self.reset == "hard" and not (self._binary and self.lookahead == 0):
            raise CodingError(
                "reset='hard' forgets what graded or signed spikes or a look-ahead have to keep; "
                "use reset='soft', or bits=1, signed=False and lookahead=0."
            )

    @property
    def _binary(self) -> bool:
        return self.bits == 1 and not self.signed

    @property
    def _largest(self) -> int:
        """Levels of the largest spike."""
        return 2**self.bits - 1

    @property
    def quantiser(self) -> Quantiser:
        """A constant current a makes floor(T a / l + V(0) / l) spikes of level l.

        So the initial potential is the rounding.
        """
        levels = self.steps * self._largest
        return Quantiser(levels=levels, parts=levels, rounding=self.initial)

    @property
    def poisson(self) -> bool:
        """As ``input`` says."""
        return self.input == "poisson"

    @property
    def events(self) -> bool:
        """As ``input`` says."""
        return self.input == "events"

    @property
    def firing_readout(self) -> bool:
        """As ``readout`` says."""
        return self.readout == "spikes"

    @property
    def _ahead(self) -> int:
        """Steps of look-ahead that the window has room for."""
        wanted = _LEAST_AHEAD if isinstance(self.lookahead, str) else self.lookahead
        return min(wanted, self.steps)

    def for_depth(self, depth: int) -> Rate:
        """Decide the look-ahead, if that is left to the depth."""
        if self.lookahead != AUTO:
            return self
        most = max(_LEAST_AHEAD, self.steps // 2)
        ahead = max(_LEAST_AHEAD, depth // _POPULATIONS_A_STEP) * max(self.steps, _STEPS) // _STEPS
        return replace(self, lookahead=min(ahead, most))

    def input_start(self, depth: int) -> int:
        """One step of delay and the look-ahead for each population on the way."""
        return depth * (self._ahead + 1)

    def window_start(self, depth: int) -> int:
        """After the look-ahead."""
        return self.input_start(depth) + self._ahead

    def fire(self, current: np.ndarray, spikes: np.ndarray) -> None:
        """Integrate and fire over one window, level 1."""
        if self._ahead:
            self._fire_ahead(current, spikes)
        elif self._binary:
            self._fire_binary(current, spikes)
        else:
            self._fire_graded(current, spikes)

    def _fire_binary(self, current: np.ndarray, spikes: np.ndarray) -> None:
        potential = np.full(spikes.shape[1:], self.initial, dtype=np.float32)
        fired = np.empty(potential.shape, dtype=bool)
        for step, spike in enumerate(spikes):
            potential += at(current, step)
            np.greater_equal(potential, np.float32(1), out=fired)
            np.copyto(spike, fired)
            if self.reset == "soft":
                potential -= spike
            else:
                potential[fired] = 0.0

    def _fire_graded(self, current: np.ndarray, spikes: np.ndarray) -> None:
        potential = np.full(spikes.shape[1:], self.initial, dtype=np.float32)
        clip = Clip(potential.shape, self._largest, signed=self.signed)
        for step, spike in enumerate(spikes):
            potential += at(current, step)
            np.floor(potential, out=spike)
            clip(spike)
            potential -= spike

    def _fire_ahead(self, current: np.ndarray, spikes: np.ndarray) -> None:
        steps, ahead = len(spikes), self._ahead
        heard = np.zeros(spikes.shape[1:], np.float32)
        for step in range(ahead):
            heard += at(current, step)
        accounted = np.full(heard.shape, self._unaccounted, dtype=np.float32)
        reached, wanted = np.empty_like(heard), np.empty_like(heard)
        fired = np.empty(heard.shape, dtype=bool)
        clip = Clip(heard.shape, self._largest, signed=self.signed)
        for step, spike in enumerate(spikes):
            if step + ahead < steps:
                heard += at(current, step + ahead)
            # U t >= (M + 1 - V(0)) h: without the quotient, which float numbers round.
            total = np.float32(min(step + ahead + 1, steps))
            np.multiply(heard, np.float32(step + 1), out=reached)
            np.multiply(accounted, total, out=wanted)
            if self._binary:
                np.greater_equal(reached, wanted, out=fired)
                np.copyto(spike, fired)
            else:
                reached -= wanted
                reached /= total
                np.floor(reached, out=spike)
                clip(spike)
            accounted += spike

    def integrated(self, current: np.ndarray, spikes: np.ndarray) -> np.ndarray:
        """V of the equations: what was heard and, without look-ahead, not sent."""
        found = np.empty_like(spikes)
        potential = np.full(spikes.shape[1:], 0 if self._ahead else self.initial, np.float32)
        for step in range(self._ahead):
            potential += at(current, step)
        for step, spike in enumerate(spikes):
            if step + self._ahead < len(spikes):
                potential += at(current, step + self._ahead)
            if not self._ahead:
                potential = potential - spike if self.reset == "soft" else potential * (spike == 0)
            found[step] = potential
        return found

    @property
    def _unaccounted(self) -> float:
        """First value of M - V(0); a binary neuron compares with one spike more than it sent."""
        return float(self._binary) - self.initial

    def neuron(self) -> NeuronCode:
        """V integrates and fires at 1; M is what was sent, F the input of the next sample."""
        if self._ahead:
            return self._neuron_ahead()
        if self._binary:
            reset = "V -= S;" if self.reset == "soft" else "V = (S > 0.0) ? 0.0 : V;"
            return NeuronCode(
                variables=("V",),
                begin=f"V = {float(self.initial)};",
                step=f"V += arrived + bias; S = (V >= 1.0) ? 1.0 : 0.0; {reset}",
            )
        return NeuronCode(
            variables=("V", "M"),
            begin=f"V = {float(self.initial)}; M = 0.0;",
            step=f"V += arrived + bias; S = {self._clipped('floor(V)')}; V -= S; M += S;",
            largest=self._largest,
            signed=self.signed,
        )

    def _neuron_ahead(self) -> NeuronCode:
        ahead, steps = self._ahead, self.steps
        if self._binary:
            spike = "S = (more >= 0.0) ? 1.0 : 0.0;"
        else:
            # Compilers are allowed to round the quotient down.
            spike = (
                "const scalar whole = floor(more / total);\n"
                "const scalar k = ((whole + 1.0) * total <= more) ? whole + 1.0 : whole;\n"
                f"S = {self._clipped('k')};"
            )
        return NeuronCode(
            variables=("V", "M", "F"),
            begin=f"V = F + (bias * {float(ahead)}); F = 0.0; M = 0.0;",
            step=(
                f"if(phase < {steps - ahead}) {{ V += arrived + bias; }} else {{ F += arrived; }}\n"
                f"const scalar total = fmin(phase + {ahead + 1}.0, {steps}.0);\n"
                f"const scalar more = V * (phase + 1.0) - (M + {self._unaccounted}) * total;\n"
                f"{spike} M += S;"
            ),
            largest=self._largest,
            signed=self.signed,
        )

    def _clipped(self, wanted: str) -> str:
        top = float(self._largest)
        lowest = f"-fmin(M, {top})" if self.signed else "0.0"
        return f"fmin(fmax({wanted}, {lowest}), {top})"


_MOST_BITS = 8
_CHOICES = {
    "reset": ("soft", "hard"),
    "input": ("constant", "poisson", "events"),
    "readout": ("membrane", "spikes"),
}
