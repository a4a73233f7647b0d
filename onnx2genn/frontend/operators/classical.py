"""Operators of ai.onnx.ml, which scikit-learn pipelines are exported to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator

_DOMAIN = "ai.onnx.ml"


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
    weight = np.array(coefficients, np.float32).reshape(targets, -1).T
    product = rewrite.emit("MatMul", x, np.ascontiguousarray(weight))
    return rewrite.emit("Add", product, np.array([intercepts or [0.0]], np.float32))
