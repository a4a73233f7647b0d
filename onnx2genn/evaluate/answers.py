"""How ANN, forecast and spiking network answer, added up over batches."""

from __future__ import annotations

import numpy as np

from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.result import Difference

_MOST_DIFFERENCES = 100


def predicted_classes(logits: np.ndarray) -> np.ndarray:
    """Choose classes from logits [..., classes]; a single logit says yes above 0."""
    return (logits[..., 0] > 0).astype(np.int64) if logits.shape[-1] == 1 else logits.argmax(-1)


class Answers:
    """Counts how often they agree with each other and with the labels.

    Attributes:
        count: Samples so far.
        differences: The first samples that ANN and SNN answer differently.

    Args:
        steps: Time steps of a window.
        labels: Labels of all samples, or None.
    """

    def __init__(self, steps: int, labels: np.ndarray | None) -> None:
        self.count = 0
        self.differences: list[Difference] = []
        self._labels = labels
        self._right = dict.fromkeys(("ann", "forecast", "snn"), 0)
        self._agreed = 0
        self._right_by_step = np.zeros(steps)
        self._agreed_by_step = np.zeros(steps)
        self._error = 0.0
        self._logits = Moments()

    def add(
        self, ann: np.ndarray, forecast: np.ndarray, snn: np.ndarray, by_step: np.ndarray
    ) -> None:
        """Add logits [N, ...] of the next samples, those of the SNN also by step [T, N, ...]."""
        n = len(ann)
        ann, forecast, snn = (item.reshape(n, -1) for item in (ann, forecast, snn))
        chosen = {
            "ann": predicted_classes(ann),
            "forecast": predicted_classes(forecast),
            "snn": predicted_classes(snn),
        }
        over_time = predicted_classes(by_step.reshape(len(by_step), n, -1))
        self._agreed += int((chosen["snn"] == chosen["ann"]).sum())
        self._agreed_by_step += (over_time == chosen["ann"]).sum(axis=1)
        self._error += float(np.square(snn - ann, dtype=np.float64).sum())
        self._logits.add(ann, snn)
        self._add_differences(ann, chosen["ann"], chosen["snn"])
        if self._labels is not None:
            labels = self._labels[self.count : self.count + n]
            for key, answer in chosen.items():
                self._right[key] += int((answer == labels).sum())
            self._right_by_step += (over_time == labels).sum(axis=1)
        self.count += n

    def _add_differences(self, logits: np.ndarray, ann: np.ndarray, snn: np.ndarray) -> None:
        room = _MOST_DIFFERENCES - len(self.differences)
        for index in np.flatnonzero(ann != snn)[:room]:
            values, a, b = logits[index], int(ann[index]), int(snn[index])
            sample = self.count + int(index)
            self.differences.append(
                Difference(
                    sample=sample,
                    label=None if self._labels is None else int(self._labels[sample]),
                    ann=a,
                    snn=b,
                    margin=abs(float(values[0]))
                    if len(values) == 1
                    else float(values[a] - values[b]),
                )
            )

    def accuracy(self, of: str) -> float | None:
        """Return the accuracy of ``ann``, ``forecast`` or ``snn``; None without labels."""
        return None if self._labels is None else self._right[of] / self.count

    @property
    def accuracy_by_step(self) -> list[float] | None:
        """Accuracy of the SNN after each step; None without labels."""
        return None if self._labels is None else (self._right_by_step / self.count).tolist()

    @property
    def agreement(self) -> float:
        """Share of samples for which SNN and ANN choose the same class."""
        return self._agreed / self.count

    @property
    def agreement_by_step(self) -> list[float]:
        """Likewise after each step."""
        return (self._agreed_by_step / self.count).tolist()

    @property
    def logits_error(self) -> float:
        """Root mean square of the logits' error over the standard deviation of the ANN's."""
        variance, _ = self._logits.variances()
        return float(np.sqrt(self._error / self._logits.count / max(variance, 1e-12)))
