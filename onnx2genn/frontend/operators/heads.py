"""Heads: operators after the logits, which only turn them into probabilities or labels.

A Softmax within the network is written with others: see softmax.py.
"""

from __future__ import annotations

import numpy as np

from onnx2genn.frontend.operators.movement import kept_axis
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.graph import Node
from onnx2genn.ir.registry import Handler, operator

_WITHIN = "within the network: not with codings that fire while they integrate (rate)"
_OPSET_OF_ONE_AXIS = 13


def _softmax(rewrite: Rewrite, op: str, x: str, axis: int | None) -> str:
    """Before opset 13 the default axis is 1 and all axes from it on are one."""
    rank = len(rewrite.shape(x)) + 1
    if axis is not None:
        kept_axis(rewrite, x, axis)
    if rewrite.opset >= _OPSET_OF_ONE_AXIS:
        return rewrite.emit(op, x, axis=-1 if axis is None else axis)
    first = (1 if axis is None else axis) % rank
    if any(size != 1 for size in rewrite.shape(x)[first:]):
        raise Refusal(
            f"before opset 13 it normalises over all axes from {first} on.",
            "Flatten before it, or export with opset 13 or later.",
        )
    return rewrite.emit(op, x, axis=first)


@operator("Softmax", kind="head", restrictions=_WITHIN, output_range=(0.0, 1.0))
def softmax(rewrite: Rewrite, x: str, *, axis: int | None = None) -> str:
    """Probabilities."""
    return _softmax(rewrite, "Softmax", x, axis)


@operator("LogSoftmax", kind="head", restrictions=_WITHIN)
def log_softmax(rewrite: Rewrite, x: str, *, axis: int | None = None) -> str:
    """Logarithms of probabilities."""
    return _softmax(rewrite, "LogSoftmax", x, axis)


@operator("Hardmax", kind="head", restrictions="after the logits")
def hardmax(rewrite: Rewrite, x: str, *, axis: int | None = None) -> str:
    """1 for the largest, 0 for all others."""
    return _softmax(rewrite, "Hardmax", x, axis)


def _label(op: str) -> Handler:
    def handler(
        rewrite: Rewrite, x: str, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
    ) -> str:
        return rewrite.emit(
            op,
            x,
            axis=kept_axis(rewrite, x, axis),
            keepdims=keepdims,
            select_last_index=select_last_index,
        )

    return handler


for _op in ("ArgMax", "ArgMin"):
    operator(_op, kind="head", restrictions="after the logits")(_label(_op))


@operator("TopK", kind="head", restrictions="after the logits")
def top_k(
    rewrite: Rewrite,
    x: str,
    k: str | None = None,
    *,
    axis: int = -1,
    largest: int = 1,
    sorted: int = 1,
) -> list[str]:
    """The largest values, or the smallest, and where they are."""
    along = kept_axis(rewrite, x, axis)
    (given,) = {rewrite.shape(name)[along - 1] for name in rewrite.node.outputs if name}
    count = rewrite.store(np.array([given], np.int64), "top_k/count")
    values = f"{rewrite.node.name}/values"
    node = Node(
        op="TopK",
        inputs=(x, count),
        outputs=(values, f"{values}/indices"),
        attributes={"axis": along, "largest": largest, "sorted": 1},
        name=values,
    )
    rewrite.add(node)
    return list(node.outputs)
