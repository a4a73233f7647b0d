"""Both ends of the range that the levels of a channel cover."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.calibrate.thresholds import CLIPPING
from onnx2genn.coding.base import Coding
from onnx2genn.coding.quantiser import Quantiser

# Of the upper end of a histogram: lower ends, of which the first is 0, and thresholds.
_LOWS = 0.85 * np.linspace(0, 1, 34)[:-1] ** 1.5
_THRESHOLDS = np.geomspace(0.03, 1.1, 64)
_FEWEST = 500  # activations of a channel that show where they begin
_GAIN = 0.98  # of the error: a lower end that saves less is left at 0
_ROUNDING = 1.001  # of float32


def raised(
    coding: Coding, statistics: Statistics, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Let the levels of a channel begin where its activations begin, if that lowers the error.

    Activations of many channels hardly ever come near 0: those of a filter that answers to every
    image, or behind a large bias. Levels are then better spent between a lower end o and o + θ,
    and with fewer spikes: a neuron sends what exceeds o, and o is a constant current in its
    targets. Both ends have the least squared error, as a threshold alone has in
    :func:`onnx2genn.calibrate.thresholds.least_squares`; what lies below o weighs as much as what
    is cut off above.

    Args:
        coding: Coding that rounds activations to its levels.
        statistics: What the population has above its offset.
        thresholds: The best thresholds of levels that begin at that offset, [channels].

    Returns:
        Lower ends above that offset, 0 where none is better, and thresholds; both [channels].
    """
    lows, found = np.zeros(statistics.channels, np.float32), thresholds.astype(np.float32)
    if statistics.count < _FEWEST:
        return lows, found
    table, floor = _squared_errors(coding.quantiser, statistics.bins)
    at_offset = statistics.count - statistics.histogram.sum(axis=1, keepdims=True)
    counts = np.concatenate([at_offset, statistics.histogram], axis=1).astype(np.float32)
    # Few channels can do better at all, and only of these all pairs are tried.
    wanted = _GAIN * (counts @ table[:, : len(_THRESHOLDS)]).min(axis=1)
    hopeful = (statistics.top > 0) & ((counts @ floor).min(axis=1) < _ROUNDING * wanted)
    channels = np.flatnonzero(hopeful)
    errors = (counts[channels] @ table).reshape(-1, len(_LOWS), len(_THRESHOLDS))
    least = errors.min(axis=2)
    low = least.argmin(axis=1)
    better = least.min(axis=1, initial=np.inf) < wanted[channels]
    for channel, errors_of, at in zip(channels[better], errors[better], low[better], strict=True):
        lows[channel] = _LOWS[at] * statistics.top[channel]
        found[channel] = _THRESHOLDS[errors_of[at].argmin()] * statistics.top[channel]
    return lows, found


@lru_cache(maxsize=2)
def _squared_errors(quantiser: Quantiser, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted squared error of each bin, and before them of the offset, [1 + bins, n].

    The second axis has all thresholds with each lower end. What a bin has at least with each lower
    end but 0, [1 + bins, lower ends - 1], comes with it.
    """
    values = np.concatenate([[0.0], (np.arange(bins) + 0.5) / bins])[:, None]
    above = values - np.repeat(_LOWS, len(_THRESHOLDS))
    thresholds = np.tile(_THRESHOLDS, len(_LOWS))
    cut = (above < 0) | (above > quantiser.step_value(thresholds) * quantiser.levels)
    errors = (above - quantiser.quantise(above, thresholds)) ** 2
    table = (np.where(cut, CLIPPING, 1.0) * errors).astype(np.float32)
    least = table.reshape(-1, len(_LOWS), len(_THRESHOLDS)).min(axis=2)
    return table, np.ascontiguousarray(least[:, 1:])
