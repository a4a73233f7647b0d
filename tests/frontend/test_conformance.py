"""onnx's own tests of operators: converted right, or refused with a reason."""

from __future__ import annotations

import warnings

import pytest
from helpers.conformance import REFUSED, RIGHT, cases, outcome
from helpers.onnx_models import OLD_ONNXRUNTIME

CONVERTED = 700
SIMULATED = 40  # one in so many


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="some of its operators are wrong")
def test_right_or_refused_with_a_reason() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            case.name: outcome(case, spikes=index % SIMULATED == 0)
            for index, case in enumerate(cases())
        }
    assert {name: item for name, item in found.items() if item.kind not in (RIGHT, REFUSED)} == {}
    assert sum(item.kind == RIGHT for item in found.values()) >= CONVERTED
