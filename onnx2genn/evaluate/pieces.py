"""Arrays cut into pieces that stay in a cache while several sums are made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_VALUES = 2**17  # one array of them, with double precision, takes a megabyte


def pieces(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Cut arrays [N, ...] of one shape into pieces of a few samples.

    Args:
        arrays: The arrays; at least one.
    """
    count = len(arrays[0])
    at_once = max(1, _VALUES * count // max(arrays[0].size, 1))
    for start in range(0, count, at_once):
        yield tuple(array[start : start + at_once] for array in arrays)
