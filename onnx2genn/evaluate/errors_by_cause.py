"""What separates the activity of a population from the ANN's, told apart by its cause."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.evaluate.deviation import Deviation
from onnx2genn.evaluate.pieces import pieces
from onnx2genn.evaluate.response import Responses
from onnx2genn.evaluate.sums import Sums
from onnx2genn.ir.partition import Population
from onnx2genn.network import Network

MOST_SAMPLES = 256
"""So many of the first samples are looked at; shares of a variance need no more."""

_MOST_VALUES = 2**26


def looked_at(network: Network) -> int:
    """Return how many of the first samples are looked at closely.

    Of a network with many neurons these are fewer: the mean is over neurons as well, and more
    samples would take more time than the simulation.
    """
    return max(1, min(MOST_SAMPLES, _MOST_VALUES // max(network.neurons, 1)))


_ROOM = 1.25


class Deviations(Sums):
    """Splits the error of each population on the first samples.

    With a the ANN's activation, q its rounding to the coding's values, f the forecast and d what
    the spikes say, mean squares over neurons and samples, in units of the variance of a::

        error = (d - a)^2;  clipping = (min(a, largest value) - a)^2;  rounding = (q - a)^2 -
        clipping;  unevenness = (d - f)^2;  inherited = (f - q)^2

    The last is what rounding in earlier populations adds up to.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._errors = {item.name: _Errors() for item in network.populations}

    def add(
        self,
        activity: Activity,
        ann: Mapping[str, np.ndarray],
        forecast: Mapping[str, np.ndarray] | None,
        count: int,
    ) -> None:
        """Add the first samples of a batch.

        Args:
            activity: What the spiking network did.
            ann: What the ANN computed, by tensor.
            forecast: What was forecast, by tensor; None for what accumulates first, which sends
                exactly that.
            count: Number of samples to look at.
        """
        assert activity.codes is not None
        for item in self._network.populations if count else ():
            arrays = [ann[item.tensor][:count], activity.codes[item.name][:count]]
            if forecast is not None:
                arrays.append(forecast[item.tensor][:count])
            for wanted, codes, *expected in pieces(*arrays):
                decoded = self._network.decode(item, codes)
                self._add(item, wanted, decoded, expected[0] if expected else decoded)

    def _add(
        self, item: Population, ann: np.ndarray, decoded: np.ndarray, expected: np.ndarray
    ) -> None:
        network, quantiser = self._network, self._network.coding.quantiser
        threshold, offset = network.thresholds[item.name], network.offsets[item.name]
        top = quantiser.levels * quantiser.step_value(threshold)
        above = ann - offset
        rounded = quantiser.quantise(above, threshold) + offset
        sums = self._errors[item.name]
        sums.error += _square(decoded - ann)
        sums.own += _square(rounded - ann)
        sums.inherited += _square(expected - rounded)
        if expected is not decoded:
            sums.unevenness += _square(decoded - expected)
        sums.total += float(ann.sum(dtype=np.float64))
        sums.squares += _square(ann)
        sums.count += ann.size
        largest = float(above.max(initial=0.0))
        if largest > top.min():
            sums.clipping += _square(np.maximum(above - top, 0))
        sums.largest = max(sums.largest, largest)
        sums.top = max(sums.top, float(top.max()))
        sums.responses.add(above, decoded - offset, self._end(item))

    def _end(self, item: Population) -> float:
        """Return where the histogram of a population ends."""
        quantiser = self._network.coding.quantiser
        top = quantiser.levels * quantiser.step_value(self._network.thresholds[item.name])
        known = self._network.calibration_maxima.get(item.name, 0.0)
        return _ROOM * max(float(top.max()), known)

    def of(self, item: Population) -> Deviation:
        """Return what was found of a population."""
        sums = self._errors[item.name]
        mean = sums.total / max(sums.count, 1)
        spread = sums.squares - sums.count * mean**2
        scale = 1 / spread if spread > 1e-12 * max(sums.squares, 1e-30) else 0.0
        return Deviation(
            error=sums.error * scale if scale else None,
            clipping=sums.clipping * scale,
            rounding=max(sums.own - sums.clipping, 0.0) * scale,
            unevenness=sums.unevenness * scale,
            inherited=sums.inherited * scale,
            largest=sums.largest,
            top=sums.top,
            calibrated=self._network.calibration_maxima.get(item.name),
            response=sums.responses.result(self._end(item)),
        )


class _Errors(Sums):
    """Sums over the values of a population, and the largest of them."""

    def __init__(self) -> None:
        self.error = self.clipping = self.own = self.unevenness = self.inherited = 0.0
        self.total = self.squares = 0.0
        self.largest = self.top = 0.0
        self.count = 0
        self.responses = Responses()

    def merge(self, other: _Errors) -> None:
        """Add what was found on other samples."""
        largest, top = max(self.largest, other.largest), max(self.top, other.top)
        super().merge(other)
        self.largest, self.top = largest, top


def _square(values: np.ndarray) -> float:
    return float(np.square(values, dtype=np.float64).sum())
