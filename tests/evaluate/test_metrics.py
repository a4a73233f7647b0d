"""Metrics against small sums done by hand, in parts as evaluations add them."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.errors import CodingError, DataError
from onnx2genn.evaluate.metrics import METRICS, chosen
from onnx2genn.evaluate.task import CLASSES, LABELS, VALUES, Task

ROW = Task(kind=CLASSES, shape=(3,))
IMAGE = Task(kind=CLASSES, shape=(2, 1, 4))
YES_OR_NO = Task(kind=LABELS, shape=(4,))
NUMBERS = Task(kind=VALUES, shape=(2,))


def measured(name: str, task: Task, values: object, wanted: object) -> float:
    """Add samples one by one."""
    metric = METRICS[name](task)
    answers, targets = np.array(values, np.float32), np.array(wanted)
    for index in range(len(answers)):
        metric.add(answers[index : index + 1], targets[index : index + 1])
    return metric.value()


def test_accuracy_counts_samples_positions_and_labels() -> None:
    assert measured("accuracy", ROW, [[1, 2, 0], [3, 1, 2]], [1, 2]) == 0.5
    scores = [[[[1, 0, 0, 5]], [[0, 1, 1, 2]]]]
    assert measured("accuracy", IMAGE, scores, [[[0, 1, 0, 0]]]) == 0.75
    assert measured("accuracy", YES_OR_NO, [[1, -1, 2, -2]], [[1, 1, 1, 1]]) == 0.5


def test_top_five_takes_the_five_largest() -> None:
    task = Task(kind=CLASSES, shape=(7,))
    values = np.tile(np.arange(7.0), (3, 1))
    assert measured("top-5", task, values, [6, 2, 1]) == pytest.approx(2 / 3)


def test_the_overlap_is_a_mean_over_classes_that_occur() -> None:
    scores = [[[[1, 0, 0, 5]], [[0, 1, 1, 2]]]]  # classes 0 1 1 0
    # Class 0: one of three positions; class 1: one of two.
    assert measured("iou", IMAGE, scores, [[[0, 1, 0, 0]]]) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert measured("iou", YES_OR_NO, [[1, -1, 2, -2]], [[1, 1, 0, 0]]) == pytest.approx(1 / 3)
    assert measured("iou", YES_OR_NO, [[-1, -1, -2, -2]], [[0, 0, 0, 0]]) == 1.0


def test_errors_are_in_units_and_in_shares_of_the_spread() -> None:
    values, wanted = [[1, 2], [3, 8]], [[1, 2], [3, 4]]
    assert measured("mae", NUMBERS, values, wanted) == 1.0
    assert measured("rmse", NUMBERS, values, wanted) == 2.0
    assert measured("nrmse", NUMBERS, values, wanted) == pytest.approx(2 / np.std(wanted))
    expected = np.corrcoef(np.ravel(values), np.ravel(wanted))[0, 1]
    assert measured("correlation", NUMBERS, values, wanted) == pytest.approx(expected)


def test_constants_that_are_equal_correlate() -> None:
    assert measured("correlation", NUMBERS, [[1, 1]], [[1, 1]]) == 1.0
    assert measured("correlation", NUMBERS, [[1, 1]], [[2, 2]]) == 0.0


@pytest.mark.parametrize(
    ("task", "labelled", "name"),
    [
        (ROW, False, "accuracy"),
        (YES_OR_NO, True, "accuracy"),
        (Task(kind=LABELS, shape=(1, 8, 8)), False, "iou"),
        (NUMBERS, False, "nrmse"),
        (NUMBERS, True, "mae"),
    ],
)
def test_the_metric_suits_the_task(task: Task, labelled: bool, name: str) -> None:
    metric, same = chosen(task, None, labelled=labelled)
    assert (metric.name, same) == (name, task)


def test_a_metric_says_how_an_output_is_seen() -> None:
    assert chosen(ROW, "mae", labelled=False)[1].kind == VALUES
    assert chosen(NUMBERS, "accuracy", labelled=False)[1].kind == CLASSES
    with pytest.raises(DataError, match="top-5 is for classes"):
        chosen(YES_OR_NO, "top-5", labelled=False)
    with pytest.raises(CodingError, match="accuracy, top-5"):
        chosen(ROW, "f1", labelled=False)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_says_what_it_is(metric: type) -> None:
    assert metric.__doc__
    assert metric.title and metric.kinds
