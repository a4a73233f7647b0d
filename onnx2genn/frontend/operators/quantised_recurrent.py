"""onnxruntime's LSTM with weights in whole numbers, as the LSTM of floats that it stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.operators.quantised import Floats
from onnx2genn.frontend.rewrite import Refusal
from onnx2genn.ir.graph import Node
from onnx2genn.ir.registry import operator

_OF_AN_LSTM = 8  # inputs; behind them come the scales


@operator(
    "DynamicQuantizeLSTM",
    kind="quantised",
    domain="com.microsoft",
    restrictions="constant weights; what it rounds in each step is not rounded here",
)
def dynamic_quantize_lstm(floats: Floats, node: Node, *inputs: str) -> str:
    """LSTM; its weights are [directions, inputs, 4 H], and it rounds X and its state itself."""
    given = (*inputs, *[""] * (_OF_AN_LSTM + 4 - len(inputs)))
    x, w, r, *rest = given[:_OF_AN_LSTM]
    w_scale, w_zero, r_scale, r_zero = given[_OF_AN_LSTM:]
    weights = [_weights(floats, w, w_scale, w_zero), _weights(floats, r, r_scale, r_zero)]
    names = [floats.store(array, f"{node.output or node.name}/weights") for array in weights]
    floats.inexact |= {name for name in node.outputs if name}
    return floats.add(replace(node, op="LSTM", domain="", inputs=(x, *names, *rest)))


def _weights(floats: Floats, name: str, scale: str, zero: str) -> np.ndarray:
    """Return weights [directions, 4 H, inputs]; each direction, or each gate, has its scale."""
    if name not in floats.given:
        raise Refusal("its weights are no constants.", "Quantise the trained model.")
    whole = floats.given[name].astype(np.int64)
    rows = (whole.shape[0], 1, -1)
    step = floats.constant(scale).reshape(rows)
    shift = floats.constant(zero).astype(np.int64)
    if shift.size > 1:
        shift = shift.reshape(rows)
    return np.asarray(((whole - shift) * step).transpose(0, 2, 1), np.float32)
