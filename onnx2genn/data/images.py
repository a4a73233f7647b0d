"""Folders of images, one folder for each class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.data.reading import reading, require_room
from onnx2genn.errors import DataError
from onnx2genn.ir.graph import Shape

if TYPE_CHECKING:
    from PIL.Image import Image

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff"}
_FLOAT_BYTES = 4
_WHITE = {"I;16": 65535, "I;16B": 65535, "I;16L": 65535, "I;16N": 65535}


def load_images(folder: Path, shape: Shape, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Load images in the layout of the model: [channels, height, width] or channels last.

    Args:
        folder: It has a folder of images for each class, which are taken in the order of names.
        shape: Shape of one sample that the model takes.
        limit: Use only so many, the first of every class in turn.

    Returns:
        The images [N, *shape] from 0 to 1, and their classes [N].

    Raises:
        DataError: There are none, or one cannot be read or has another size.
    """
    channels, size, channels_first = _layout(shape)
    chosen = _choose(folder, limit)
    require_room(folder, len(chosen) * int(np.prod(shape)) * _FLOAT_BYTES)
    x = np.empty((len(chosen), *shape), np.float32)
    for index, (_, _, file) in enumerate(chosen):
        pixels = _pixels(file, size, channels)
        x[index] = pixels.transpose(2, 0, 1) if channels_first else pixels
    return x, np.array([label for _, label, _ in chosen])


def _layout(shape: Shape) -> tuple[int, tuple[int, int], bool]:
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape[0], (shape[1], shape[2]), True
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[2], (shape[0], shape[1]), False
    raise DataError(
        f"The model takes samples of shape {list(shape)}, which are no images of 1 or 3 channels. "
        "Give the data as .npz."
    )


def _choose(folder: Path, limit: int | None) -> list[tuple[int, int, Path]]:
    """List images as (place within the class, class, file)."""
    with reading(folder):
        classes = sorted(item for item in folder.iterdir() if item.is_dir())
    chosen = []
    for label, place in enumerate(classes):
        with reading(place):
            files = sorted(item for item in place.iterdir() if item.suffix.lower() in _SUFFIXES)
        chosen += [(turn, label, file) for turn, file in enumerate(files)]
    if not chosen:
        raise DataError(f"{folder} has no folders of images: it needs one folder for each class.")
    return sorted(chosen)[:limit]


def _pixels(file: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """Read an image as [height, width, channels] from 0 to 1."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            "Folders of images need Pillow: pip install 'onnx2genn[images]'."
        ) from error
    with reading(file), Image.open(file) as image:
        width, height = image.size
        if (height, width) != size:
            raise DataError(
                f"{file} has {height} x {width} pixels; the model takes {size[0]} x {size[1]}. "
                "Resize the images first."
            )
        return _scaled(file, image, channels)


def _scaled(file: Path, image: Image, channels: int) -> np.ndarray:
    # Pillow clips what has more than 8 bits when it converts it, and reads 16 grey bits as 32.
    white = _WHITE.get(image.mode, 65535 if (image.mode, image.format) == ("I", "PNG") else 255)
    if image.mode in ("I", "F") and white == 255:
        raise DataError(
            f"{file} has pixels of 32 bits, whose white is not known. Give the data as .npz."
        )
    if white != 255:
        grey = np.asarray(image, np.float32) / white
        return np.repeat(grey[..., None], channels, axis=2)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32) / 255
    return pixels.reshape(*pixels.shape[:2], channels)
