"""Input currents, as the host hands them to the device."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from helpers import grid_networks

from onnx2genn.backends.genn.entering import Currents
from onnx2genn.backends.genn.planner import make_plan

pytestmark = pytest.mark.genn


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("batch", [1, 16])
def test_currents_are_those_of_the_segment(batch: int, ahead: bool) -> None:
    """In whatever way they are computed, and whoever waits for them."""
    network = grid_networks.convert(grid_networks.TOGETHER, coding="few-spike", steps=6)
    plan, samples = make_plan(network), grid_networks.samples(network, 3 * batch + batch // 2)
    fed = [item for item in plan.neurons if item.is_fed]
    assert {len(item.shape) for item in fed} >= {1, 2, 3}
    assert {item.operands for item in fed} == {1, 2}
    groups = -(-len(samples) // batch)
    views = {
        item.name: [np.full((batch, item.size), np.nan, np.float32) for _ in item.biases]
        for item in fed
    }
    found: dict[str, list[np.ndarray]] = {item.name: [] for item in fed}
    with closing(Currents(samples, groups, batch)) as currents:
        for group in range(groups):
            for item in fed:
                currents.write(item, group, views[item.name])
                found[item.name].append(np.stack(views[item.name], axis=1))
                if ahead:
                    currents.begin(item, group + 1, views[item.name])
    for item in fed:
        got = np.concatenate(found[item.name])[: len(samples)]
        wanted = item.currents(samples).reshape(len(samples), item.operands, *item.shape)
        for index in range(item.operands):
            np.testing.assert_allclose(
                item.in_onnx_order(got[:, index]), wanted[:, index], atol=1e-5, err_msg=item.name
            )
