"""Samples as small pictures within a page."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

_LARGEST = 64
_SMALLEST = 4
_COLOURS = 3


def thumbnail(sample: np.ndarray) -> str | None:
    """Return a sample as a PNG in a data URI, from its darkest to its lightest value.

    Args:
        sample: [H, W], with a channel or three first or last, or a square in one axis.

    Returns:
        None if it does not look like a picture.
    """
    image = _as_image(np.asarray(sample))
    if image is None or not np.isfinite(image).all():
        return None
    step = -(-max(image.shape[:2]) // _LARGEST)
    image = image[::step, ::step].astype(np.float64)
    low, high = image.min(), image.max()
    pixels = np.round((image - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    return f"data:image/png;base64,{base64.b64encode(_png(pixels)).decode('ascii')}"


def _as_image(sample: np.ndarray) -> np.ndarray | None:
    """Arrange a sample as [H, W, 1] or [H, W, 3]."""
    if sample.ndim == 1:
        side = round(sample.size**0.5)
        sample = sample.reshape(side, side) if side * side == sample.size else sample
    if sample.ndim == 2:
        sample = sample[..., None]
    if sample.ndim != 3:
        return None
    if sample.shape[-1] not in (1, _COLOURS):
        sample = np.moveaxis(sample, 0, -1)
    fits = sample.shape[-1] in (1, _COLOURS) and min(sample.shape[:2]) >= _SMALLEST
    return sample if fits else None


def _png(pixels: np.ndarray) -> bytes:
    """Write pixels [H, W, 1 or 3] as a PNG."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == _COLOURS else 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check
