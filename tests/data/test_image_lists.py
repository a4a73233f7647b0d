"""Tables of images with labels, folders of them, and images of another size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx2genn.data import load_samples
from onnx2genn.data.image_lists import listed
from onnx2genn.errors import DataError

IMAGE = pytest.importorskip("PIL.Image")
ENTRIES = {"in": (3, 4, 5)}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images in a folder, which are 0, 40 and 80 bright."""
    (tmp_path / "images").mkdir()
    for index in range(3):
        pixels = np.full((4, 5, 3), 40 * index, np.uint8)
        IMAGE.fromarray(pixels).save(tmp_path / "images" / f"{index}.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "images/2.png,7\nimages/0.png,1\n\nimages/1.png,0\n"),
        ("a.csv", "\ufefflabel,note,image\n7,,images/2.png\n1,x,images/0.png\n0,,images/1.png\n"),
        ("a.TSV", "Image\tLabel\nimages/2.png\t7\nimages/0.png\t1\nimages/1.png\t0\n"),
    ],
)
def test_a_table_of_images(images: Path, name: str, text: str) -> None:
    (images / name).write_text(text, "utf-8")
    found = load_samples(images / name, ENTRIES)
    assert found.y is not None
    assert found.y.tolist() == [7, 1, 0]
    assert found.names == ()
    assert np.allclose(found.x[:, 0, 0, 0], [80 / 255, 0, 40 / 255])
    assert len(load_samples(images / name, ENTRIES, limit=2).x) == 2


def test_labels_by_name(images: Path) -> None:
    (images / "a.csv").write_text("images/0.png,dog\nimages/1.png,cat\nimages/2.png,dog\n")
    found = listed(images / "a.csv", limit=1)  # all names are read, for their order
    assert (found.labels, found.names) == ([1], ("cat", "dog"))


def test_images_alone(images: Path) -> None:
    (images / "a.csv").write_text("images/0.png\nimages/1.png\n")
    assert load_samples(images / "a.csv", ENTRIES).y is None


def test_folders_have_names(images: Path) -> None:
    (images / "empty").mkdir()
    found = listed(images)
    assert (found.labels, found.names) == ([1, 1, 1], ("empty", "images"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images"),
        ("image,label\n", "lists no images"),
        ("images/0.png,1\nimages/9.png,2\n", "line 2: there is no image"),
        ("images/0.png,1\nimages/1.png,x\n", "line 2: the label 'x' is no whole number"),
        ("images/0.png,1\nimages/1.png,-1\n", "line 2: the label '-1'"),
        ("images/0.png,1\nimages/1.png,\n", "line 2: the label ''"),
        ("images/0.png,\n", "the label ''"),
        ("image,label\nimages/0.png\n", "line 2: it has 1 cells; 2"),
        ("label,height\n1,2\n", "none is called 'image'"),
        ('"images/0.png,1\n', "damaged"),
        ("a.csv,1\n", "cannot be read"),
    ],
)
def test_tables_that_cannot_be_used(images: Path, text: str, message: str) -> None:
    (images / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_samples(images / "a.csv", ENTRIES)


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
@pytest.mark.parametrize(
    ("resize", "left", "right"),
    # Left half black, right half white, 8 x 20 pixels: the middle is as wide as it is high.
    [("stretch", 0, 1), ("crop", 0, 1), (4, 0, 1)],
)
def test_images_of_another_size(
    tmp_path: Path, mode: str, resize: str | int, left: float, right: float
) -> None:
    pixels = np.zeros((8, 20), np.uint16)
    pixels[:, 10:] = 65535
    image = IMAGE.fromarray(pixels)
    if mode == "RGB":
        image = IMAGE.fromarray((pixels // 257).astype(np.uint8)).convert("RGB")
    image.save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("a.png,0\n")
    found = load_samples(tmp_path / "a.csv", {"in": (3, 4, 4)}, resize=resize).x[0]
    assert found.shape == (3, 4, 4)
    assert found[0, :, 0] == pytest.approx(left, abs=0.05)
    assert found[0, :, -1] == pytest.approx(right, abs=0.05)
    # Halved and cut, the border is as sharp as before; stretched, it is where it was.
    assert found[0, :, 1] == pytest.approx(0, abs=0.3)


def test_an_image_that_is_scaled_to_too_little(tmp_path: Path) -> None:
    IMAGE.fromarray(np.zeros((8, 20), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("a.png\n")
    with pytest.raises(DataError, match="Resize to more"):
        load_samples(tmp_path / "a.csv", {"in": (1, 6, 6)}, resize=4)
    with pytest.raises(DataError, match="--resize"):
        load_samples(tmp_path / "a.csv", {"in": (1, 6, 6)})
