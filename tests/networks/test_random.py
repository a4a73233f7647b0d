"""Random networks: what holds for every network that converts.

ONNX2GENN_EXAMPLES=2000 tries so many new ones; without it the same few are tried each time.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.onnx_models import OLD_ONNXRUNTIME, check_model
from helpers.random_networks import networks
from hypothesis import HealthCheck, assume, given, settings, strategies

import onnx2genn
from onnx2genn.errors import UnsupportedModelError
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.run import Runner

EXAMPLES = int(os.environ.get("ONNX2GENN_EXAMPLES", "0"))
SAMPLES = 7
FEW = settings(
    derandomize=not EXAMPLES,
    max_examples=EXAMPLES or 12,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FEWEST = settings(FEW, max_examples=max(2, EXAMPLES // 100))
ACCUMULATING = {"few-spike": 10, "two-phase": 64, "first-spike": 64}


def samples(proto: onnx.ModelProto, *, grid: bool = False) -> np.ndarray:
    shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim[1:]]
    random = np.random.default_rng(0)
    if grid:
        return random.integers(-16, 17, (SAMPLES, *shape)).astype(np.float32) / 8
    return random.normal(size=(SAMPLES, *shape)).astype(np.float32)


def convert(proto: onnx.ModelProto, x: np.ndarray, **options: object) -> onnx2genn.SpikingNetwork:
    """Convert a network that is valid; it may be too large, but nothing else."""
    try:
        return onnx2genn.convert(proto, x, **options)
    except UnsupportedModelError as error:
        assert "error of onnx2genn" not in str(error), error
        assume(False)
        raise


def predict(network: onnx2genn.SpikingNetwork, x: np.ndarray, **options: object) -> np.ndarray:
    return network.predict(x, backend="onnxruntime", **options)


def close(a: np.ndarray, b: np.ndarray, share: float) -> bool:
    """Whether nearly all rows are equal; a threshold may tip by the order of a sum."""
    error = np.abs(a - b).max(axis=1) / np.abs(b).max(initial=1e-3)
    return float(np.quantile(error, 0.75)) <= share


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="some of its operators are wrong")
@FEW
@given(networks())
def test_the_graph_computes_what_the_file_computes(proto: onnx.ModelProto) -> None:
    try:
        check_model(proto)
    except UnsupportedModelError as error:
        assert "error of onnx2genn" not in str(error), error
        assume(False)


@FEW
@given(networks(), strategies.sampled_from(sorted(ACCUMULATING)))
def test_the_spikes_give_what_the_forecast_says(proto: onnx.ModelProto, coding: str) -> None:
    x = samples(proto)
    network = convert(proto, x, coding=coding, steps=4)
    spikes = predict(network, x)
    assert close(spikes, Forecast(network).logits(x), 1e-3)
    assert close(predict(network, x, batch_size=2), spikes, 1e-3)
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "snn.onnx")
        again = onnx2genn.load(Path(folder) / "snn.onnx")
    assert np.array_equal(predict(again, x), spikes)


@FEW
@given(networks())
def test_many_steps_give_what_the_ann_gives(proto: onnx.ModelProto) -> None:
    x = samples(proto)
    network = convert(proto, x, coding="few-spike", steps=14)
    ((name, wanted),) = Runner(network.model.to_onnx())({network.input_name: x}).items()
    assert close(predict(network, x), wanted, 0.02), name


@pytest.mark.genn
@FEWEST
@given(networks(grid=True), strategies.sampled_from(["few-spike", "two-phase", "rate"]))
def test_genn_gives_the_same_spikes(proto: onnx.ModelProto, coding: str) -> None:
    x = samples(proto, grid=True)
    network = convert(proto, None, coding=coding, steps=4)
    ones = {item.name: np.float32(2) for item in network.populations}
    network = type(network)(**{**vars(network), "thresholds": ones})
    assert np.array_equal(network.predict(x, backend="single_threaded_cpu"), predict(network, x))
