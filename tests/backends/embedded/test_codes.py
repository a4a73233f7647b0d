"""Networks that accumulate first, as one model: two ways to write it give the same codes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import grid_networks

from onnx2genn.backends.embedded import codes
from onnx2genn.ir.run import Runner


@pytest.mark.parametrize(("coding", "steps"), [("few-spike", 6), ("two-phase", 8)])
def test_weights_that_many_segments_have_are_written_once(
    coding: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = grid_networks.convert(grid_networks.TOGETHER, coding, steps=steps)
    feeds = {network.input_name: grid_networks.samples(network, 16)}
    by_segment = Runner(codes.model_of_codes(network))(feeds)
    monkeypatch.setattr(codes, "_MOST_COPIES", -(2**40))
    once = Runner(codes.model_of_codes(network))(feeds)
    assert by_segment.keys() == once.keys()
    for name, values in by_segment.items():
        np.testing.assert_array_equal(once[name], values, err_msg=name)
