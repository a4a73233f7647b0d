"""MNIST and CIFAR-10 as images in 0..1."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np

Split = tuple[np.ndarray, np.ndarray]


def read_mnist(path: Path | None) -> tuple[Split, Split]:
    """Read MNIST as ((x, y) train, (x, y) test), x in 0..1 of shape [N, 28, 28, 1].

    ``path`` is an ``.npz`` with x_train, y_train, x_test, y_test; None asks Keras for it.
    """
    if path is None:
        import keras

        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    else:
        with np.load(path) as data:
            x_train, y_train = data["x_train"], data["y_train"]
            x_test, y_test = data["x_test"], data["y_test"]
    return _scaled(x_train[..., None], y_train), _scaled(x_test[..., None], y_test)


def read_cifar10(path: Path | None) -> tuple[Split, Split]:
    """Read CIFAR-10 as ((x, y) train, (x, y) test), x in 0..1 of shape [N, 32, 32, 3].

    ``path`` is an ``.npz`` with either x_train, y_train, x_test, y_test or, for JPEG files, for
    each split the concatenated files ``jpeg_*``, their bounds ``offset_*`` and ``y_*``; None asks
    Keras for it.
    """
    if path is None:
        import keras

        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
        return _scaled(x_train, y_train), _scaled(x_test, y_test)
    with np.load(path) as data:
        return _read_images(data, "train"), _read_images(data, "test")


def _read_images(data: Any, split: str) -> Split:
    """Read one split, decoding JPEG files where it holds those."""
    if f"x_{split}" in data:
        return _scaled(data[f"x_{split}"], data[f"y_{split}"])
    images = decode_jpeg(data[f"jpeg_{split}"], data[f"offset_{split}"])
    return _scaled(images, data[f"y_{split}"])


def decode_jpeg(files: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Decode JPEG files that lie one after the other, file i from offsets[i] to offsets[i + 1]."""
    from PIL import Image

    bounds = itertools.pairwise(offsets)
    return np.stack(
        [np.asarray(Image.open(io.BytesIO(files[a:b].tobytes())).convert("RGB")) for a, b in bounds]
    )


def _scaled(images: np.ndarray, labels: np.ndarray) -> Split:
    """Scale 8-bit pixels to 0..1 and flatten the labels."""
    return images.astype(np.float32) / 255, labels.reshape(-1).astype(np.int64)


def augmented(
    x: np.ndarray, generator: np.random.Generator, size: int | None = None, shift: int = 4
) -> np.ndarray:
    """Flip half of the images [N, H, W, C], shift each, and cut out ``size`` x ``size`` pixels.

    The shift is up to ``shift`` pixels; what comes in at the borders is the image, mirrored.
    """
    size = size or x.shape[1]
    flipped = np.where(generator.random(len(x))[:, None, None, None] < 0.5, x[:, :, ::-1], x)
    padded = np.pad(flipped, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect")
    offsets = generator.integers(0, padded.shape[1] - size + 1, size=(len(x), 2))
    cuts = zip(padded, offsets, strict=True)
    return np.stack([image[i : i + size, j : j + size] for image, (i, j) in cuts])
