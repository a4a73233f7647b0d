"""Changes of resolution: Resize, Upsample, Tile, DepthToSpace and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.graph import to_onnx
from onnx2genn.ir.registry import operator
from onnx2genn.ir.run import Runner

_SUMS_TO_ONE = 1e-3


@operator("Resize", restrictions="the same for all samples")
def resize(rewrite: Rewrite, x: str, *settings: str | None, **attributes: Any) -> str:
    """Interpolation, one axis after the other: a matrix for each, or a choice of elements."""
    return _resample(rewrite, x)


@operator("Upsample")
def upsample(rewrite: Rewrite, x: str, *settings: str | None, **attributes: Any) -> str:
    """Resize of old opsets."""
    return _resample(rewrite, x)


def _resample(rewrite: Rewrite, x: str) -> str:
    result, rank = x, len(rewrite.shape(x)) + 1
    for axis, (before, after) in enumerate(
        zip(rewrite.shape(x), rewrite.output_shape, strict=True), start=1
    ):
        if before == after and not _changes(rewrite, axis):
            continue
        matrix = _along_axis(rewrite, x, axis)
        chosen = matrix.argmax(axis=0)
        if np.array_equal(matrix, np.eye(before, dtype=np.float32)[:, chosen]):
            if not np.array_equal(chosen, np.arange(before)):
                result = rewrite.emit("Gather", result, chosen, axis=axis)
            continue
        if rewrite.is_whole(x):
            raise Refusal("it interpolates between whole numbers.", "Cast to float32 before it.")
        order = [*(item for item in range(rank) if item != axis), axis]
        turned = rewrite.emit("Transpose", result, perm=order)
        product = rewrite.emit("MatMul", turned, matrix)
        result = rewrite.emit("Transpose", product, perm=np.argsort(order).tolist())
    return result


def _along_axis(rewrite: Rewrite, x: str, axis: int) -> np.ndarray:
    """Return the matrix [before, after] of one axis: what unit vectors along it become.

    The weights along the other axes add up to one, so inputs that are constant there show it.
    """
    shape = rewrite.shape(x)
    size = shape[axis - 1]
    ones = [1] * len(shape)
    ones[axis - 1] = size
    basis = np.broadcast_to(np.eye(size, dtype=np.float32).reshape(size, *ones), (size, *shape))
    constants = _settings(rewrite, size)
    inputs = ("x", *(name and f"{name}/fixed" for name in rewrite.node.inputs[1:]))
    node = replace(rewrite.node, inputs=inputs, outputs=("y",))
    model = to_onnx([node], constants, {"x": shape}, {"y": None}, opset=rewrite.opset)
    result = Runner(model)({"x": np.ascontiguousarray(basis)})["y"]
    lines = np.moveaxis(result, axis, -1).reshape(size, -1, result.shape[axis])
    if np.ptp(lines, axis=1).max() > _SUMS_TO_ONE:
        raise Refusal(
            "it fills places outside of the image with a value.",
            "Use a coordinate transformation other than tf_crop_and_resize.",
        )
    return lines[:, 0]


def _changes(rewrite: Rewrite, axis: int) -> bool:
    """Whether an axis is another after it, though of the same length: 4 times 1.2 is 4, too."""
    node, rank = rewrite.node, len(rewrite.output_shape) + 1
    scales = node.attributes.get("scales", ())
    given = [name for name in node.inputs[1:3] if name and rewrite.is_constant(name)]
    if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return axis > 1
    if given:
        scales = rewrite.constant(given[-1], "scales")
    axes = node.attributes.get("axes") or range(rank)
    found = {place % rank: scale for place, scale in zip(axes, scales, strict=False)}
    return found.get(axis, 1.0) != 1.0


def _settings(rewrite: Rewrite, batch: int) -> dict[str, np.ndarray]:
    """Return the scales or sizes of a resize of so many samples, and its region of interest."""
    attributes, rank = rewrite.node.attributes, len(rewrite.output_shape) + 1
    axes = [axis % rank for axis in attributes.get("axes") or range(rank)]
    settings = {}
    for name in filter(None, rewrite.node.inputs[1:]):
        if not rewrite.is_constant(name):
            if attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
                raise Refusal("its sizes depend on the batch.", "Give them as constants.")
            value = np.array([0, *rewrite.output_shape], np.int64)[axes]
        else:
            value = rewrite.constant(name, "scales").copy()
        if value.dtype == np.int64 and 0 in axes:
            value[axes.index(0)] = batch
        settings[f"{name}/fixed"] = value
    return settings


@operator(
    "Tile",
    kind="data movement",
    restrictions="constant repeats, not of the batch",
    selects=True,
)
def tile(rewrite: Rewrite, x: str, repeats: str) -> str:
    """Copies side by side, as a choice of elements along each axis."""
    result = x
    for axis, (before, after) in enumerate(
        zip(rewrite.shape(x), rewrite.output_shape, strict=True), start=1
    ):
        if before != after:
            result = rewrite.emit("Gather", result, np.arange(after) % before, axis=axis)
    return result


@operator("DepthToSpace", kind="data movement")
def depth_to_space(rewrite: Rewrite, x: str, *, blocksize: int, mode: str = "DCR") -> str:
    """Channels to blocks of pixels: split, transpose, join."""
    channels, height, width = rewrite.shape(x)
    block, left = blocksize, channels // blocksize**2
    if mode == "DCR":
        split, order = [block, block, left, height, width], [0, 3, 4, 1, 5, 2]
    else:
        split, order = [left, block, block, height, width], [0, 1, 4, 2, 5, 3]
    return _rearrange(rewrite, x, split, order)


@operator("SpaceToDepth", kind="data movement")
def space_to_depth(rewrite: Rewrite, x: str, *, blocksize: int, mode: str = "DCR") -> str:
    """Blocks of pixels to channels: split, transpose, join."""
    channels, height, width = rewrite.shape(x)
    split = [channels, height // blocksize, blocksize, width // blocksize, blocksize]
    order = [0, 3, 5, 1, 2, 4] if mode == "DCR" else [0, 1, 3, 5, 2, 4]
    return _rearrange(rewrite, x, split, order)


def _rearrange(rewrite: Rewrite, x: str, split: list[int], order: list[int]) -> str:
    parts = rewrite.emit("Reshape", x, np.array([0, *split], np.int64))
    turned = rewrite.emit("Transpose", parts, perm=order)
    return rewrite.emit("Reshape", turned, np.array([0, *rewrite.output_shape], np.int64))
