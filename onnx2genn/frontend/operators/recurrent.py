"""Recurrent operators: a pass writes their steps before any handler runs."""

from __future__ import annotations

from typing import Any, NoReturn

from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator

_LIMITS = (
    "for a sequence of fixed length; weights constant; not with codings that fire while they "
    "integrate (rate)"
)


def _unrolled(rewrite: Rewrite, *inputs: str, **attributes: Any) -> NoReturn:
    """Refuse what the pass left: a node whose sequence nothing fixes."""
    raise Refusal(
        "its steps are not known: the model cannot be run as it is.",
        "Look at the other problems first.",
    )


_DECIDED = {
    "If": "the branch that shapes and constants choose",
    "Loop": "where shapes and constants decide how often it runs",
    "Scan": "along an axis of fixed length, not that of the samples",
}

for _op in ("GRU", "LSTM", "RNN"):
    operator(_op, kind="unrolled", restrictions=_LIMITS)(_unrolled)
for _op, _limits in _DECIDED.items():
    operator(_op, kind="unrolled", restrictions=_limits)(_unrolled)
