"""What separates the activity of a population from the ANN's, told apart by its cause."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.evaluate.deviation import Deviation
from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.pieces import pieces, square
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
_RESPONSE_SHARE = 4  # one in so many of the samples that are looked at: responses are drawn


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
        self._scales = _Scales(network)

    def add(
        self,
        activity: Activity,
        ann: Mapping[str, np.ndarray],
        forecast: Mapping[str, np.ndarray] | None,
        *,
        count: int,
        first: int,
    ) -> None:
        """Add the first samples of a batch.

        Args:
            activity: What the spiking network did.
            ann: What the ANN computed, by tensor.
            forecast: What was forecast, by tensor; None for what accumulates first, which sends
                exactly that.
            count: Number of samples to look at.
            first: Number of the first one in the data.
        """
        assert activity.codes is not None
        answering = min(max(0, -(-looked_at(self._network) // _RESPONSE_SHARE) - first), count)
        for item in self._network.populations if count else ():
            arrays = [ann[item.tensor][:count], activity.codes[item.name][:count]]
            if forecast is not None:
                arrays.append(forecast[item.tensor][:count])
            for part, (wanted, codes, *expected) in pieces(*arrays):
                self._add(item, part, wanted, codes, *expected)
            for part, (wanted, codes) in pieces(*(array[:answering] for array in arrays[:2])):
                step, offset = self._scales.of(item, part)
                responses = self._errors[item.name].responses
                responses.add(_minus(wanted, offset), codes * step, self._end(item))

    def _add(
        self,
        item: Population,
        part: slice,
        ann: np.ndarray,
        codes: np.ndarray,
        forecast: np.ndarray | None = None,
    ) -> None:
        quantiser, sums = self._network.coding_of(item).quantiser, self._errors[item.name]
        step, offset = self._scales.of(item, part)
        above, decoded = _minus(ann, offset), codes * step
        rounded = quantiser.code(above / step) * step
        expected = decoded if forecast is None else _minus(forecast, offset)
        sums.error += square(decoded - above)
        sums.own += square(rounded - above)
        sums.inherited += square(expected - rounded)
        if forecast is not None:
            sums.unevenness += square(decoded - expected)
        sums.moments.add_single(decoded if offset is None else decoded + offset, ann)
        largest, lowest_top = float(above.max(initial=0.0)), quantiser.levels * float(step.min())
        if largest > lowest_top:
            sums.clipping += square(np.maximum(above - quantiser.levels * step, 0))
        sums.largest = max(sums.largest, largest)
        sums.top = max(sums.top, quantiser.levels * float(step.max()))

    def _end(self, item: Population) -> float:
        """Return where the histogram of a population ends."""
        quantiser = self._network.coding_of(item).quantiser
        top = quantiser.levels * quantiser.step_value(self._network.thresholds[item.name])
        known = self._network.calibration_maxima.get(item.name, 0.0)
        return _ROOM * max(float(top.max()), known)

    def correlation(self, item: Population) -> float | None:
        """Return the correlation of the decoded activity of a population with the ANN's."""
        return self._errors[item.name].moments.correlation()

    def of(self, item: Population) -> Deviation:
        """Return what was found of a population."""
        sums = self._errors[item.name]
        _, variance = sums.moments.variances()
        scale = 1 / (variance * sums.moments.count) if variance > 0 else 0.0
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
        self.largest = self.top = 0.0
        self.moments = Moments()
        self.responses = Responses()

    def merge(self, other: _Errors) -> None:
        """Add what was found on other samples."""
        largest, top = max(self.largest, other.largest), max(self.top, other.top)
        super().merge(other)
        self.largest, self.top = largest, top


class _Scales:
    """What turns the code of each neuron into its activation."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._kept: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}

    def of(self, item: Population, part: slice) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the value of a code of 1, and of a code of 0, for some neurons of a population.

        The latter is None where it is 0.
        """
        if item.name not in self._kept:
            quantiser = self._network.coding_of(item).quantiser
            value = quantiser.step_value(self._network.thresholds[item.name])
            lowest = self._network.offsets[item.name]
            shift = _flat(lowest, item) if lowest.any() else None
            self._kept[item.name] = _flat(value, item), shift
        step, offset = self._kept[item.name]
        return step[part], None if offset is None else offset[part]


def _flat(values: np.ndarray, item: Population) -> np.ndarray:
    return np.broadcast_to(values, item.shape).reshape(-1)


def _minus(values: np.ndarray, offset: np.ndarray | None) -> np.ndarray:
    return values if offset is None else values - offset
