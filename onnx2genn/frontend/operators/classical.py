"""Operators of ai.onnx.ml, which scikit-learn pipelines are exported to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator

_DOMAIN = "ai.onnx.ml"
_TRANSFORMS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "NONE": ("", {}),
    "LOGISTIC": ("Sigmoid", {}),
    "SOFTMAX": ("Softmax", {"axis": -1}),
}


@operator("Scaler", domain=_DOMAIN)
def scaler(
    rewrite: Rewrite, x: str, *, offset: Sequence[float] = (), scale: Sequence[float] = ()
) -> str:
    """(x - offset) scale, per feature, as StandardScaler does."""
    shifted = rewrite.emit("Add", x, -np.array([offset or [0.0]], np.float32))
    return rewrite.emit("Mul", shifted, np.array([scale or [1.0]], np.float32))


@operator("LinearRegressor", domain=_DOMAIN, restrictions="without post transform")
def linear_regressor(
    rewrite: Rewrite,
    x: str,
    *,
    coefficients: Sequence[float] = (),
    intercepts: Sequence[float] = (),
    post_transform: str = "NONE",
    targets: int = 1,
) -> str:
    """x W^T + b."""
    if post_transform != "NONE":
        raise Refusal(
            f"its post transform {post_transform} is not known here.", "Export without it."
        )
    return _linear(rewrite, x, targets, coefficients, intercepts)


@operator("LinearClassifier", domain=_DOMAIN, restrictions="a row of weights for each class")
def linear_classifier(
    rewrite: Rewrite,
    x: str,
    *,
    coefficients: Sequence[float] = (),
    intercepts: Sequence[float] = (),
    classlabels_ints: Sequence[int] = (),
    classlabels_strings: Sequence[str] = (),
    multi_class: int = 0,
    post_transform: str = "NONE",
) -> list[str]:
    """Labels, and f(x W^T + b), as of LogisticRegression; f is softmax, logistic or nothing."""
    rows = len(coefficients) // max(rewrite.shape(x)[-1], 1)
    if rows != max(len(classlabels_ints), len(classlabels_strings)):
        raise Refusal(
            "it has one row of weights for two classes.", "Export it with a row for each class."
        )
    if post_transform not in _TRANSFORMS:
        raise Refusal(
            f"its post transform {post_transform} is not known here.", "Export without it."
        )
    scores = _linear(rewrite, x, rows, coefficients, intercepts)
    chosen = rewrite.emit("ArgMax", scores, axis=1, keepdims=0)
    op, attributes = _TRANSFORMS[post_transform]
    return [chosen, rewrite.emit(op, scores, **attributes) if op else scores]


def _linear(
    rewrite: Rewrite,
    x: str,
    rows: int,
    coefficients: Sequence[float],
    intercepts: Sequence[float],
) -> str:
    weight = np.array(coefficients, np.float32).reshape(rows, -1).T
    product = rewrite.emit("MatMul", x, np.ascontiguousarray(weight))
    return rewrite.emit("Add", product, np.array([intercepts or [0.0]], np.float32))
