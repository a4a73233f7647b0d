"""Samples and labels: what is accepted, and what the message says where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx2genn.data import labels_for, load_samples, samples_for
from onnx2genn.errors import DataError

SHAPE = (3, 4, 5)
ENTRIES = {"in": SHAPE}


def test_samples_become_contiguous_float32() -> None:
    x = samples_for(SHAPE, np.asfortranarray(np.full((2, *SHAPE), 7, np.uint8)))
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert (x == 7).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 4, 5, 3)), r"x\.transpose\(0, 3, 1, 2\)"),
        (np.zeros(SHAPE), r"x\[None\]"),
        (np.zeros((2, 60)), r"x\.reshape\(-1, 3, 4, 5\)"),
        (np.zeros((2, 3, 4, 6)), r"shape \[2, 3, 4, 6\].*\[3, 4, 5\]"),
        (np.zeros((0, *SHAPE)), "no samples"),
        (np.full((2, *SHAPE), "a"), "type <U1"),
        (np.full((2, *SHAPE), np.nan), "2 of 2 samples"),
        (np.full((2, *SHAPE), 1e300), "2 of 2 samples"),
        (np.zeros((2, *SHAPE), complex), "type complex128"),
        (np.float32(1), "no samples"),
        ([[1.0], [1.0, 2.0]], "no array of numbers"),
        (None, "type object"),
    ],
)
def test_samples_that_do_not_fit_are_explained(x: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        samples_for(SHAPE, x)


def test_channels_first_where_the_model_wants_them_last() -> None:
    with pytest.raises(DataError, match=r"x\.transpose\(0, 2, 3, 1\)"):
        samples_for((4, 5, 3), np.zeros((2, 3, 4, 5)))


@pytest.mark.parametrize("y", [[0, 2, 1], [[0], [2], [1]], [0.0, 2.0, 1.0], np.eye(3)[[0, 2, 1]]])
def test_labels_in_every_usual_form(y: object) -> None:
    assert labels_for(3, 3, np.asarray(y)).tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1], "2.* for 3 samples"),
        ([0, 1, 3], "0 to 3; the model has 3 classes"),
        ([-1, 0, 1], "from -1"),
        ([0.5, 1, 2], "whole numbers"),
        ([np.nan, 1, 2], "NaN"),
        ([np.inf, 1, 2], "infinite"),
        ([-(2**63), 1, 2], "from -9.22337e\\+18"),
        ([2.0**70, 1, 2], "to 1.18059e\\+21"),
        ([[0, np.nan, 1]] * 3, "NaN"),
        (1, "one label for each"),
        (["a", "b", "c"], "whole numbers"),
    ],
)
def test_labels_that_do_not_fit_are_explained(y: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        labels_for(3, 3, np.asarray(y))


def test_arrays_from_files(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((5, *SHAPE), dtype=np.float32)
    np.savez(tmp_path / "both.npz", x=x, y=np.arange(5))
    np.save(tmp_path / "only.npy", x)
    both = load_samples(tmp_path / "both.npz", ENTRIES, limit=3)
    assert np.array_equal(both.x, x[:3])
    assert both.y is not None
    assert both.y.tolist() == [0, 1, 2]
    only = load_samples(tmp_path / "only.npy", ENTRIES)
    assert np.array_equal(only.x, x)
    assert only.y is None


def test_files_that_cannot_be_used_are_explained(tmp_path: Path) -> None:
    np.savez(tmp_path / "names.npz", images=np.zeros((1, *SHAPE)))
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name, message in {
        "names.npz": "has the arrays images.*none is called x",
        "text.npz": "cannot be read as an array",
        "object.npy": "Python objects, not numbers",
        "missing.npz": "There is no data file",
    }.items():
        with pytest.raises(DataError, match=message):
            load_samples(tmp_path / name, ENTRIES)


def _write_images(folder: Path, classes: int, each: int, size: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for index in range(each):
            pixels = np.full((*size, 3), 40 * label + index, np.uint8)
            image.fromarray(pixels).save(folder / f"class{label}" / f"{index}.png")


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5, 3)])
def test_images_in_the_layout_of_the_model(tmp_path: Path, shape: tuple[int, ...]) -> None:
    _write_images(tmp_path, classes=3, each=2, size=(4, 5))
    samples = load_samples(tmp_path, {"in": shape}, limit=4)
    assert samples.x.shape == (4, *shape)
    assert samples.y is not None
    assert samples.y.tolist() == [0, 1, 2, 0]
    assert np.allclose(samples.x[2], 80 / 255)


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    _write_images(tmp_path, classes=1, each=1, size=(6, 6))
    with pytest.raises(DataError, match="6 x 6 pixels; the model takes 4 x 5"):
        load_samples(tmp_path, ENTRIES)
    with pytest.raises(DataError, match="no images of 1 or 3 channels"):
        load_samples(tmp_path, {"in": (10,)})


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one folder for each class"):
        load_samples(tmp_path, ENTRIES)
