"""Data sets as frameworks have them, by what they give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn.errors import DataError

X = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
Y = np.arange(6)


class MapStyle:
    """As torch's: read by number, with a length, and no iterator of its own."""

    def __init__(self, labelled: bool = True) -> None:
        self.labelled = labelled

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return (X[index], int(Y[index])) if self.labelled else X[index]


class Batches:
    """As a DataLoader or a batched tf.data.Dataset: iterated, the last batch is smaller."""

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(X), 4):
            yield X[start : start + 4], Y[start : start + 4]


def test_one_by_one_in_batches_and_by_name() -> None:
    rows = [{"image": x, "label": y} for x, y in zip(X, Y, strict=True)]
    for dataset in (MapStyle(), Batches(), rows, ({**row} for row in rows)):
        x, y = onnx2genn.samples_from(dataset)
        assert np.array_equal(x, X)
        assert y is not None
        assert np.array_equal(y, Y)


def test_only_the_first() -> None:
    for dataset in (MapStyle(), Batches()):
        x, y = onnx2genn.samples_from(dataset, 5)
        assert np.array_equal(x, X[:5])
        assert y is not None
        assert np.array_equal(y, Y[:5])
    endless = (item for _ in iter(int, 1) for item in X)
    assert len(onnx2genn.samples_from(endless, 9).x) == 9


def test_without_labels() -> None:
    x, y = onnx2genn.samples_from(MapStyle(labelled=False))
    assert np.array_equal(x, X)
    assert y is None
    assert np.array_equal(onnx2genn.samples_from([X[:4], X[4:]], batched=True).x, X)


def test_names_choose_among_many() -> None:
    rows = [{"id": 3, "img": x, "fine": y, "coarse": 0} for x, y in zip(X, Y, strict=True)]
    with pytest.raises(DataError, match=r"has id, img, fine, coarse: say which"):
        onnx2genn.samples_from(rows)
    x, y = onnx2genn.samples_from(rows, names=("img", "fine"))
    assert np.array_equal(x, X)
    assert y is not None
    assert np.array_equal(y, Y)
    with pytest.raises(DataError, match="has no image; it has id"):
        onnx2genn.samples_from(rows, names=["image"])


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ([], "no samples"),
        (3, "int is no data set"),
        ([X[0], X[0, 0]], r"that of number 1 is \[2\], and that of the first \[2, 2\]"),
        ([(X[0], 1, 2)], "has 3 parts"),
    ],
)
def test_what_is_no_data_set_is_refused(dataset: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        onnx2genn.samples_from(dataset)


def test_a_network_takes_them(digits: Example) -> None:
    pairs = list(zip(digits.x_test[:60], digits.y_test[:60], strict=True))
    x, y = onnx2genn.samples_from(pairs)
    network = onnx2genn.convert(digits.model, onnx2genn.samples_from(digits.x_train[:100]).x)
    found = network.evaluate(x, y, backend="onnxruntime")
    assert found.samples == 60
    assert found.snn_accuracy == np.mean(network.predict(x).argmax(1) == digits.y_test[:60])
