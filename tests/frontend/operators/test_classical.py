from helpers.onnx_models import check_op, one_node

from onnx2genn.frontend.pipeline import check

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
