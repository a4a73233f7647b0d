"""How the decoded activity of a population answers the ANN's activation, in equal bins."""

from __future__ import annotations

import numpy as np

from onnx2genn.evaluate.deviation import Response
from onnx2genn.evaluate.sums import Sums

_BINS = 32
# Many activations are 0: adding one after the other to the same bin would wait for each.
_COPIES = 8


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
        within = np.clip(above.ravel() * np.float32(_BINS / end), 0, _BINS - 1)
        place = within.astype(np.intp)
        place += np.tile(_BINS * np.arange(_COPIES), -(-len(place) // _COPIES))[: len(place)]
        counts = np.bincount(place, minlength=_BINS * _COPIES)
        sums = np.bincount(place, decoded.ravel().astype(np.float64), minlength=_BINS * _COPIES)
        self._counts += counts.reshape(_COPIES, _BINS).sum(axis=0)
        self._sums += sums.reshape(_COPIES, _BINS).sum(axis=0)

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
