"""The choice of thresholds from calibration statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import numpy as np

from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.coding.base import Coding
from onnx2genn.coding.quantiser import Quantiser
from onnx2genn.errors import CalibrationError
from onnx2genn.ir.partition import Population
from onnx2genn.ir.run import Runner

_GRID = np.geomspace(0.015, 1.7, 188)  # of the upper end of a histogram, 1 to 2 largest values
CLIPPING = 2.0  # weight of what is cut off
_TAIL = 99.0  # percentile where the tail of the activations begins
_BALANCE_STEPS = 1000
# Smallest value of a code of 1: weights up to 2^28 can be divided by it.
_LEAST_STEP = 2.0**-100


def choose_all(
    populations: Iterable[Population], choose_one: Callable[[Population], np.ndarray]
) -> dict[str, np.ndarray]:
    """Choose the thresholds, or offsets, of all populations; a pool has those that it reads.

    Args:
        populations: In topological order.
        choose_one: Chooses for a population that is no pool.

    Returns:
        What was chosen by the name of the population, in shapes that broadcast to its shape.
    """
    by_tensor: dict[str, np.ndarray] = {}
    for item in populations:
        by_tensor[item.tensor] = _pooled(item, by_tensor) if item.pools else choose_one(item)
    return {item.name: by_tensor[item.tensor] for item in populations}


def _pooled(pool: Population, chosen: Mapping[str, np.ndarray]) -> np.ndarray:
    """Take what was chosen for the neurons that a pool reads, which must agree in each window."""
    if not pool.segment.nodes:
        return chosen[pool.segment.target]
    feeds = {
        name: np.broadcast_to(chosen[name], (1, *pool.segment.shapes[name]))
        for name in pool.segment.sources
    }
    ((values,),) = Runner(pool.segment.to_onnx())(feeds).values()
    largest, agree = _of_windows(values)
    if not agree:
        raise CalibrationError(
            f"Pool {pool.name!r} takes the maximum of neurons whose thresholds differ. Convert "
            "with one threshold for each population instead of each channel."
        )
    return largest.reshape(-1, *[1] * (values.ndim - 1))


def _of_windows(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return what the windows of a pool have, [channels], and whether each has but one value."""
    channels = values.reshape(len(values), -1)
    largest = channels[np.arange(len(channels)), np.abs(channels).argmax(axis=1)]
    agreeing = (channels == largest[:, None]) | (channels == 0.0)  # 0: a border of zeros
    return largest, bool(agreeing.all())


def compared_channels(populations: Iterable[Population]) -> set[str]:
    """Name the populations of which a pool compares several channels, as of a tensor [time, width].

    Their neurons need one threshold for all.

    Args:
        populations: In topological order.
    """
    origins: dict[str, set[str]] = {}  # of what a pool reads, by tensors
    found: set[str] = set()
    for item in populations:
        if not item.pools:
            origins[item.tensor] = {item.name}
            continue
        shapes = {name: item.segment.shapes[name] for name in item.segment.sources}
        origins[item.tensor] = set().union(*(origins[name] for name in shapes))
        if item.segment.nodes:
            numbers = {name: np.ones((1, *shape), np.float32) for name, shape in shapes.items()}
            for name, (channels, *rest) in shapes.items():
                numbers[name] *= np.arange(1, 1 + channels).reshape(-1, *[1] * len(rest))
            ((values,),) = Runner(item.segment.to_onnx())(numbers).values()
            if not _of_windows(values)[1]:
                found |= origins[item.tensor]
    return found


def limited(
    coding: Coding, population: Population, threshold: np.ndarray, low: np.ndarray | float = 0.0
) -> np.ndarray:
    """Lower a threshold until the highest level is the bound m of Clip(x, 0, m), if it is above.

    Args:
        coding: Coding whose highest level counts.
        population: The population.
        threshold: Its threshold, or one for each channel.
        low: Its lower end, where its levels begin, in the same way.

    Raises:
        CalibrationError: The levels are then too fine.
    """
    if population.bound is None:
        return threshold
    top = coding.quantiser.step_value(np.ones((), np.float32)) * coding.quantiser.levels
    lowered = np.minimum(threshold, np.float32((population.bound - low) / top))
    return usable(coding, lowered, population.name)


def usable(coding: Coding, found: np.ndarray, name: str) -> np.ndarray:
    """Return thresholds that float32 can compute with.

    Args:
        coding: Coding whose levels they have to be divided into.
        found: Thresholds in ANN units, [channels] or []; 0 for a channel that was silent.
        name: Of the population.

    Returns:
        Thresholds, float32. A channel that was silent, or whose levels would be too fine, takes
        the largest one of its population (1 if all were silent), so that it stays nearly silent.

    Raises:
        CalibrationError: They are infinite or undefined, or the levels of all would be too fine.
    """
    with np.errstate(over="ignore"):
        thresholds = np.asarray(found).astype(np.float32)
    if not np.isfinite(thresholds).all():
        raise CalibrationError(
            f"Population {name!r} has infinite or undefined activations, or such that float32 "
            "cannot hold. Check the scaling of the calibration samples and the weights."
        )
    fine = coding.quantiser.step_value(thresholds) < _LEAST_STEP
    largest = float(np.max(thresholds, initial=0.0))
    if largest > 0 and fine.all():
        raise CalibrationError(
            f"The activations of population {name!r} are at most about {largest:.1e}: float32 "
            f"cannot divide that into {coding.quantiser.parts:,} levels. Scale the weights or the "
            "inputs of the model up."
        )
    return np.where(fine, largest or np.float32(1), thresholds)


def widened(
    coding: Coding,
    population: Population,
    thresholds: np.ndarray,
    seen: np.ndarray,
    evidence: int,
    low: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Shrink the threshold of a channel towards a wider one, by how little evidence it has.

    A channel that few samples use shows little of its range. With n activations above 0, E the
    evidence that a channel needs, and w the bound of the activation (the largest threshold of the
    population where it has none), it is, in logarithms, the mean of both by their weights::

        θ <- θ^(n / (n + E)) w^(E / (n + E))

    Args:
        coding: Coding whose highest level is the bound.
        population: The population.
        thresholds: Thresholds of its channels, [channels].
        seen: Activations above 0 in each channel, [channels].
        evidence: E.
        low: Lower ends of their levels, [channels]; the bound is as far above them.
    """
    wide = limited(coding, population, np.full((), np.inf, np.float32), low)
    wide = np.where(np.isfinite(wide), wide, thresholds.max())
    own = np.minimum(thresholds, wide)
    weight = evidence / np.maximum(seen + evidence, 1)
    return (own * (wide / own) ** weight).astype(np.float32)


def choose(coding: Coding, statistics: Statistics, name: str) -> np.ndarray:
    """Choose the threshold of each channel by the coding's rule.

    Args:
        coding: Coding whose ``threshold`` names the rule.
        statistics: What the population received on the calibration samples.
        name: Of the population.

    Returns:
        Thresholds in ANN units, [channels]; see :func:`usable`.

    Raises:
        CalibrationError: No thresholds would be of use.
    """
    usable(coding, statistics.positive_maximum, name)  # before what is undefined spreads
    if coding.threshold in ("max", "spike-norm"):  # the latter starts from the former
        found = statistics.positive_maximum
    elif coding.threshold == "none":
        found = np.ones(statistics.channels)
    elif coding.threshold == "balance":
        found = balance(statistics)
    elif coding.threshold == "percentile":
        found = statistics.percentile(coding.percentile)
    else:
        found = least_squares(coding, statistics)
    return usable(coding, found, name)


def least_squares(coding: Coding, statistics: Statistics) -> np.ndarray:
    """Find the threshold with the least squared error of the coding's own levels.

    For each channel c, over the histogram of its activations a, it minimises
    sum w(a) (a - quantise(a, θ))^2 on a grid of θ beyond the largest activation (after Li et al.
    2021, "A free lunch from ANN", but with the quantiser that the neurons realise). What is above
    the highest level has the weight w = 2, all else 1: rounding errors of many neurons cancel in
    the next layer, while what is cut off is missing everywhere at once.

    Args:
        coding: Coding that rounds activations to its levels.
        statistics: Histogram of the activations.

    Returns:
        Thresholds, [channels].
    """
    table = _squared_errors(coding.quantiser, statistics.bins)
    top = statistics.top[:, None]
    errors = top**2 * (statistics.histogram @ table)
    # As many samples again exceed the largest value about once, by the mean excess m if the tail
    # is exponential: a squared error of 2 m^2, were the largest value the threshold.
    beyond = (statistics.positive_maximum + np.sqrt(2.0) * statistics.mean_excess(_TAIL))[:, None]
    safe = np.where(top > 0, top, 1.0)
    errors += (beyond - coding.quantiser.quantise(beyond, safe * _GRID)) ** 2
    return statistics.top * _GRID[errors.argmin(axis=1)]


@lru_cache(maxsize=4)
def _squared_errors(quantiser: Quantiser, bins: int) -> np.ndarray:
    """Return the weighted squared error that each bin makes with each threshold, [bins, grid].

    The bins of all channels lie alike, relative to the upper end of their histogram, and the
    levels scale with the threshold: one table serves them all.
    """
    centres = ((np.arange(bins) + 0.5) / bins)[:, None]
    cut = centres > quantiser.step_value(_GRID) * quantiser.levels
    return np.where(cut, CLIPPING, 1.0) * (centres - quantiser.quantise(centres, _GRID)) ** 2


def balance(statistics: Statistics) -> np.ndarray:
    """Balance thresholds locally (Bu et al. 2025, "Inference-scale complexity...").

    It descends the squared error that clipping makes, sum max(a - θ, 0)^2 over all activations a,
    from 0 and for a fixed number of steps::

        θ <- θ + 2 mean(max(a - θ, 0))

    which ends below the largest activation. The number of time steps plays no part in it.

    Args:
        statistics: Histogram of the activations.

    Returns:
        Thresholds, [channels].
    """
    width = statistics.top / statistics.histogram.shape[1]
    above = np.cumsum(statistics.histogram[:, ::-1], axis=1)[:, ::-1]
    excess = np.cumsum((statistics.histogram * statistics.centres)[:, ::-1], axis=1)[:, ::-1]
    channel = np.arange(statistics.channels)
    threshold = np.zeros(statistics.channels)
    for _ in range(_BALANCE_STEPS):
        at = np.divide(threshold, width, out=np.zeros_like(width), where=width > 0).astype(int)
        at = np.minimum(at, above.shape[1] - 1)
        clipped = excess[channel, at] - threshold * above[channel, at]
        threshold += 2 * np.maximum(clipped, 0) / statistics.count
    return np.minimum(threshold, statistics.positive_maximum)
