"""How ANN, forecast and spiking network answer, added up over batches, for one output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnx2genn.evaluate.metrics import Metric, chosen
from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.result import Difference, Score
from onnx2genn.evaluate.task import CLASSES, as_told, task_of
from onnx2genn.ir.outputs import Output

_MOST_DIFFERENCES = 100
_NAMES = ("ann", "forecast", "snn")

Heads = Callable[[np.ndarray], np.ndarray]
"""Makes the user's output of logits [N, *shape]."""


class Answers:
    """Compares answers with each other and, where it is known, with what they should be.

    Attributes:
        count: Samples so far.
        task: What the output is for.
        differences: The first samples for which ANN and SNN choose another class.

    Args:
        output: The output.
        steps: Time steps of a window.
        samples: Number of all samples.
        y: What the answers to all samples should be, or None.
        metric: Name of the metric; the one that suits the output if None.
        heads: What values are compared behind, where users know those only.
    """

    def __init__(
        self,
        output: Output,
        steps: int,
        samples: int,
        y: np.ndarray | None,
        metric: str | None,
        heads: Heads,
    ) -> None:
        known = task_of(output)
        if y is not None:
            known = as_told(known, samples, y)
        self._metric, self.task = chosen(known, metric, labelled=y is not None)
        self._labels = None if y is None else self.task.labels(samples, y)
        self.count = 0
        self.differences: list[Difference] = []
        self._output, self._heads = output, heads
        self._right = {name: self._metric(self.task) for name in _NAMES}
        self._right_by_step = self._metrics(steps)
        self._to_ann = {name: self._metric(self.task) for name in ("forecast", "snn")}
        self._to_ann_by_step = self._metrics(steps)
        self._squares, self._logits = 0.0, Moments()

    def _metrics(self, count: int) -> list[Metric]:
        return [self._metric(self.task) for _ in range(count)]

    def add(
        self, ann: np.ndarray, forecast: np.ndarray, snn: np.ndarray, by_step: np.ndarray
    ) -> None:
        """Add logits [N, *shape] of the next samples, those of the SNN also by step [T, ...]."""
        self._squares += float(np.square(snn - ann, dtype=np.float64).sum())
        self._logits.add(ann, snn)
        values = {"ann": ann, "forecast": forecast, "snn": snn}
        steps = list(by_step)
        if self.task.heads:
            values = {name: self._heads(item) for name, item in values.items()}
            steps = [self._heads(item) for item in steps]
        wanted = self.task.targets(values["ann"])
        for name, metric in self._to_ann.items():
            metric.add(values[name], wanted)
        for step, metric in zip(steps, self._to_ann_by_step, strict=True):
            metric.add(step, wanted)
        if self._labels is not None:
            labels = self._labels[self.count : self.count + len(ann)]
            for name, metric in self._right.items():
                metric.add(values[name], labels)
            for step, metric in zip(steps, self._right_by_step, strict=True):
                metric.add(step, labels)
        if self.task.single:
            self._add_differences(ann, snn)
        self.count += len(ann)

    def _add_differences(self, ann: np.ndarray, snn: np.ndarray) -> None:
        n = len(ann)
        of_ann, of_snn = (self.task.targets(item).reshape(n) for item in (ann, snn))
        logits = ann.reshape(n, -1)
        room = _MOST_DIFFERENCES - len(self.differences)
        for index in np.flatnonzero(of_ann != of_snn)[:room]:
            values, a, b = logits[index], int(of_ann[index]), int(of_snn[index])
            sample = self.count + int(index)
            margin = values[a] - values[b] if self.task.kind == CLASSES else abs(values[0])
            self.differences.append(
                Difference(
                    sample=sample,
                    label=None if self._labels is None else int(self._labels[sample].item()),
                    ann=a,
                    snn=b,
                    margin=float(margin),
                )
            )

    def score(self) -> Score:
        """Return how they did over all samples."""
        variance, _ = self._logits.variances()
        error, spread = np.sqrt(self._squares / self._logits.count), np.sqrt(variance)
        right = dict.fromkeys(_NAMES)
        if self._labels is not None:
            right = {name: metric.value() for name, metric in self._right.items()}
        return Score(
            output=self._output.name,
            shape=self._output.shape,
            task=self.task.kind,
            classes=self.task.classes,
            metric=self._metric.name,
            title=self._metric.title,
            more=self._metric.more,
            units=self._metric.units,
            **right,
            forecast_to_ann=self._to_ann["forecast"].value(),
            to_ann=self._to_ann["snn"].value(),
            by_step=None
            if self._labels is None
            else [item.value() for item in self._right_by_step],
            to_ann_by_step=[item.value() for item in self._to_ann_by_step],
            correlation=self._logits.correlation(),
            error=float(error),
            spread=float(spread),
        )
