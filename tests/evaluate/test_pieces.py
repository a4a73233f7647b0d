"""Arrays cut into pieces, and sums of products."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.evaluate.pieces import dot, pieces, square


@pytest.mark.parametrize("shape", [(5, 300, 500), (2000, 100), (3, 1), (4,), (2, 0), (0, 3)])
def test_pieces_put_together_are_the_arrays(shape: tuple[int, ...]) -> None:
    arrays = np.random.default_rng(0).normal(size=(2, *shape))
    found = np.full((2, shape[0], int(np.prod(shape[1:]))), np.nan)
    start = 0
    for part, both in pieces(*arrays):
        for array, values in zip(found, both, strict=True):
            array[start : start + len(values), part] = values
        start += len(both[0]) if part.stop == found.shape[-1] else 0
    assert np.array_equal(found.reshape(arrays.shape), arrays)


def test_pieces_are_of_some_samples_or_of_a_part_of_one() -> None:
    sizes = [values.shape for _, (values,) in pieces(np.zeros((2, 400, 400)))]
    assert sizes == [(1, 131072), (1, 28928)] * 2
    assert [len(values) for _, (values,) in pieces(np.zeros((1500, 100)))] == [1310, 190]


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
@pytest.mark.parametrize("count", [0, 3, 1024, 50_000])
def test_sums_of_products_have_six_digits(count: int, scale: float) -> None:
    a, b = np.random.default_rng(0).normal(1, 1, (2, count)).astype(np.float32) * np.float32(scale)
    assert dot(a, b) == pytest.approx(float(a.astype(np.float64) @ b), rel=1e-6)
    assert square(a) == pytest.approx(float(np.square(a, dtype=np.float64).sum()), rel=1e-6)
