"""Exports of Keras: the committed ones, and fresh ones where TensorFlow is installed."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.onnx_models import check_model

from onnx2genn.frameworks import from_keras

FIXTURES = Path(__file__).parent.parent / "fixtures"
KINDS = {
    "keras_one_channel": ["Relu", "Relu", "Relu"],
    "keras_own_export": ["Relu", "Relu", "Relu"],
    "keras_three_channels": ["Clip", "Relu", "Relu", "MaxPool"],
    "keras_branches": ["Relu", "Function", "Relu"],
    "keras_signal": ["Relu", "MaxPool", "Relu", "Relu", "Identity", "MaxPool"],
    "keras_two_inputs": ["Relu", "Relu"],
}


@pytest.mark.parametrize("name", KINDS)
def test_committed_exports(name):
    found = check_model(onnx.load(FIXTURES / f"{name}.onnx"))
    assert sorted(item.kind for item in found.parts.populations) == sorted(KINDS[name])


def test_the_shape_arithmetic_of_a_flatten_goes():
    for name in ("keras_one_channel", "keras_own_export"):
        found = check_model(onnx.load(FIXTURES / f"{name}.onnx"))
        before = found.parts.populations[-1].segment.nodes
        assert [item.op for item in before] == ["Reshape", "MatMul"]


@pytest.mark.parametrize(
    "name", ["one_channel", "three_channels", "branches", "signal", "two_inputs"]
)
def test_fresh_exports(name):
    pytest.importorskip("tensorflow", reason="TENSORFLOW IS MISSING: exports of Keras not tested")
    pytest.importorskip("tf2onnx", reason="TF2ONNX IS MISSING: exports of Keras not tested")
    from fixtures.keras_models import build

    model = build(name)
    random = np.random.default_rng(0)
    x = [random.random((64, *item.shape[1:]), dtype=np.float32) for item in model.inputs]
    x = x[0] if len(x) == 1 else x
    logits = from_keras(model, x, steps=10).predict(x, backend="onnxruntime")
    wanted = model(x).numpy()
    if name == "one_channel":
        wanted = np.log(wanted)  # softmax is taken off
        logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    if name == "branches":
        wanted = np.log(wanted / (1 - wanted))
    np.testing.assert_allclose(logits, wanted, atol=0.02 * np.abs(wanted).max())
