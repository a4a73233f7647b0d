"""Means and spreads of values that come in parts."""

from __future__ import annotations

import numpy as np

from onnx2genn.evaluate.pieces import dot
from onnx2genn.evaluate.sums import Sums

# Where the spread is less of the mean, single precision rounds this too much.
_LEAST_SPREAD = 1e-3


class Moments(Sums):
    """Streamed variances and Pearson correlation of two series.

    Both are shifted by their first value, which is exact for a constant. The sums of squares are
    those of deviations from the mean, merged part by part (Chan et al. 1979), so that nothing is
    lost where values are large and hardly vary::

        M = M_1 + M_2 + (m_2 - m_1)^2 n_1 n_2 / (n_1 + n_2)

    Attributes:
        count: Values of each series so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: np.ndarray = np.zeros(2)
        self._mean = np.zeros(2)
        self._squares = np.zeros((2, 2))

    def add(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add a part of both series, of the same size and in the same order."""
        if not a.size:
            return
        if not self.count:
            self._first = np.array([a.flat[0], b.flat[0]], np.float64)
        series = np.stack([a.ravel(), b.ravel()]).astype(np.float64) - self._first[:, None]
        mean = series.mean(axis=1)
        series -= mean[:, None]
        self._add(a.size, mean, series @ series.T)

    def add_single(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add a part of both series, of float32, with sums to six digits: that is faster."""
        with np.errstate(over="ignore", invalid="ignore"):
            means = [float(item.mean(dtype=np.float32)) if item.size else 0.0 for item in (a, b)]
            x, y = a - np.float32(means[0]), b - np.float32(means[1])
        xx, yy = dot(x, x), dot(y, y)
        least = [a.size * (_LEAST_SPREAD * mean) ** 2 for mean in means]
        if not (least[0] < xx < np.inf and least[1] < yy < np.inf):
            self.add(a, b)
            return
        if not self.count:
            self._first = np.array(means)
        xy = dot(x, y)
        self._add(a.size, np.array(means) - self._first, np.array([[xx, xy], [xy, yy]]))

    def merge(self, other: Moments) -> None:
        """Add another part of both series."""
        if not other.count:
            return
        if not self.count:
            self._first = other._first
        self._add(other.count, other._mean + (other._first - self._first), other._squares)

    def _add(self, count: int, mean: np.ndarray, squares: np.ndarray) -> None:
        total = self.count + count
        step = mean - self._mean
        self._squares = self._squares + squares
        self._squares += np.outer(step, step) * (self.count * count / total)
        self._mean = self._mean + step * (count / total)
        self.count = total

    def variances(self) -> tuple[float, float]:
        """Return the variance of each series."""
        a, b = self._squares.diagonal() / max(self.count, 1)
        return float(a), float(b)

    def correlation(self) -> float | None:
        """Return the correlation, -1 to 1; None where one of the series does not vary."""
        a, b = np.sqrt(self._squares.diagonal())
        if a == 0 or b == 0:
            return None
        return float(np.clip(self._squares[0, 1] / a / b, -1.0, 1.0))
