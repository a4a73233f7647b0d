"""What the numbers of an output mean: classes, labels that hold or not, or values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnx2genn.data import labels_for, samples_for
from onnx2genn.errors import DataError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.outputs import Output

CLASSES, LABELS, VALUES = "classes", "labels", "values"
_SEQUENCE = 2  # axes
_CHOICES = ("ArgMax", "ArgMin", "Hardmax", "LogSoftmax", "Softmax", "TopK")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an output is for.

    Attributes:
        kind: ``classes``: the largest element along an axis is the answer, one for each position
            of the others. ``labels``: each element says yes above 0. ``values``: the numbers are
            the answer.
        shape: Shape of the logits without the batch axis.
        axis: Axis of the classes, the batch being axis 0.
        certain: Whether the heads of the model say so; else labels and users may know better.
        heads: Whether values are compared behind the heads, in the units of the user's output.
    """

    kind: str
    shape: Shape
    axis: int = 1
    certain: bool = False
    heads: bool = False

    @property
    def classes(self) -> int:
        """Number of classes, 2 for a label and 0 for values."""
        return {CLASSES: self.shape[self.axis - 1] if self.shape else 1, LABELS: 2}.get(
            self.kind, 0
        )

    @property
    def positions(self) -> Shape:
        """Shape of the answers for one sample."""
        if self.kind == CLASSES:
            return (*self.shape[: self.axis - 1], *self.shape[self.axis :])
        return self.shape

    @property
    def single(self) -> bool:
        """Whether a sample has one answer, which is a class."""
        return self.kind != VALUES and prod(self.positions) == 1

    def targets(self, values: np.ndarray) -> np.ndarray:
        """Return the answers [N, *positions] that values [N, *shape] stand for."""
        if self.kind == CLASSES:
            return values.argmax(axis=self.axis)
        return values > 0 if self.kind == LABELS else values

    def labels(self, samples: int, y: np.ndarray) -> np.ndarray:
        """Check what the answers should be; return it as [N, *positions].

        Args:
            samples: Number of samples.
            y: Classes or labels, also one-hot along the axis of the classes; or values.

        Raises:
            DataError: It does not fit.
        """
        if self.kind == VALUES:
            return _values_for((samples, *self.shape), y)
        if self.kind == CLASSES and np.shape(y) == (samples, *self.shape) and not self.single:
            y = np.argmax(y, axis=self.axis)  # one-hot at each position
        return labels_for(self.classes, samples, y, self.positions)


def _values_for(wanted: Shape, y: np.ndarray) -> np.ndarray:
    found = np.asarray(y)
    if found.shape[:1] != wanted[:1] or found.size != prod(wanted):
        raise DataError(
            f"y has shape {list(found.shape)}; the output has values of shape {list(wanted[1:])} "
            f"for each of {wanted[0]} samples."
        )
    return samples_for(wanted[1:], found.reshape(wanted), "y")


def task_of(output: Output) -> Task:
    """Read off the heads of an output, and off its shape, what it is for.

    Softmax, LogSoftmax and choices say which axis holds the classes, Sigmoid says that elements
    are labels; where parts have heads of their own, all are values. Without heads, a row of
    several numbers is taken for the scores of classes, as exporters leave them, and all else for
    values.
    """
    shape, rank = output.shape, len(output.shape) + 1
    if any(head.op == "Slice" for head in output.heads):
        return Task(kind=VALUES, shape=shape, heads=True)
    for head in output.heads:
        if head.op in _CHOICES:
            axis = head.attributes.get("axis", -1) % rank
            if axis > 0 and shape[axis - 1] > 1:
                return Task(kind=CLASSES, shape=shape, axis=axis, certain=True)
        if head.op == "Sigmoid":
            return Task(kind=LABELS, shape=shape, certain=True)
    wide = [axis for axis, size in enumerate(shape, 1) if size > 1]
    if len(wide) == 1:
        return Task(kind=CLASSES, shape=shape, axis=wide[0])
    return Task(kind=VALUES, shape=shape)


def as_told(task: Task, samples: int, y: np.ndarray) -> Task:
    """Let the true answers say what an output is for, where its heads do not.

    Whole numbers, one for each position, are classes; rows of 0 and 1 with several 1 are labels;
    fractions in the shape of the output are values. So are fractions for an output of labels.

    Args:
        task: What is known.
        samples: Number of samples.
        y: The true answers.
    """
    found = np.asarray(y)
    if found.dtype.kind not in "fiub" or found.shape[:1] != (samples,):
        return task
    whole = found.dtype.kind != "f" or np.array_equal(found, np.floor(found))
    binary = whole and found.size > 0 and found.min() >= 0 and found.max() <= 1
    same = found.size == samples * prod(task.shape)
    if same and not whole and not (task.certain and task.kind == CLASSES):
        return replace(task, kind=VALUES, heads=task.certain)
    if task.certain:
        return task
    if same and binary and not _is_one_hot(found, task):
        return replace(task, kind=LABELS)
    if whole and not same:
        return as_classes(task, found.shape[1:])
    return task


def _is_one_hot(y: np.ndarray, task: Task) -> bool:
    return task.kind == CLASSES and bool((y.reshape(len(y), -1).sum(axis=1) == 1).all())


def as_classes(task: Task, positions: Shape | None = None) -> Task:
    """Take an output for scores of classes, by default along the axis where they usually are.

    Args:
        task: What is known.
        positions: Shape of the answers for one sample, where it is known.

    Returns:
        The task; labels where there is a single score, and the task as it is where no axis fits.
    """
    if task.kind != VALUES:
        return task
    # Images have the channels first, sequences last.
    axes = list(range(1, len(task.shape) + 1))
    axes = axes if len(task.shape) > _SEQUENCE else axes[::-1]
    if positions is None and (not axes or task.shape[axes[0] - 1] == 1):
        return replace(task, kind=LABELS)
    for axis in axes:
        found = replace(task, kind=CLASSES, axis=axis)
        if found.classes > 1 and positions in (None, found.positions):
            return found
    return task


def as_values(task: Task) -> Task:
    """Take the numbers of an output for the answer, behind its heads if it has any."""
    return replace(task, kind=VALUES, heads=task.certain)


def require_kind(task: Task, kinds: tuple[str, ...], metric: str) -> None:
    """Refuse a metric that an output has no answers for.

    Raises:
        DataError: The task is of none of the kinds.
    """
    if task.kind not in kinds:
        raise DataError(
            f"The metric {metric} is for {' or '.join(kinds)}, but an output of shape "
            f"{list(task.shape)} has {task.kind}."
        )
