"""The samples that ANN and SNN answer differently."""

from __future__ import annotations

import numpy as np

from onnx2genn.evaluate.result import Difference
from onnx2genn.evaluate.sums import Sums
from onnx2genn.evaluate.task import CLASSES, Task

_MOST = 100


class Different(Sums):
    """The first samples for which ANN and SNN choose another class."""

    def __init__(self) -> None:
        self._count = 0
        # Sample, label (not a number if it is not known), classes of ANN and SNN, margin.
        self._rows = np.zeros((_MOST, 5))

    def add(
        self, ann: np.ndarray, snn: np.ndarray, task: Task, labels: np.ndarray | None, first: int
    ) -> None:
        """Add the next samples.

        Args:
            ann: Logits of the ANN, [N, *shape].
            snn: Those of the SNN.
            task: What the output is for; each sample has one answer.
            labels: What the answers should be, or None.
            first: Number of the first sample in the data.
        """
        n = len(ann)
        of_ann, of_snn = (task.targets(item).reshape(n).astype(int) for item in (ann, snn))
        logits = ann.reshape(n, -1)
        known = np.full(n, np.nan) if labels is None else labels.reshape(n)
        for index in np.flatnonzero(of_ann != of_snn):
            values, a, b = logits[index], of_ann[index], of_snn[index]
            margin = values[a] - values[b] if task.kind == CLASSES else abs(values[0])
            self._append(np.array([first + index, known[index], a, b, margin], np.float64))

    def merge(self, other: Different) -> None:
        """Add those of another part of the samples."""
        for row in other._rows[: other._count]:
            self._append(row)

    def _append(self, row: np.ndarray) -> None:
        if self._count < _MOST:
            self._rows[self._count] = row
            self._count += 1

    def found(self) -> list[Difference]:
        """Return them in the order of the samples."""
        return [
            Difference(
                sample=int(sample),
                label=None if np.isnan(label) else int(label),
                ann=int(ann),
                snn=int(snn),
                margin=float(margin),
            )
            for sample, label, ann, snn, margin in self._rows[: self._count]
        ]
