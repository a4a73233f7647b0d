"""Networks that accumulate first, as one model: with relays and without the codes are the same."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import grid_networks

from onnx2genn.backends.embedded.codes import LOGITS, code_of, code_type, model_of_codes
from onnx2genn.ir.run import Runner
from onnx2genn.network import Network


def codes_with(network: Network, relays: str) -> dict[str, np.ndarray]:
    network.__dict__["streams"] = network.streams_with(relays)
    feeds = {network.input_name: grid_networks.samples(network, 16)}
    return Runner(model_of_codes(network))(feeds)


@pytest.mark.parametrize(("coding", "steps"), [("few-spike", 6), ("two-phase", 8)])
def test_what_segments_share_is_written_once(coding: str, steps: int) -> None:
    network = grid_networks.convert(grid_networks.TOGETHER, coding, steps=steps)
    apart, together = codes_with(network, "none"), codes_with(network, "all")
    assert {LOGITS, *(code_of(item.tensor) for item in network.populations)} == together.keys()
    for name, values in apart.items():
        np.testing.assert_array_equal(together[name], values, err_msg=name)


def test_the_answers_need_no_codes_as_outputs() -> None:
    network = grid_networks.convert(grid_networks.TOGETHER, "few-spike", steps=6)
    feeds = {network.input_name: grid_networks.samples(network, 16)}
    answers = Runner(model_of_codes(network, all_codes=False))(feeds)
    assert list(answers) == [LOGITS]
    np.testing.assert_array_equal(answers[LOGITS], Runner(model_of_codes(network))(feeds)[LOGITS])


@pytest.mark.parametrize(("coding", "steps"), [("few-spike", 8), ("few-spike", 10)])
def test_codes_leave_in_as_few_bits_as_they_need(coding: str, steps: int) -> None:
    network = grid_networks.convert(grid_networks.TOGETHER, coding, steps=steps)
    assert code_type(network) == (np.uint8 if steps == 8 else np.uint16)
    values = Runner(model_of_codes(network))(
        {network.input_name: grid_networks.samples(network, 4)}
    )
    kinds = {array.dtype for name, array in values.items() if name != LOGITS}
    assert kinds == {code_type(network)}
