import numpy as np
import pytest
from helpers.onnx_models import check_op, model, node, normal, one_node

import onnx2genn
from onnx2genn.frontend.pipeline import check
from onnx2genn.ir.run import session

ML = {"domain": "ai.onnx.ml", "opset": 1}


def test_scaler():
    check_op("Scaler", [(3,)], offset=[1.0, -2.0, 0.5], scale=[2.0, 0.1, 1.0], **ML)
    check_op("Scaler", [(3,)], offset=[1.0], scale=[2.0], **ML)


def test_linear_regressor():
    check_op(
        "LinearRegressor", [(3,)], coefficients=[1.0, 2.0, 3.0] * 2, intercepts=[1.0, 2.0],
        targets=2, **ML,
    )  # fmt: skip
    proto = one_node(
        "LinearRegressor", [(2,)], coefficients=[1.0, 2.0], post_transform="LOGISTIC", **ML
    )
    assert "LOGISTIC" in check(proto)[0].reason


def classifier(post_transform, labels, classes=3):
    """As skl2onnx writes LogisticRegression of a few classes."""
    node_ = node(
        "LinearClassifier", "x", "label scores", domain="ai.onnx.ml",
        coefficients=normal(classes, 4).ravel().tolist(), intercepts=normal(classes).tolist(),
        post_transform=post_transform, **labels,
    )  # fmt: skip
    norm = node("Normalizer", "scores", "y", domain="ai.onnx.ml", norm="L1")
    nodes = [node_, norm] if post_transform == "SOFTMAX" else [node_, node("Neg", "scores", "y")]
    return model(nodes, {"x": ["N", 4]}, domains={"ai.onnx.ml": 1})


@pytest.mark.parametrize(
    "labels", [{"classlabels_ints": [1, 3, 5]}, {"classlabels_strings": "abc"}]
)
@pytest.mark.parametrize("post_transform", ["SOFTMAX", "LOGISTIC", "NONE"])
def test_linear_classifier(post_transform, labels):
    labels = {name: list(item) for name, item in labels.items()}
    proto, x = classifier(post_transform, labels), normal(50, 4, seed=2)
    network = onnx2genn.convert(proto, x, steps=12)
    (wanted,) = session(proto).run(["y"], {"x": x})
    got = network.predict(x, heads=True, backend="onnxruntime")
    np.testing.assert_allclose(got, wanted, atol=1e-3)
    if post_transform == "SOFTMAX":
        assert network.populations == ()


def test_what_a_linear_classifier_cannot_be():
    (problem,) = check(classifier("PROBIT", {"classlabels_ints": [0, 1, 2]}))
    assert "PROBIT" in problem.reason
    (problem,) = check(classifier("LOGISTIC", {"classlabels_ints": [0, 1]}, classes=1))
    assert "one row" in problem.reason
