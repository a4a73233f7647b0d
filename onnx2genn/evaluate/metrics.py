"""Metrics: how well answers fit what they should be, the ANN's answers or the true ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from onnx2genn.errors import CodingError
from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.sums import Sums
from onnx2genn.evaluate.task import (
    CLASSES,
    LABELS,
    VALUES,
    Task,
    as_classes,
    as_values,
    require_kind,
)

METRICS: dict[str, type[Metric]] = {}
"""All metrics by name."""

_TOP = 5
_TINY = 1e-12


class Metric(Sums, ABC):
    """A number that says how well answers fit, added up over batches.

    A metric of one's own is a subclass with a name. Its docstring says what it is. What it keeps
    are sums over the samples.

    Attributes:
        name: What users choose it by.
        title: What it is called in tables.
        kinds: Tasks that have such answers.
        more: Whether more is better; the best is then 1, else 0.
        units: Whether it is in the units of the output, and not a share.

    Args:
        task: What the output is for.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    more: ClassVar[bool] = True
    units: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        METRICS[cls.name] = cls

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def add(self, values: np.ndarray, wanted: np.ndarray) -> None:
        """Add answers of the next samples.

        Args:
            values: Logits [N, *shape], or values behind the heads.
            wanted: What the answers should be, [N, *positions], as ``task.targets`` returns it.
        """

    @abstractmethod
    def value(self) -> float:
        """Return the metric over all samples so far."""

    @classmethod
    def loss(cls, value: float) -> float:
        """Return how much a value of the metric is off the best, which is 0 here."""
        return 1 - value if cls.more else value


class Accuracy(Metric):
    """Share of positions with the right class, or of labels that rightly hold or not."""

    name, title, kinds = "accuracy", "accuracy", (CLASSES, LABELS)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._right, self._count = 0, 0

    def add(self, values: np.ndarray, wanted: np.ndarray) -> None:
        """Count the answers that are as wanted."""
        self._right += int((self.task.targets(values) == wanted).sum())
        self._count += wanted.size

    def value(self) -> float:
        """Return the share."""
        return self._right / self._count


class TopFive(Metric):
    """Share of positions where the right class is among the 5 of the largest scores."""

    name, title, kinds = "top-5", "top-5 accuracy", (CLASSES,)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._right, self._count = 0, 0

    def add(self, values: np.ndarray, wanted: np.ndarray) -> None:
        """Count the positions where fewer than 5 scores are above that of the class wanted."""
        axis = self.task.axis
        score = np.take_along_axis(values, np.expand_dims(wanted, axis), axis)
        self._right += int(((values > score).sum(axis=axis) < _TOP).sum())
        self._count += wanted.size

    def value(self) -> float:
        """Return the share."""
        return self._right / self._count


class Overlap(Metric):
    """Intersection over union of the positions of a class, mean over the classes that occur.

    Of labels, those that hold are one class. With nothing to find and nothing found it is 1.
    """

    name, title, kinds = "iou", "IoU", (CLASSES, LABELS)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._both, self._any = np.zeros(task.classes), np.zeros(task.classes)

    def add(self, values: np.ndarray, wanted: np.ndarray) -> None:
        """Count positions by the class that is found, that is wanted, and that is both."""
        found, wanted = self.task.targets(values).astype(np.int64), wanted.astype(np.int64)
        size = self.task.classes
        both = np.bincount(wanted[found == wanted], minlength=size)
        self._both += both
        self._any += np.bincount(found.ravel(), minlength=size) - both
        self._any += np.bincount(wanted.ravel(), minlength=size)

    def value(self) -> float:
        """Return the mean."""
        start = 1 if self.task.kind == LABELS else 0
        both, some = self._both[start:], self._any[start:]
        return float((both[some > 0] / some[some > 0]).mean()) if some.any() else 1.0


class Correlation(Metric):
    """Pearson correlation over all samples and elements; 1 where both are constant and equal."""

    name, title, kinds = "correlation", "correlation", (VALUES,)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._moments, self._equal = Moments(), True

    def add(self, values: np.ndarray, wanted: np.ndarray) -> None:
        """Add both series."""
        self._moments.add(wanted, values)
        self._equal &= np.array_equal(wanted, values)

    def value(self) -> float:
        """Return the correlation."""
        found = self._moments.correlation()
        return float(self._equal) if found is None else found


class _Errors(Metric):
    """Sums of errors."""

    name, title, kinds, more = "", "", (VALUES,), False

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._absolute, self._squares, self._moments = 0.0, 0.0, Moments()

    def add(self, values: np.ndarray, wanted: np.ndarray) -> None:
        """Add errors."""
        error = values.astype(np.float64) - wanted
        self._absolute += float(np.abs(error).sum())
        self._squares += float(np.square(error).sum())
        self._moments.add(wanted, values)

    @property
    def _rmse(self) -> float:
        return float(np.sqrt(self._squares / self._moments.count))


class MeanAbsoluteError(_Errors):
    """Mean absolute error, in the units of the output."""

    name, title, units = "mae", "mean absolute error", True

    def value(self) -> float:
        """Return the mean."""
        return self._absolute / self._moments.count


class RootMeanSquareError(_Errors):
    """Root mean square error, in the units of the output."""

    name, title, units = "rmse", "root mean square error", True

    def value(self) -> float:
        """Return the root."""
        return self._rmse


class ShareOfSpread(_Errors):
    """Root mean square error over the standard deviation of what is wanted."""

    name, title = "nrmse", "error, of the spread"

    def value(self) -> float:
        """Return the ratio."""
        variance, _ = self._moments.variances()
        return self._rmse / max(np.sqrt(variance), _TINY)


del METRICS[_Errors.name]


def metric_for(name: str) -> type[Metric]:
    """Find a metric.

    Raises:
        CodingError: There is none of that name.
    """
    if name not in METRICS:
        raise CodingError(f"There is no metric {name!r}; choose {', '.join(METRICS)}.")
    return METRICS[name]


def chosen(task: Task, name: str | None, *, labelled: bool) -> tuple[type[Metric], Task]:
    """Choose the metric of an output, and see the output as it has to be for that.

    Args:
        task: What the output is for.
        name: The metric that is asked for; by default accuracy of classes and of labels, but the
            overlap of labels at positions; of values the error.
        labelled: Whether it is known what the answers should be.

    Raises:
        CodingError: There is no metric of that name.
        DataError: The output has no such answers.
    """
    if name is None:
        name = _default(task, labelled)
    found = metric_for(name)
    if task.kind not in found.kinds:
        task = as_values(task) if VALUES in found.kinds else as_classes(task)
    require_kind(task, found.kinds, name)
    return found, task


def _default(task: Task, labelled: bool) -> str:
    if task.kind == VALUES:
        return MeanAbsoluteError.name if labelled else ShareOfSpread.name
    if task.kind == LABELS and sum(size > 1 for size in task.shape) > 1:
        return Overlap.name
    return Accuracy.name
