"""Statistics of a tensor, streamed: memory does not grow with the number of samples."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_BINS = 2048
_AT_ONCE = 2**17  # values that are counted at once: they stay in a cache


@dataclass
class Statistics:
    """Maximum and histogram of what a tensor has above an offset, for each channel.

    The histogram of a channel has equal bins from 0 to ``top``. While values come, that is a power
    of two; when a larger value arrives, it doubles and bins are merged in pairs. So the same values
    make the same statistics in any order and in any parts (:meth:`merge`). :meth:`settle` ends it.

    Attributes:
        channels: Number of channels; 1 takes the whole tensor as one.
        signed: Whether values count from the smallest one on, which :meth:`lower` has to find
            first, and not from 0.
        offset: What is subtracted from each channel first, [channels].
        count: Values seen in each channel.
        maximum: Largest value of each channel, [channels].
        histogram: Counts of the values above 0, [channels, bins].
        top: Upper end of the histogram of each channel, [channels].
    """

    channels: int
    signed: bool = False
    bins: int = _BINS
    count: int = 0
    offset: np.ndarray = field(init=False)
    maximum: np.ndarray = field(init=False)
    histogram: np.ndarray = field(init=False)
    top: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.offset = np.full(self.channels, np.inf if self.signed else 0, np.float32)
        self.maximum = np.full(self.channels, -np.inf)
        self.histogram = np.zeros((self.channels, self.bins), np.int64)
        self.top = np.zeros(self.channels)

    def lower(self, values: np.ndarray) -> None:
        """Lower the offset to the smallest value of a batch; all of them before any update."""
        self.lower_to(_by_channel(values, self.channels).min(axis=(0, 2)))

    def lower_to(self, lowest: np.ndarray) -> None:
        """Lower the offset to the smallest values of each channel, [channels]."""
        self.offset = np.minimum(self.offset, lowest)

    def update(self, values: np.ndarray) -> None:
        """Add a batch.

        Args:
            values: Tensor [N, C, ...]; with one channel the second axis has no meaning.
        """
        rows = _by_channel(values, self.channels)
        if self.signed:
            rows = rows - self.offset[:, None]
        self.maximum = np.maximum(self.maximum, rows.max(axis=(0, 2)))
        self._widen()
        scale = np.divide(self.bins, self.top, out=np.zeros(self.channels), where=self.top > 0)
        # A power of two, so that products with it are exact.
        exact = scale.astype(rows.dtype) if scale.max() < np.finfo(rows.dtype).max else scale
        size = len(rows) * rows.shape[2]
        self.count += size
        group = max(1, min(self.channels, _AT_ONCE // max(size, 1)))
        at_once = max(1, _AT_ONCE // (group * max(rows.shape[2], 1)))
        for first in range(0, self.channels, group):
            part = slice(first, first + group)
            for start in range(0, len(rows), at_once):
                found = _counts(rows[start : start + at_once, part], exact[part], self.bins)
                self.histogram[part] += found

    def merge(self, other: Statistics) -> None:
        """Add what was found in other values, of the same channels and with the same offset."""
        self.count += other.count
        self.maximum = np.maximum(self.maximum, other.maximum)
        self._widen()
        others = copy(other)  # of which arrays are copied, too
        others.maximum = self.maximum
        others._widen()
        self.histogram += others.histogram

    def settle(self) -> Statistics:
        """Return statistics whose histograms end at the largest value; no more values may come."""
        found = copy(self)
        found.top = self.positive_maximum.astype(np.float64)
        scale = np.divide(self.bins, found.top, out=np.zeros(self.channels), where=found.top > 0)
        position = self.centres
        position *= scale[:, None]
        index = position.astype(np.int32)
        np.minimum(index, self.bins - 1, out=index)
        index += np.arange(0, index.size, self.bins, dtype=np.int32)[:, None]
        # Counts beyond 2^53 do not occur, so that the sums are exact.
        sums = np.bincount(index.ravel(), self.histogram.ravel(), minlength=index.size)
        found.histogram = sums.astype(np.int64).reshape(self.histogram.shape)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Counts travel between processes in as few bytes as they need."""
        counts = self.histogram
        kind = np.min_scalar_type(counts.max(initial=0))
        return {**vars(self), "histogram": counts.astype(kind), "top": self.top.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, histogram=state["histogram"].astype(np.int64))

    def _widen(self) -> None:
        if not ((self.maximum >= self.top) & (self.maximum > 0)).any():
            return
        _, exponent = np.frexp(np.maximum(self.maximum, 0))
        needed = np.where(self.maximum > 0, np.ldexp(1.0, exponent), 0.0)
        fresh = self.top == 0
        self.top[fresh] = needed[fresh]
        while (tight := needed > self.top).any():
            pairs = self.histogram[tight].reshape(-1, self.bins // 2, 2).sum(axis=2)
            self.histogram[tight] = np.pad(pairs, ((0, 0), (0, self.bins // 2)))
            self.top[tight] *= 2

    @property
    def centres(self) -> np.ndarray:
        """Centres of the bins, [channels, bins]."""
        return (np.arange(self.bins) + 0.5) / self.bins * self.top[:, None]

    @property
    def positive_maximum(self) -> np.ndarray:
        """Largest activation of each channel, [channels]; a silent channel has 0."""
        return np.maximum(self.maximum, 0.0)

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
        over = self.centres
        over -= self.percentile(q)[:, None]
        counts = self.histogram * (over > 0)
        over *= counts
        return over.sum(axis=1) / np.maximum(counts.sum(axis=1), 1)

    def merged(self) -> Statistics:
        """Return the statistics of all channels as one, exact to the width of a bin."""
        if self.channels == 1:
            return self
        found = Statistics(channels=1, signed=self.signed, bins=self.bins)
        found.offset = np.min(self.offset, keepdims=True)
        found.count = self.channels * self.count
        shift = self.offset - found.offset
        found.maximum = np.max(self.maximum + shift, keepdims=True)
        found.top = np.max(np.maximum(self.top, self.positive_maximum + shift), keepdims=True)
        # Values at the offset of their channel are in no bin, but above the offset that is left.
        at_offset = np.where(shift > 0, self.count - self.histogram.sum(axis=1), 0)
        values = np.concatenate([self.centres + shift[:, None], shift[:, None]], axis=1)
        counts = np.concatenate([self.histogram, at_offset[:, None]], axis=1)
        position = values * (self.bins / (found.top or 1.0))
        index = np.minimum(position.astype(np.int64), self.bins - 1)
        merged = np.bincount(index.ravel(), counts.ravel(), minlength=self.bins)
        found.histogram = merged.astype(np.int64)[None]
        return found


def _counts(rows: np.ndarray, scale: np.ndarray, bins: int) -> np.ndarray:
    """Count the values above 0 in each bin, [channels, bins].

    Args:
        rows: Values below the upper ends of the histograms, [N, channels, n].
        scale: Bins for a value of 1, [channels].
        bins: Their number.
    """
    channels = len(scale)
    with np.errstate(invalid="ignore"):  # far below 0
        index = (rows * scale[:, None]).astype(np.int32)
    np.maximum(index, 0, out=index)
    index += np.arange(0, channels * bins, bins, dtype=np.int32)[:, None]
    found = np.bincount(index.ravel(), minlength=channels * bins).reshape(channels, bins)
    # All that is not above 0 went to the first bin.
    below = rows <= 0
    one = channels == 1  # which is counted faster as a whole
    found[:, 0] -= np.count_nonzero(below) if one else np.count_nonzero(below, axis=(0, 2))
    return found


def _by_channel(values: np.ndarray, channels: int) -> np.ndarray:
    """Arrange a tensor [N, C, ...] as [N, C, n]; one channel takes all of a sample."""
    return values.reshape(len(values), channels, -1)
