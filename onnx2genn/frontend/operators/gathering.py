"""Elements that are picked by indices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from onnx2genn.frontend.operators.movement import kept_axis
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.graph import to_onnx
from onnx2genn.ir.registry import operator
from onnx2genn.ir.run import Runner

_MOVES = "data movement"
_RESTRICTIONS = "constant indices, the same for all samples"


@operator("Gather", kind=_MOVES, selects=True, restrictions="constant indices")
def gather(rewrite: Rewrite, x: str, indices: str, *, axis: int = 0) -> str:
    """Pick entries along one axis."""
    chosen = rewrite.constant(indices, "indices")
    return rewrite.emit("Gather", x, chosen, axis=kept_axis(rewrite, x, axis))


@operator("GatherElements", kind=_MOVES, selects=True, restrictions=_RESTRICTIONS)
def gather_elements(rewrite: Rewrite, x: str, indices: str, *, axis: int = 0) -> str:
    """Pick an element along one axis for each element of the output."""
    kept_axis(rewrite, x, axis)
    return _picked(rewrite, x, indices)


@operator("GatherND", kind=_MOVES, selects=True, restrictions=_RESTRICTIONS)
def gather_nd(rewrite: Rewrite, x: str, indices: str, *, batch_dims: int = 0) -> str:
    """Pick parts by their places in each sample."""
    if not batch_dims:
        kept_axis(rewrite, x, 0)
    return _picked(rewrite, x, indices)


def _picked(rewrite: Rewrite, x: str, indices: str) -> str:
    """Let the node pick from the numbers of the elements, and pick those."""
    chosen, shape = rewrite.constant(indices, "indices"), rewrite.shape(x)
    if len(chosen) != 1:
        raise Refusal(
            f"its indices of shape {list(chosen.shape)} reach over the batch axis.",
            "Use some that are equal for all samples.",
        )
    numbers = np.arange(np.prod(shape)).reshape(1, *shape)
    node = replace(rewrite.node, inputs=("x", "i"), outputs=("y",))
    model = to_onnx(
        [node],
        {"i": chosen},
        {"x": shape},
        {"y": None},
        opset=rewrite.opset,
        input_types={"x": onnx.TensorProto.INT64},
    )
    picked = Runner(model)({"x": numbers})["y"]
    flat = rewrite.emit("Reshape", x, np.array([0, numbers.size], np.int64))
    flat = rewrite.emit("Gather", flat, picked.ravel(), axis=1)
    return rewrite.emit("Reshape", flat, np.array([0, *rewrite.output_shape], np.int64))
