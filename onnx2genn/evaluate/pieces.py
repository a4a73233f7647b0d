"""Arrays cut into pieces that stay in a cache while several sums are made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_VALUES = 2**17
_BLOCK = 2**10
# Beyond these, numbers of single precision lose digits, or all.
_SMALLEST, _LARGEST = 1e-30, 1e30


def pieces(*arrays: np.ndarray) -> Iterator[tuple[slice, tuple[np.ndarray, ...]]]:
    """Cut arrays [N, ...] of one shape into pieces of a few samples, or of a part of one sample.

    Args:
        arrays: The arrays; at least one.

    Yields:
        Which values of a sample, and these of each array, [n, values].
    """
    count = len(arrays[0])
    flat = [array.reshape(count, -1) for array in arrays] if arrays[0].size else []
    size = flat[0].shape[1] if flat else 0
    at_once = max(1, _VALUES // max(size, 1))
    for start in range(0, count if size else 0, at_once):
        for first in range(0, size, _VALUES):
            part = slice(first, min(first + _VALUES, size))
            yield part, tuple(array[start : start + at_once, part] for array in flat)


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return the sum of products of two arrays of float32, to six digits.

    Blocks are summed up with single precision, which is several times as fast, and their sums with
    double.
    """
    a, b = a.ravel(), b.ravel()
    whole = len(a) // _BLOCK * _BLOCK
    with np.errstate(over="ignore", invalid="ignore"):
        blocks = np.vecdot(a[:whole].reshape(-1, _BLOCK), b[:whole].reshape(-1, _BLOCK))
        found = float(blocks.sum(dtype=np.float64)) + float(np.vecdot(a[whole:], b[whole:]))
    if _SMALLEST < abs(found) < _LARGEST:
        return found
    if not (a.any() and b.any()):
        return 0.0
    return float((a.astype(np.float64) * b).sum())


def square(values: np.ndarray) -> float:
    """Return the sum of squares of an array of float32, to six digits."""
    return dot(values, values)
