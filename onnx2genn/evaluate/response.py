"""How the decoded activity of a population answers the ANN's activation, in equal bins."""

from __future__ import annotations

import numpy as np

from onnx2genn.evaluate.deviation import Response
from onnx2genn.evaluate.sums import Sums

_BINS = 32


class Responses(Sums):
    """Counts activations above the offset in bins, and averages what was decoded in each.

    What is above the upper end counts in the last bin.
    """

    def __init__(self) -> None:
        self._counts: np.ndarray = np.zeros(_BINS, np.int64)
        self._sums: np.ndarray = np.zeros(_BINS)

    def add(self, above: np.ndarray, decoded: np.ndarray, end: float) -> None:
        """Add activations and decoded values, both above the offset, in the same order.

        Args:
            above: Activations of the ANN.
            decoded: What was decoded.
            end: Upper end of the last bin, always the same.
        """
        place = (above.ravel() * (_BINS / end)).astype(np.int64)
        np.clip(place, 0, _BINS - 1, out=place)
        self._counts += np.bincount(place, minlength=_BINS)
        self._sums += np.bincount(place, decoded.ravel().astype(np.float64), minlength=_BINS)

    def result(self, end: float) -> Response:
        """Return what was found, up to the same end."""
        return Response(
            end=end,
            counts=self._counts.tolist(),
            decoded=[
                float(total / count) if count else None
                for total, count in zip(self._sums, self._counts, strict=True)
            ],
        )
