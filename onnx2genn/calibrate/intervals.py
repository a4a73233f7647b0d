"""What populations can receive and send at most, from the weights alone."""

from __future__ import annotations

from collections.abc import Mapping
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
    low, high = interval[0].min(), interval[1].max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise _undefined(population)
    if population.pools:
        return np.asarray(low), np.asarray(high)
    if not population.signed:
        highest = population.bound if population.bound is not None else max(high, 0.0)
        return np.zeros((), np.float32), np.asarray(highest, np.float32)
    if population.is_function:
        low, high = np.clip((low, high), -_REACH, _REACH)
    values = population.function(np.linspace(low, high, _POINTS, dtype=np.float32))
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise _undefined(population)
    return np.asarray(finite.min()), np.asarray(finite.max())


def _undefined(population: Population) -> CalibrationError:
    return CalibrationError(
        f"What population {population.name!r} receives or sends, by its weights, is infinite or "
        "undefined. Check the weights of the model, or give calibration samples."
    )
