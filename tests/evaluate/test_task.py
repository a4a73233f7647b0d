"""What outputs are for, by heads, shapes and true answers."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.errors import DataError
from onnx2genn.evaluate.task import CLASSES, LABELS, VALUES, Task, as_classes, as_told, task_of
from onnx2genn.ir.graph import Node, Shape
from onnx2genn.ir.outputs import Output


def output(shape: Shape, *heads: str, axis: int = -1) -> Output:
    """Make an output with heads along an axis."""
    nodes = [Node(op=op, inputs=("a",), outputs=("b",), attributes={"axis": axis}) for op in heads]
    return Output(name="b", shape=shape, heads=tuple(nodes))


@pytest.mark.parametrize(
    ("found", "kind", "axis", "positions"),
    [
        (output((10,)), CLASSES, 1, ()),
        (output((10, 1, 1)), CLASSES, 1, (1, 1)),
        (output((1, 10), "Softmax"), CLASSES, 2, (1,)),
        (output((21, 8, 8), "ArgMax", axis=1), CLASSES, 1, (8, 8)),
        (output((40, 97), "Softmax"), CLASSES, 2, (40,)),
        (output((20,), "Sigmoid"), LABELS, 1, (20,)),
        (output((1, 8, 8), "Sigmoid"), LABELS, 1, (1, 8, 8)),
        (output((22, 2100)), VALUES, 1, (22, 2100)),
        (output((1,)), VALUES, 1, (1,)),
        (output(()), VALUES, 1, ()),
    ],
)
def test_heads_and_shapes_tell(found: Output, kind: str, axis: int, positions: Shape) -> None:
    task = task_of(found)
    assert (task.kind, task.axis, task.positions) == (kind, axis, positions)


@pytest.mark.parametrize(
    ("shape", "y", "kind", "axis"),
    [
        ((21, 8, 8), np.zeros((4, 8, 8), int), CLASSES, 1),
        ((8, 8, 21), np.zeros((4, 8, 8), int), CLASSES, 3),
        ((12, 5), np.zeros((4, 12), int), CLASSES, 2),
        ((1,), np.array([0, 1, 1, 0]), LABELS, 1),
        ((1,), np.array([0.5, 1, 1, 0]), VALUES, 1),
        ((3,), np.array([[0, 1, 1]] * 4), LABELS, 1),
        ((3,), np.eye(3)[[0, 1, 2, 0]], CLASSES, 1),
        ((3,), np.full((4, 3), 0.3), VALUES, 1),
    ],
)
def test_true_answers_tell(shape: Shape, y: np.ndarray, kind: str, axis: int) -> None:
    task = as_told(task_of(output(shape)), 4, y)
    assert (task.kind, task.axis) == (kind, axis)
    assert task.labels(4, y).shape == (4, *task.positions)


def test_heads_are_believed_more_than_answers() -> None:
    soft = np.full((4, 3), 1 / 3)
    assert as_told(task_of(output((3,), "Softmax")), 4, soft).kind == CLASSES
    depth = as_told(task_of(output((1, 2, 2), "Sigmoid")), 4, np.full((4, 1, 2, 2), 0.3))
    assert (depth.kind, depth.heads) == (VALUES, True)


def test_one_hot_answers_at_positions() -> None:
    task = task_of(output((3, 2, 2), "Softmax", axis=1))
    wanted = np.random.default_rng(0).integers(3, size=(4, 2, 2))
    one_hot = np.moveaxis(np.eye(3)[wanted], -1, 1)
    assert np.array_equal(task.labels(4, one_hot), wanted)
    assert np.array_equal(task.labels(4, wanted), wanted)


def test_answers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"labels of shape \[2, 2\]"):
        Task(kind=CLASSES, shape=(3, 2, 2)).labels(4, np.zeros((4, 5), int))
    with pytest.raises(DataError, match="y has shape"):
        Task(kind=VALUES, shape=(3,)).labels(4, np.zeros((4, 5)))


@pytest.mark.parametrize(
    ("shape", "kind", "axis"),
    [((1, 6, 6), LABELS, 1), ((4, 6, 6), CLASSES, 1), ((12, 5), CLASSES, 2), ((), LABELS, 1)],
)
def test_values_seen_as_classes(shape: Shape, kind: str, axis: int) -> None:
    task = as_classes(Task(kind=VALUES, shape=shape))
    assert (task.kind, task.axis) == (kind, axis)
