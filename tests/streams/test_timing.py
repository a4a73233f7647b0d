"""When what is sent arrives, with relays on the way and without."""

from __future__ import annotations

import pytest
from helpers import grid_networks

from onnx2genn.coding import make
from onnx2genn.streams.layout import make_streams
from onnx2genn.streams.relays import READOUT

CODINGS = {
    "few-spike": make("few-spike", steps=6),
    "rate": make("rate", steps=8, lookahead=2),
    "events": make("rate", steps=8, input="events"),
}


@pytest.mark.parametrize("name", CODINGS)
def test_without_relays_it_is_what_the_coding_says(name: str) -> None:
    coding = CODINGS[name]
    parts = grid_networks.convert("branches", coding).model.parts
    timing = make_streams(parts, coding, "none").timing
    for item in parts.populations:
        assert timing.arrivals[item.tensor] == coding.input_start(item.depth)
        at_once = item.pools and not coding.accumulates
        start = coding.input_start if at_once else coding.window_start
        assert timing.sends[item.tensor] == start(item.depth)
    assert timing.arrivals[READOUT] == coding.input_start(parts.depth)


@pytest.mark.parametrize("name", ["rate", "events"])
def test_functions_wait_for_the_mean_of_a_window(name: str) -> None:
    coding = CODINGS[name]
    parts = grid_networks.convert("gates", coding).model.parts
    timing = make_streams(parts, coding, "none").timing
    functions = [item for item in parts.populations if item.is_function]
    assert len(functions) > 2
    for item in parts.populations:
        waits = timing.sends[item.tensor] - timing.arrivals[item.tensor]
        assert waits == (coding.steps if item.is_function else coding.window_start(0))
        known = [timing.sends[name] for name in item.segment.sources if name in timing.sends]
        assert timing.arrivals[item.tensor] == max(
            [coding.input_start(item.depth), *(start + 1 for start in known)]
        )


@pytest.mark.parametrize("name", CODINGS)
def test_all_that_is_sent_arrives_in_the_window_of_its_target(name: str) -> None:
    coding = CODINGS[name]
    parts = grid_networks.convert("together", coding).model.parts
    streams = make_streams(parts, coding, "all")
    arrivals, sends = streams.timing.arrivals, streams.timing.sends
    maps = dict(streams.maps) | {key: (item.segment,) for key, item in streams.relays.items()}
    order = list(arrivals)
    for target, several in maps.items():
        for source in {name for part in several for name in part.sources if name in sends}:
            assert sends[source] < arrivals[target]
            assert source not in order or order.index(source) < order.index(target)


def test_each_relay_in_a_row_takes_a_step() -> None:
    network = grid_networks.convert("streams", "few-spike", steps=6)
    late = {
        relays: network.latency_of(make_streams(network.model.parts, network.coding, relays))
        for relays in ("none", "all")
    }
    assert late["none"] == network.coding.latency(5)
    # s0 before r1; c3 and s1 before r2; c6, a2, n and what is centred before r4; c9 and j.
    assert late["all"] == late["none"] + 1 + 2 + 4 + 2
