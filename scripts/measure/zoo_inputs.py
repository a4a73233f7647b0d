"""Random images with structure: blobs of several sizes, whose mean and contrast vary."""

from __future__ import annotations

import numpy as np


def images(
    count: int, size: int, channels: int = 3, *, channels_last: bool, seed: int = 0
) -> np.ndarray:
    """Make images of values in about 0..1.

    White noise would not do: after a few convolutions and a mean all its images are alike.

    Args:
        count: Number of images.
        size: Pixels along each side.
        channels: Number of channels.
        channels_last: [N, H, W, C] instead of [N, C, H, W].
        seed: Seed of the random numbers.
    """
    random = np.random.default_rng(seed)
    total: np.ndarray = np.zeros((count, channels, size, size), np.float32)
    for cells in (1, 2, 4, 8, 16):
        coarse = random.standard_normal((count, channels, cells, cells))
        at = np.arange(size) * cells // size
        total += coarse[:, :, at][:, :, :, at].astype(np.float32)
    total = np.float32(0.5) + total / np.float32(6)
    return np.ascontiguousarray(np.moveaxis(total, 1, 3) if channels_last else total)


def scale(name: str) -> float:
    """Return the largest value of the images that a network is made for.

    Args:
        name: Name of the network; some of Keras bring their own division by 255.
    """
    rescale = ("EfficientNet", "MobileNetV3", "ConvNeXt")
    return 255.0 if any(part in name for part in rescale) else 1.0
