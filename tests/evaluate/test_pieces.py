"""Arrays cut into pieces."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.evaluate.pieces import pieces


@pytest.mark.parametrize("shape", [(5, 300, 300), (2000, 100), (3, 1), (4,), (2, 0), (0, 3)])
def test_pieces_put_together_are_the_arrays(shape: tuple[int, ...]) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, *shape))
    found = list(pieces(a, b))
    if len(a):
        assert np.array_equal(np.concatenate([item[0] for item in found]), a)
        assert np.array_equal(np.concatenate([item[1] for item in found]), b)
    else:
        assert not found


def test_pieces_are_small_but_have_whole_samples() -> None:
    assert [len(part) for (part,) in pieces(np.zeros((3, 400, 400)))] == [1, 1, 1]
    assert [len(part) for (part,) in pieces(np.zeros((3000, 100)))] == [1310, 1310, 380]
