"""Synapse groups of graded spikes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import grid_networks

from onnx2genn.backends.genn.device.portable import updates
from onnx2genn.backends.genn.planner import make_plan


@pytest.mark.parametrize(("largest", "signed"), [(1, True), (3, False), (15, True)])
def test_digits_add_up_to_the_value(largest: int, signed: bool) -> None:
    """No synapse of TOEPLITZ reads the value, which GeNN 5.4 has wrong on GPUs."""
    item = make_plan(grid_networks.convert("signal", "few-spike")).neurons[0]
    parts = updates(replace(item, largest=largest, signed=signed), "TOEPLITZ")
    assert not any("S" in part["pre_event_syn_code"] for part in parts)
    for value in range(-largest * signed, largest + 1):
        names = {"S": float(value), "g": 1.0, "addToPost": float}
        total = 0.0
        for part in parts:
            condition = part["pre_event_threshold_condition_code"].replace("&&", "and")
            if eval(condition.replace("(int)fabs(S)", "int(abs(S))"), names):
                total += eval(part["pre_event_syn_code"].rstrip(";"), names)
        assert total == value
