"""Samples as pictures within a page."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from onnx2genn.report.thumbnails import thumbnail

PIL = pytest.importorskip("PIL.Image")


def pixels(sample: np.ndarray) -> np.ndarray:
    found = thumbnail(sample)
    assert found is not None
    head, content = found.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(PIL.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("shape", [(8, 6), (1, 8, 6), (8, 6, 1)])
def test_one_channel(shape: tuple[int, ...]) -> None:
    sample = np.arange(48, dtype=np.float32).reshape(shape) - 7
    wanted = np.round(np.arange(48).reshape(8, 6) / 47 * 255)
    np.testing.assert_array_equal(pixels(sample), wanted)


def test_colours_first_or_last() -> None:
    last = np.random.default_rng(0).random((9, 7, 3))
    np.testing.assert_array_equal(pixels(last), pixels(np.moveaxis(last, -1, 0)))
    assert pixels(last).shape == (9, 7, 3)


def test_a_square_in_one_axis() -> None:
    assert pixels(np.arange(64)).shape == (8, 8)


def test_a_large_one_becomes_small() -> None:
    assert max(pixels(np.random.default_rng(0).random((3, 224, 160))).shape) <= 64


@pytest.mark.parametrize("shape", [(5,), (2, 2), (4, 5, 6, 7), (17, 9, 9), ()])
def test_what_is_no_picture(shape: tuple[int, ...]) -> None:
    assert thumbnail(np.zeros(shape)) is None


def test_what_is_not_finite_is_no_picture() -> None:
    assert thumbnail(np.full((8, 8), np.nan)) is None
