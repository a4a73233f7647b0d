"""Operators without a spiking form that models often have: why, and what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from onnx2genn.frontend.rewrite import WHOLE_NUMBERS, Refusal, Rewrite
from onnx2genn.ir.registry import operator

_REASONS = {
    **dict.fromkeys(
        (
            "DequantizeLinear",
            "QuantizeLinear",
        ),
        WHOLE_NUMBERS,
    ),
    "MaxUnpool": (
        "it needs the positions of the maxima, which spike counts do not carry.",
        "Upsample with Resize or ConvTranspose instead.",
    ),
}
_CLASSICAL = dict.fromkeys(
    (
        "SVMClassifier",
        "SVMRegressor",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
    ),
    ("it is no neural network.", "Train a multi-layer perceptron, as MLPClassifier."),
)


def _refuse(op: str, reason: str, advice: str, domain: str = "") -> None:
    def handler(rewrite: Rewrite, *inputs: str, **attributes: Any) -> NoReturn:
        raise Refusal(reason, advice)

    operator(op, kind="refused", restrictions=f"{reason} {advice}", domain=domain)(handler)


for _op, (_reason, _advice) in _REASONS.items():
    _refuse(_op, _reason, _advice)
for _op, (_reason, _advice) in _CLASSICAL.items():
    _refuse(_op, _reason, _advice, "ai.onnx.ml")
