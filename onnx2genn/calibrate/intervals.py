"""What populations can receive and send at most, from the weights alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.errors import CalibrationError
from onnx2genn.ir.partition import Population
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

Interval = tuple[np.ndarray, np.ndarray]
"""Smallest and largest value, in shapes that broadcast to that of a sample."""

# Beyond, curves such as Exp reach values that nobody means.
_REACH = 8.0
_POINTS = 1 << 10


def received(segment: Segment, sources: Mapping[str, Interval]) -> Interval:
    """Bound what a segment computes, by interval arithmetic.

    With sources in c - r .. c + r, an affine map f(x) = A x + b is in::

        f(c) - |A| r  ..  f(c) + |A| r

    For sources in 0 .. u this is the sum of the positive weights times u (model-based
    normalisation: Diehl et al. 2015). It is far above what real samples reach. Of maps that follow
    each other the product of their absolute weights is taken, which is more than |A|.

    Args:
        segment: Affine map.
        sources: What each source sends.
    """
    model = Runner(segment.to_onnx())
    absolute = {
        name: np.abs(array) if array.dtype.kind == "f" else array
        for name, array in segment.constants.items()
    }
    magnitudes = Runner(replace(segment, constants=absolute).to_onnx())
    centres, radii = {}, {}
    for name in segment.sources:
        low, high = (np.asarray(end, np.float32) for end in sources[name])
        shape = (1, *segment.shapes[name])
        centres[name] = np.broadcast_to((low + high) / 2, shape)
        radii[name] = np.broadcast_to((high - low) / 2, shape)
    (centre,) = model(centres).values()
    # |A| r, as the difference of |A| r + |b| and |b|.
    (above,) = magnitudes(radii).values()
    (shift,) = magnitudes({name: np.zeros_like(radius) for name, radius in radii.items()}).values()
    radius = above - shift
    return (centre - radius)[0], (centre + radius)[0]


def sent(population: Population, interval: Interval) -> Interval:
    """Guess the smallest and largest value of all neurons of a population.

    Args:
        population: Any population.
        interval: What it receives.

    Raises:
        CalibrationError: Its weights, or the values of its function, are infinite or undefined.
    """
    apart = [np.reshape(end, (population.ports, -1)) for end in interval]
    low, high = apart[0].min(axis=1), apart[1].max(axis=1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise _undefined(population)
    if population.pools:
        return low[0], high[0]
    if not population.signed:
        highest = population.bound if population.bound is not None else max(high[0], 0.0)
        return np.zeros((), np.float32), np.asarray(highest, np.float32)
    if population.multiplies:
        return _of_matrices(population, *interval)
    if population.is_function:
        low, high = np.clip((low, high), -_REACH, _REACH)
    points = _points(low, high)
    # All neurons at once: with the least and the largest of constants that they differ in.
    values = np.concatenate(
        [
            replace(population, constants=_of_one_neuron(population, end)).function(points)
            for end in (np.min, np.max)
        ]
    )
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise _undefined(population)
    return np.asarray(finite.min()), np.asarray(finite.max())


def _of_matrices(population: Population, low: np.ndarray, high: np.ndarray) -> Interval:
    """Bound a product of matrices by the extremes of their elements."""
    left, right = population.node.body[-1].inputs
    ends = [int(population.constants[f"{name}/end"][0]) for name in (left, right)]
    a, b = (
        (low.ravel()[start:end].min(), high.ravel()[start:end].max())
        for start, end in zip((0, ends[0]), ends, strict=True)
    )
    corners = np.outer(a, b) * np.float32(population.constants[f"{left}/shape"][-1])
    return corners.min(), corners.max()


def _of_one_neuron(
    population: Population, choose: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(choose(array), array.dtype) if array.size > 1 else array.reshape(())
        for name, array in population.constants.items()
    }


def _points(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Spread pre-activations over the intervals of one port, [n], or of several, [n, ports]."""
    count = round(_POINTS ** (1 / len(low)))
    lines = np.linspace(low, high, count, dtype=np.float32, axis=1)
    points = np.stack([axis.ravel() for axis in np.meshgrid(*lines)], axis=1)
    return points[:, 0] if len(low) == 1 else points


def _undefined(population: Population) -> CalibrationError:
    return CalibrationError(
        f"What population {population.name!r} receives or sends, by its weights, is infinite or "
        "undefined. Check the weights of the model, or give calibration samples."
    )
