"""Statistics of activations, streamed: memory does not grow with the number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from onnx2genn.errors import CalibrationError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import Runner, samples_at_once

_BINS = 2048
_BATCH = 50


@dataclass
class Statistics:
    """Maximum, moments and histogram of the positive part of a tensor, for each channel.

    The histogram of a channel has equal bins from 0 to ``top``; when a larger value arrives,
    ``top`` doubles and bins are merged in pairs.

    Attributes:
        channels: Number of channels; 1 takes the whole tensor as one.
        count: Values seen in each channel.
        maximum: Largest value of each channel, [channels].
        minimum: Smallest value of each channel, [channels].
        total: Sum of max(value, 0) of each channel, [channels].
        histogram: Counts of the values above 0, [channels, bins].
        top: Upper end of the histogram of each channel, [channels].
    """

    channels: int
    bins: int = _BINS
    count: int = 0
    maximum: np.ndarray = field(init=False)
    minimum: np.ndarray = field(init=False)
    total: np.ndarray = field(init=False)
    histogram: np.ndarray = field(init=False)
    top: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.maximum = np.full(self.channels, -np.inf)
        self.minimum = np.full(self.channels, np.inf)
        self.total = np.zeros(self.channels)
        self.histogram = np.zeros((self.channels, self.bins), np.int64)
        self.top = np.zeros(self.channels)

    def update(self, values: np.ndarray) -> None:
        """Add a batch.

        Args:
            values: Tensor [N, C, ...]; with one channel the second axis has no meaning.
        """
        rows = (
            values.reshape(1, -1)
            if self.channels == 1
            else np.moveaxis(values, 1, 0).reshape(self.channels, -1)
        )
        self.count += rows.shape[1]
        self.maximum = np.maximum(self.maximum, rows.max(axis=1))
        self.minimum = np.minimum(self.minimum, rows.min(axis=1))
        self.total += np.maximum(rows, 0).sum(axis=1, dtype=np.float64)
        self._widen()
        self._count(rows)

    def _widen(self) -> None:
        fresh = (self.top == 0) & (self.maximum > 0)
        self.top[fresh] = self.maximum[fresh]
        while (tight := self.maximum > self.top * (1 + 1e-6)).any() and self.top[tight].all():
            pairs = self.histogram[tight].reshape(-1, self.bins // 2, 2).sum(axis=2)
            self.histogram[tight] = np.pad(pairs, ((0, 0), (0, self.bins // 2)))
            self.top[tight] *= 2

    def _count(self, rows: np.ndarray) -> None:
        channel, position = np.nonzero(rows > 0)
        if not len(channel):
            return
        scale = np.divide(self.bins, self.top, out=np.zeros(self.channels), where=self.top > 0)
        index = (rows[channel, position] * scale[channel]).astype(np.int64)
        flat = channel * self.bins + np.minimum(index, self.bins - 1)
        self.histogram += np.bincount(flat, minlength=self.histogram.size).reshape(-1, self.bins)

    @property
    def centres(self) -> np.ndarray:
        """Centres of the bins, [channels, bins]."""
        return (np.arange(self.bins) + 0.5) / self.bins * self.top[:, None]

    @property
    def positive_maximum(self) -> np.ndarray:
        """Largest activation of each channel, [channels]; a silent channel has 0."""
        return np.maximum(self.maximum, 0.0)

    @property
    def mean(self) -> np.ndarray:
        """Mean of max(value, 0) of each channel, [channels]."""
        return self.total / max(self.count, 1)

    def percentile(self, q: float) -> np.ndarray:
        """Percentile of the values above 0, to the width of a bin.

        Zeros are left out, as in SNN Toolbox: how many neurons are silent says nothing about the
        size of the activations that matter.

        Args:
            q: Percentile, 0 to 100.

        Returns:
            One value for each channel, [channels]; 0 for a silent channel.
        """
        cumulated = self.histogram.cumsum(axis=1)
        wanted = cumulated[:, -1:] * (q / 100.0)
        at = (cumulated < wanted).sum(axis=1) + 1
        edge = np.minimum(at, self.bins) / self.bins * self.top
        return np.minimum(edge, self.positive_maximum)

    def mean_excess(self, q: float) -> np.ndarray:
        """Mean of what the values above a percentile exceed it by, [channels]; see percentile."""
        over = self.centres - self.percentile(q)[:, None]
        counts = np.where(over > 0, self.histogram, 0)
        return (counts * over).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)


Progress = Callable[[int, int], None]


def collect(
    model: Model,
    samples: np.ndarray,
    *,
    offsets: Mapping[str, np.ndarray] | None = None,
    per_channel: bool = True,
    progress: Progress | None = None,
) -> dict[str, Statistics]:
    """Run the ANN on calibration samples and gather statistics of what its neurons receive.

    Args:
        model: Canonical model.
        samples: Inputs [N, ...], as the network takes them.
        offsets: What is subtracted from each channel of a tensor first.
        per_channel: Separate statistics for each channel (the first axis of a sample's tensor).
        progress: Called with the number of samples done and the total.

    Returns:
        Statistics of the measured tensor of each population, and of the logits, by tensor.

    Raises:
        CalibrationError: There are no samples, or the network's answer is not finite.
    """
    if not len(samples):
        raise CalibrationError("There are no calibration samples. Give at least a hundred.")
    readout = model.parts.readout
    shapes: dict[str, Shape] = {
        item.measured: item.shape for item in model.parts.populations if not item.pools
    }
    shapes[readout.target] = readout.shape
    found = {
        name: Statistics(channels=shape[0] if per_channel and shape else 1)
        for name, shape in shapes.items()
    }
    done = 0
    for tensors in activations(model, list(shapes), samples):
        for name, values in tensors.items():
            if not np.isfinite(values).all():
                raise CalibrationError(
                    f"The ANN computes infinite or undefined values in {name!r} on the calibration "
                    "samples. Check their scaling."
                )
            found[name].update(values - _for_channels(offsets, name, values))
        done += len(tensors[readout.target])
        if progress is not None:
            progress(done, len(samples))
    return found


def activations(
    model: Model, names: list[str], samples: np.ndarray
) -> Iterator[dict[str, np.ndarray]]:
    """Run the ANN and return some of its tensors, a few samples at a time.

    Args:
        model: Canonical model.
        names: Tensors; the input may be among them.
        samples: Inputs [N, ...], as the network takes them.
    """
    (entry,) = model.parts.inputs
    runner = Runner(model.to_onnx([name for name in names if name != entry]), names)
    size = samples_at_once(model.parts.neurons, _BATCH)
    for start in range(0, len(samples), size):
        yield runner({entry: np.ascontiguousarray(samples[start : start + size], np.float32)})


def _for_channels(
    offsets: Mapping[str, np.ndarray] | None, name: str, values: np.ndarray
) -> np.ndarray | np.float32:
    if offsets is None or name not in offsets:
        return np.float32(0)
    return offsets[name].reshape(-1, *[1] * (values.ndim - 2))


def minima(model: Model, samples: np.ndarray, *, per_channel: bool = True) -> dict[str, np.ndarray]:
    """Find the smallest values that neurons of signed values have to express.

    Args:
        model: Canonical model.
        samples: Inputs [N, ...], as the network takes them.
        per_channel: One value for each channel; otherwise one for each population.

    Returns:
        Minima, [channels] or [1], by tensor.
    """
    names = [item.tensor for item in model.parts.populations if item.signed]
    if not names:
        return {}
    found: dict[str, np.ndarray] = {}
    for tensors in activations(model, names, samples):
        for name, values in tensors.items():
            channels = values.shape[1] if per_channel and values.ndim > 1 else 1
            rows = np.moveaxis(np.atleast_2d(values), 1, 0).reshape(channels, -1)
            lowest = rows.min(axis=1)
            found[name] = np.minimum(found.get(name, lowest), lowest)
    return found
