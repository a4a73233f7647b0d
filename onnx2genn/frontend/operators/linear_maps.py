"""Operators that move or sum elements in their own ways, read off runs of the operator itself.

What picks elements, or leaves zeros, is run on the numbers of the elements; what sums them, on one
element after the other. So a few lines are enough for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_letters

import numpy as np
import onnx

from onnx2genn.frontend.operators.einsum import contract
from onnx2genn.frontend.operators.movement import kept_axis
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.graph import to_onnx
from onnx2genn.ir.registry import operator
from onnx2genn.ir.run import Runner

_MOVES = "data movement"
_MOST_WEIGHTS = 2**26
_SAME = "constant, and the same for all samples"


def run_on(rewrite: Rewrite, x: np.ndarray, *constants: np.ndarray | None) -> np.ndarray:
    """Return what the node makes of an array [N, ...], with its other inputs constant."""
    given = {f"c{index}": array for index, array in enumerate(constants) if array is not None}
    names = [f"c{index}" if f"c{index}" in given else "" for index in range(len(constants))]
    node = replace(rewrite.node, inputs=("x", *names), outputs=("y",))
    kind = onnx.helper.np_dtype_to_tensor_dtype(x.dtype)
    model = to_onnx(
        [node],
        given,
        {"x": x.shape[1:]},
        {"y": None},
        opset=rewrite.opset,
        input_types={"x": kind},
    )
    return Runner(model)({"x": x})["y"]


def picked(rewrite: Rewrite, x: str, *constants: np.ndarray | None) -> str:
    """Write an operator whose output has elements of the input, and zeros."""
    shape = rewrite.shape(x)
    numbers = np.arange(1, np.prod(shape) + 1).reshape(1, *shape)
    which = run_on(rewrite, numbers, *constants).ravel()
    flat = rewrite.emit("Reshape", x, np.array([0, numbers.size], np.int64))
    flat = rewrite.emit("Gather", flat, np.maximum(which - 1, 0), axis=1)
    if not which.all():
        flat = rewrite.emit("Mul", flat, (which > 0).astype(np.float32)[None])
    return rewrite.emit("Reshape", flat, np.array([0, *rewrite.output_shape], np.int64))


def summed(rewrite: Rewrite, x: str, *constants: np.ndarray | None) -> str:
    """Write an operator that is linear in each sample, by the matrix that it stands for.

    Raises:
        Refusal: The matrix is too large.
    """
    size = int(np.prod(rewrite.shape(x)))
    if size * np.prod(rewrite.output_shape, dtype=float) > _MOST_WEIGHTS:
        raise Refusal(
            f"as a matrix it has more than {_MOST_WEIGHTS:,} weights.", "Use a smaller input."
        )
    each = np.eye(size, dtype=np.float32).reshape(size, *rewrite.shape(x))
    weight = run_on(rewrite, each, *constants).reshape(size, -1)
    flat = rewrite.emit("Reshape", x, np.array([0, size], np.int64))
    product = rewrite.emit("MatMul", flat, np.ascontiguousarray(weight, np.float32))
    return rewrite.emit("Reshape", product, np.array([0, *rewrite.output_shape], np.int64))


def _number(rewrite: Rewrite, name: str | None, role: str) -> int | None:
    return None if name is None else int(rewrite.constant(name, role).reshape(-1)[0])


@operator("Trilu", kind=_MOVES, restrictions="constant diagonal")
def trilu(rewrite: Rewrite, x: str, k: str | None = None, *, upper: int = 1) -> str:
    """The triangle of each matrix above or below a diagonal, and zeros."""
    kept_axis(rewrite, x, -2)
    rows, columns = rewrite.shape(x)[-2:]
    cut = np.triu if upper else np.tril
    kept = cut(np.ones((rows, columns), np.float32), _number(rewrite, k, "diagonal") or 0)
    return rewrite.emit("Mul", x, kept.reshape((1,) * (len(rewrite.shape(x)) - 1) + kept.shape))


@operator("ReverseSequence", kind=_MOVES, restrictions=f"lengths {_SAME}")
def reverse_sequence(
    rewrite: Rewrite, x: str, lengths: str, *, batch_axis: int = 1, time_axis: int = 0
) -> str:
    """Reverse the beginning of a sequence."""
    given = rewrite.constant(lengths, "lengths")
    if batch_axis or len(np.unique(given)) > 1:
        raise Refusal("its lengths differ between samples.", "Reverse all samples alike.")
    return picked(rewrite, x, given[:1])


@operator("CenterCropPad", kind=_MOVES, restrictions="not of the batch axis")
def center_crop_pad(
    rewrite: Rewrite, x: str, shape: str, *, axes: Sequence[int] | None = None
) -> str:
    """Cut off, or add zeros, on both sides."""
    target = rewrite.constant(shape, "shape")
    if axes is None:
        target = np.array([1, *rewrite.output_shape], target.dtype)
    else:
        for axis in axes:
            kept_axis(rewrite, x, axis)
    return picked(rewrite, x, target)


@operator("Col2Im")
def col2im(
    rewrite: Rewrite,
    x: str,
    image: str,
    block: str,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """Sum blocks into an image."""
    return summed(rewrite, x, rewrite.constant(image, "shape"), rewrite.constant(block, "shape"))


@operator("CumSum", restrictions="constant axis, not of the batch")
def cumulative_sum(
    rewrite: Rewrite, x: str, axis: str, *, exclusive: int = 0, reverse: int = 0
) -> str:
    """Sums of all elements before one, along an axis."""
    along = kept_axis(rewrite, x, _number(rewrite, axis, "axis") or 0)
    length = rewrite.shape(x)[along - 1]
    weight = np.triu(np.ones((length, length), np.float32), exclusive)
    letters = ascii_letters[: len(rewrite.shape(x)) + 1]
    source = letters[along]
    return contract(
        rewrite,
        x,
        letters,
        [weight.T if reverse else weight],
        [f"{source}Z"],
        letters.replace(source, "Z"),
    )


@operator("DFT", restrictions="constant length and axis, not of the batch")
def dft(
    rewrite: Rewrite,
    x: str,
    length: str | None = None,
    axis_input: str | None = None,
    *,
    axis: int | None = None,
    inverse: int = 0,
    onesided: int = 0,
) -> str:
    """Fourier transform along an axis; the last axis has the real and the imaginary part."""
    default = axis if axis is not None else (-2 if rewrite.opset >= _DFT_AXIS_IS_INPUT else 1)
    given = _number(rewrite, axis_input, "axis")
    along = kept_axis(rewrite, x, default if given is None else given)
    size, parts = rewrite.shape(x)[along - 1], rewrite.shape(x)[-1]
    made, out = rewrite.output_shape[along - 1], rewrite.output_shape[-1]
    each = np.eye(size * parts, dtype=np.float32).reshape(size * parts, size, parts)
    points = _number(rewrite, length, "length") or (made if inverse and onesided else size)
    weight = _transformed(each, points, inverse=bool(inverse), onesided=bool(onesided))
    weight = weight[:, :made, :out].reshape(size, parts, made, out).astype(np.float32)
    letters = ascii_letters[: len(rewrite.shape(x)) + 1]
    source = letters[along]
    target = letters[:-1].replace(source, "Z") + "Y"
    return contract(rewrite, x, letters, [weight], [f"{source}{letters[-1]}ZY"], target)


_DFT_AXIS_IS_INPUT = 20


def _transformed(x: np.ndarray, points: int, *, inverse: bool, onesided: bool) -> np.ndarray:
    """Transform signals [N, size, 1 or 2] to [N, points, 1 or 2]."""
    signal = x[..., 0] + (1j * x[..., 1] if x.shape[-1] > 1 else 0)
    if inverse and onesided:
        return np.asarray(np.fft.irfft(signal, points, axis=1)[..., None])
    found = (np.fft.ifft if inverse else np.fft.fft)(signal, points, axis=1)
    return np.stack([found.real, found.imag], axis=-1)


@operator("STFT", restrictions="constant window and lengths")
def stft(
    rewrite: Rewrite,
    x: str,
    frame_step: str,
    window: str | None = None,
    frame_length: str | None = None,
    *,
    onesided: int = 1,
) -> str:
    """Fourier transforms of successive windows of a signal."""
    others = [
        None if name is None else rewrite.constant(name, role)
        for name, role in (
            (frame_step, "step"),
            (window, "window"),
            (frame_length, "length"),
        )
    ]
    return summed(rewrite, x, *others)


@operator("RotaryEmbedding", restrictions="constant caches and positions")
def rotary_embedding(
    rewrite: Rewrite,
    x: str,
    cos: str,
    sin: str,
    positions: str | None = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> str:
    """Turn pairs of features by angles: x cos + partner(x) sin, the first of a pair by -sin."""
    shape = rewrite.shape(x)
    heads_first = len(shape) > _ONE_AXIS_OF_FEATURES
    width = shape[-1] if heads_first else shape[-1] // num_heads
    turned = rotary_embedding_dim or width
    half = turned // 2
    first = np.arange(half) * 2 if interleaved else np.arange(half)
    second = first + 1 if interleaved else first + half
    partner = np.arange(width)
    partner[first], partner[second] = second, first
    caches = []
    for name in (cos, sin):
        cache = rewrite.constant(name, "cache")
        if positions is not None:
            cache = cache[rewrite.constant(positions, "positions")]
        caches.append(_of_one_sample(cache.reshape(-1, *cache.shape[-2:])))
    of_x, of_partner = np.ones((len(caches[0]), width)), np.zeros((len(caches[0]), width))
    of_x[:, first] = of_x[:, second] = caches[0]
    of_partner[:, first], of_partner[:, second] = -caches[1], caches[1]
    length = shape[1] if heads_first else shape[0]
    inner = (1, 1, length, width) if heads_first else (1, length, 1, width)
    split = x
    if not heads_first:
        split = rewrite.emit("Reshape", x, np.array([0, length, num_heads, width], np.int64))
    swapped = rewrite.emit("Gather", split, partner.astype(np.int64), axis=3)
    parts = [
        rewrite.emit("Mul", part, weight[:length].astype(np.float32).reshape(inner))
        for part, weight in ((split, of_x), (swapped, of_partner))
    ]
    total = rewrite.emit("Add", *parts)
    return rewrite.emit("Reshape", total, np.array([0, *rewrite.output_shape], np.int64))


_ONE_AXIS_OF_FEATURES = 2


def _of_one_sample(caches: np.ndarray) -> np.ndarray:
    """Return the angles [length, pairs], which have to be equal for all samples."""
    if (caches != caches[:1]).any():
        raise Refusal("its positions differ between samples.", "Use equal ones for all.")
    return np.asarray(caches[0])
