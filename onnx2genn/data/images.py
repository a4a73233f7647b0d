"""Images as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.data.fitting import Progress
from onnx2genn.data.reading import reading, require_room
from onnx2genn.errors import DataError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.preprocessing import CROP, STRETCH

if TYPE_CHECKING:
    from PIL.Image import Image

_FLOAT_BYTES = 4
_WHITE = {"I;16": 65535, "I;16B": 65535, "I;16L": 65535, "I;16N": 65535}


def load_images(
    files: Sequence[Path],
    shape: Shape,
    resize: str | int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Load images in the layout of the model: [channels, height, width] or channels last.

    Args:
        files: The images.
        shape: Shape of one sample that the model takes.
        resize: As of :class:`onnx2genn.ir.preprocessing.Preprocessing`.
        progress: Called with the number of images read and the total.

    Returns:
        The images [N, *shape], float32, from 0 to 1.

    Raises:
        DataError: One cannot be read, or has another size and is not to be resized.
    """
    channels, size, channels_first = _layout(shape)
    require_room(files[0].parent, len(files) * int(np.prod(shape)) * _FLOAT_BYTES)
    x = np.empty((len(files), *shape), np.float32)
    for index, file in enumerate(files):
        pixels = _pixels(file, size, channels, resize)
        x[index] = pixels.transpose(2, 0, 1) if channels_first else pixels
        if progress is not None:
            progress(index + 1, len(files))
    return x


def _layout(shape: Shape) -> tuple[int, tuple[int, int], bool]:
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape[0], (shape[1], shape[2]), True
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[2], (shape[0], shape[1]), False
    raise DataError(
        f"The model takes samples of shape {list(shape)}, which are no images of 1 or 3 channels. "
        "Give the data as .npz."
    )


def _pixels(
    file: Path, size: tuple[int, int], channels: int, resize: str | int | None
) -> np.ndarray:
    """Read an image as [height, width, channels] from 0 to 1."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("Images need Pillow: pip install 'onnx2genn[images]'.") from error
    with reading(file), Image.open(file) as image:
        width, height = image.size
        if (height, width) != size and resize is None:
            raise DataError(
                f"{file} has {height} x {width} pixels; the model takes {size[0]} x {size[1]}. "
                "Say how to fit them: --resize stretch|crop|PIXELS, "
                "preprocessing=Preprocessing(resize=...)."
            )
        plain, white = _plain(file, image, channels)
        if resize is not None:
            plain = _fitted(file, plain, size, resize)
        pixels = np.asarray(plain, np.float32) / np.float32(white)
        pixels = pixels.reshape(*size, -1)
        return np.repeat(pixels, channels // pixels.shape[2], axis=2)


def _plain(file: Path, image: Image, channels: int) -> tuple[Image, int]:
    """Convert an image to grey or colours, and say what is white in it."""
    import PIL.Image

    # Pillow clips what has more than 8 bits when it converts it, and reads 16 grey bits as 32.
    white = _WHITE.get(image.mode, 65535 if (image.mode, image.format) == ("I", "PNG") else 255)
    if image.mode in ("I", "F") and white == 255:
        raise DataError(
            f"{file} has pixels of 32 bits, whose white is not known. Give the data as .npz."
        )
    if white != 255:
        return PIL.Image.fromarray(np.asarray(image, np.float32)), white
    return image.convert("L" if channels == 1 else "RGB"), white


def _fitted(file: Path, image: Image, size: tuple[int, int], resize: str | int) -> Image:
    """Scale an image to a height and width, whole or its middle."""
    import PIL.Image

    wanted, (width, height) = (size[1], size[0]), image.size
    if resize == STRETCH:
        return image.resize(wanted, PIL.Image.Resampling.BILINEAR)
    if resize == CROP:
        scale = max(wanted[0] / width, wanted[1] / height)
    else:
        scale = int(resize) / min(width, height)
    scaled = [max(1, round(scale * side)) for side in (width, height)]
    if scaled[0] < wanted[0] or scaled[1] < wanted[1]:
        raise DataError(
            f"{file} is {scaled[1]} x {scaled[0]} pixels with its shorter side scaled to {resize}; "
            f"the model takes {size[0]} x {size[1]}. Resize to more."
        )
    left, top = ((a - b) // 2 for a, b in zip(scaled, wanted, strict=True))
    found = image.resize((scaled[0], scaled[1]), PIL.Image.Resampling.BILINEAR)
    return found.crop((left, top, left + wanted[0], top + wanted[1]))
