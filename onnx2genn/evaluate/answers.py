"""How ANN, forecast and spiking network answer, added up over parts of the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnx2genn.evaluate.differences import Different
from onnx2genn.evaluate.metrics import Metric, chosen
from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.result import Difference, Score
from onnx2genn.evaluate.sums import Sums
from onnx2genn.evaluate.task import Task, as_told, task_of
from onnx2genn.ir.outputs import Output

_NAMES = ("ann", "forecast", "snn")

Heads = Callable[[np.ndarray], np.ndarray]
"""Makes the user's output of logits [N, *shape]."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of one output.

    Attributes:
        output: The output.
        task: What it is for.
        metric: How well answers fit.
        steps: Time steps of a window.
        labelled: Whether it is known what the answers should be.
    """

    output: Output
    task: Task
    metric: type[Metric]
    steps: int
    labelled: bool


def question(
    output: Output, steps: int, samples: int, y: np.ndarray | None, metric: str | None
) -> tuple[Question, np.ndarray | None]:
    """Find out what is asked of an output.

    Args:
        output: The output.
        steps: Time steps of a window.
        samples: Number of samples.
        y: What the answers should be, or None.
        metric: Name of the metric; the one that suits the output if None.

    Returns:
        The question, and what the answers should be as the metric takes it.

    Raises:
        CodingError: There is no such metric.
        DataError: The answers or the metric do not fit the output.
    """
    known = task_of(output)
    if y is not None:
        known = as_told(known, samples, y)
    found, task = chosen(known, metric, labelled=y is not None)
    labels = None if y is None else task.labels(samples, y)
    asked = Question(
        output=output, task=task, metric=found, steps=steps, labelled=labels is not None
    )
    return asked, labels


_MOST_CLASSES = 200
_MOST_PAIRS = 100


class Answers(Sums):
    """Compares answers with each other and, where it is known, with what they should be.

    Attributes:
        count: Samples so far.
    """

    def __init__(self, asked: Question) -> None:
        def metrics(count: int) -> list[Metric]:
            return [asked.metric(asked.task) for _ in range(count)]

        self.count = 0
        self._right = dict(zip(_NAMES, metrics(len(_NAMES)), strict=True))
        self._right_by_step = metrics(asked.steps)
        self._to_ann = dict(zip(_NAMES[1:], metrics(len(_NAMES) - 1), strict=True))
        self._to_ann_by_step = metrics(asked.steps)
        self._squares, self._logits = 0.0, Moments()
        self._different = Different()
        classes = asked.task.classes if asked.task.single else 0
        self._confusion = np.zeros((classes, classes) if classes <= _MOST_CLASSES else (0, 0), int)
        self._asked = asked

    def add(
        self,
        ann: np.ndarray,
        forecast: np.ndarray,
        snn: np.ndarray,
        by_step: np.ndarray,
        *,
        labels: np.ndarray | None,
        heads: Heads,
        first: int,
    ) -> None:
        """Add the next samples.

        Args:
            ann: Logits of the ANN, [N, *shape].
            forecast: Those of the forecast.
            snn: Those of the SNN.
            by_step: Those of the SNN after each step, [T, N, *shape].
            labels: What the answers should be, or None.
            heads: What values are compared behind, where users know those only.
            first: Number of the first sample in the data.
        """
        task = self._asked.task
        self._squares += float(np.square(snn - ann, dtype=np.float64).sum())
        self._logits.add(ann, snn)
        values, steps = {"ann": ann, "forecast": forecast, "snn": snn}, list(by_step)
        if task.heads:
            values = {name: heads(item) for name, item in values.items()}
            steps = [heads(item) for item in steps]
        _add(self._to_ann, self._to_ann_by_step, values, steps, task.targets(values["ann"]))
        if labels is not None:
            _add(self._right, self._right_by_step, values, steps, labels)
        if task.single:
            self._different.add(ann, snn, task, labels, first)
            if self._confusion.size:
                of_ann, of_snn = (task.targets(item).ravel().astype(int) for item in (ann, snn))
                np.add.at(self._confusion, (of_ann, of_snn), 1)
        self.count += len(ann)

    @property
    def differences(self) -> list[Difference]:
        """The first samples for which ANN and SNN choose another class."""
        return self._different.found()

    @property
    def confusion(self) -> list[tuple[int, int, int]]:
        """Which class of the ANN became which other one, and how often; the most frequent first."""
        other = self._confusion * (1 - np.eye(len(self._confusion), dtype=int))
        pairs = [(int(a), int(b), int(other[a, b])) for a, b in np.argwhere(other)]
        return sorted(pairs, key=lambda pair: -pair[2])[:_MOST_PAIRS]

    def score(self) -> Score:
        """Return how they did over all samples."""
        asked = self._asked
        variance, _ = self._logits.variances()
        error, spread = np.sqrt(self._squares / self._logits.count), np.sqrt(variance)
        known = asked.labelled
        right = {name: item.value() if known else None for name, item in self._right.items()}
        return Score(
            output=asked.output.name,
            shape=asked.output.shape,
            task=asked.task.kind,
            classes=asked.task.classes,
            metric=asked.metric.name,
            title=asked.metric.title,
            more=asked.metric.more,
            units=asked.metric.units,
            **right,
            forecast_to_ann=self._to_ann["forecast"].value(),
            to_ann=self._to_ann["snn"].value(),
            by_step=[item.value() for item in self._right_by_step] if known else None,
            to_ann_by_step=[item.value() for item in self._to_ann_by_step],
            correlation=self._logits.correlation(),
            error=float(error),
            spread=float(spread),
        )


def _add(
    metrics: Mapping[str, Metric],
    by_step: Sequence[Metric],
    values: Mapping[str, np.ndarray],
    steps: Sequence[np.ndarray],
    wanted: np.ndarray,
) -> None:
    for name, metric in metrics.items():
        metric.add(values[name], wanted)
    for metric, step in zip(by_step, steps, strict=True):
        metric.add(step, wanted)
