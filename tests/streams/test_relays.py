"""Where relays may stand, and what is left of the maps around them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from helpers import grid_networks
from helpers.onnx_models import model, node, normal

from onnx2genn.coding import make
from onnx2genn.errors import BackendError
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment
from onnx2genn.streams.layout import make_streams
from onnx2genn.streams.relays import READOUT, Linear

FEW = make("few-spike", steps=6)


def linear_part(segment: Segment, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return f(x) - f(0), where sources that are not named are 0."""
    at = {
        name: values.get(name, np.zeros((1, *segment.shapes[name]), np.float32))
        for name in segment.sources
    }
    runner = Runner(segment.to_onnx())
    (found,), (base,) = (
        runner(feeds).values() for feeds in (at, {name: 0 * item for name, item in at.items()})
    )
    return found - base


@pytest.mark.parametrize("name", grid_networks.NETWORKS)
def test_maps_behind_relays_compose_to_the_whole_ones(name: str) -> None:
    """Of spikes, to the last digit: all is on a grid."""
    parts = grid_networks.convert(name, "few-spike", steps=6).model.parts
    streams, linear = make_streams(parts, FEW, "all"), Linear(parts, FEW)
    values = {
        item.tensor: 8 * grid_networks.grid(1, *item.shape, seed=3) for item in parts.populations
    }
    sent = dict(values)
    for tensor in streams.timing.arrivals:
        if tensor in streams.relays:
            relay = streams.relays[tensor]
            sent[tensor] = linear_part(relay.segment, sent)
            assert np.any(sent[tensor]), relay.name
    for tensor, maps in linear.maps.items():
        for whole, cut in zip(maps, streams.maps[tensor], strict=True):
            np.testing.assert_array_equal(linear_part(cut, sent), linear_part(whole, values))


def candidates(coding: str = "few-spike") -> tuple[str, ...]:
    network = grid_networks.convert("streams", coding, steps=8)
    return Linear(network.model.parts, network.coding).candidates


def test_relays_may_stand_where_streams_part_meet_or_change_their_size() -> None:
    found = candidates()
    # Bottlenecks, sums, a mean of all places; not what reaches one population as it is.
    assert {"s0", "s1", "a2", "g"} < set(found)
    assert not {"c2", "c4", "c5", "c8"} & set(found)
    # What the input alone adds up to is a current.
    assert "c7" not in found
    events = grid_networks.convert("streams", "rate", steps=8, input="events")
    assert "c7" in Linear(events.model.parts, events.coding).candidates


def test_the_readout_hears_only_relays_that_send_at_once() -> None:
    network = grid_networks.convert("streams", "few-spike", steps=8)
    streams = make_streams(network.model.parts, network.coding, "all")
    heard = {name for part in streams.maps[READOUT] for name in part.sources}
    at_once = {name for name, item in streams.relays.items() if item.at_once}
    assert heard.intersection(streams.relays) <= at_once
    assert at_once and not at_once & {"s0", "s1", "a2"}


def test_names_are_unique_identifiers() -> None:
    nodes = [
        node("Relu", "x", "r", name="sum_1_relay"),
        node("MatMul", "r w", "1/relay"),
        node("MatMul", "1/relay v", "a"),
        node("Relu", "a", "b"),
        node("MatMul", "r u", "1_relay"),
        node("MatMul", "1_relay v", "c"),
        node("Relu", "c", "d"),
        node("Add", "b d", "y"),
    ]
    weights = {"w": normal(9, 2), "u": normal(9, 2), "v": normal(2, 9)}
    parts = read(model(nodes, {"x": ["N", 9]}, weights)).parts
    names = [item.name for item in make_streams(parts, FEW, "all").relays.values()]
    assert len(set(names)) == len(names) == 2
    assert all(name.isidentifier() and name.endswith("_") for name in names)


def test_an_unknown_choice_is_refused() -> None:
    parts = grid_networks.convert("signal", "few-spike", steps=6).model.parts
    with pytest.raises(BackendError, match="relays='some': choose auto, none or all"):
        make_streams(parts, FEW, "some")
    with pytest.raises(BackendError, match="at 'some', 'y', but at 'v':"):
        make_streams(parts, FEW, ["y", "some"])


def test_tensors_where_no_relay_can_stand_are_named_with_those_where_one_can() -> None:
    network = grid_networks.convert("streams", "few-spike", steps=8)
    x = grid_networks.samples(network, 2)
    with pytest.raises(BackendError, match=r"at 'c2', 's9', but at .*'s0'.* and \d more:"):
        network.predict(x, backend="onnxruntime", relays=["s0", "s9", "c2"])
    made = make_streams(network.model.parts, network.coding, ["s0"])
    assert list(made.relays) == ["s0"]


def test_what_is_counted_goes_by_the_relays_that_are_asked_for() -> None:
    network = grid_networks.convert("streams", "few-spike", steps=8)
    x = grid_networks.samples(network, 2)
    found = {
        relays: network.evaluate(x, backend="onnxruntime", relays=relays)
        for relays in ("none", "all", None)
    }
    assert found["all"].latency_steps > found["none"].latency_steps
    assert found["all"].sops_per_sample != found["none"].sops_per_sample
    assert found[None].latency_steps == network.latency
    answers = [network.predict(x, backend="onnxruntime", relays=item) for item in ("none", "all")]
    np.testing.assert_array_equal(*answers)
