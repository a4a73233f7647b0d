"""What neurons that fire while they integrate need step by step."""

from __future__ import annotations

import numpy as np


def at(current: np.ndarray, step: int) -> np.ndarray:
    """Return the current of a step; a single one is constant."""
    return current[0 if len(current) == 1 else step]


class Clip:
    """Keeps graded spikes within the largest one, and what is taken back within what was sent."""

    def __init__(self, shape: tuple[int, ...], largest: int, *, signed: bool) -> None:
        self._largest = np.float32(largest)
        self._lowest = np.zeros(shape if signed else (), np.float32)
        self._sent = np.zeros(shape, np.float32) if signed else None

    def __call__(self, spike: np.ndarray) -> None:
        np.clip(spike, self._lowest, self._largest, out=spike)
        if self._sent is not None:
            self._sent += spike
            np.negative(self._sent, out=self._lowest)
            np.maximum(self._lowest, -self._largest, out=self._lowest)
