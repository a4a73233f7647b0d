"""Max pooling by spikes."""

import numpy as np
import pytest
from helpers.onnx_models import ints, model, node, normal

import onnx2genn
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.run import session

WINDOWS = {
    "apart": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "overlapping, padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "remainder": {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    "dilated": {"kernel_shape": [2, 2], "dilations": [2, 3]},
}

CALIBRATION = normal(64, 2, 7, 7, seed=3)


def network(window, coding, *, between=(), channels=4, **options):
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r", name="neurons"),
        *between,
        node("MaxPool", between[-1].output[0] if between else "r", "p", name="pool", **window),
        node("GlobalAveragePool", "p", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f v", "y"),
    ]
    weights = {"w": normal(4, 2, 3, 3, scale=0.5), "b": normal(4), "v": normal(channels, 3)}
    proto = model(nodes, {"x": ["N", 2, 7, 7]}, weights)
    return onnx2genn.convert(proto, CALIBRATION, coding, **options)


def run(snn, samples):
    with open_simulator(snn, "onnxruntime") as simulator:
        return simulator.run(samples, record=True)


def pooled(snn, codes):
    """Pool by onnxruntime."""
    pool = next(item for item in snn.populations if item.pools)
    segment = pool.segment
    whole = type(segment)(
        sources=segment.sources,
        target=pool.tensor,
        nodes=(*segment.nodes, pool.node),
        constants=segment.constants,
        shapes=segment.shapes,
    )
    (result,) = session(whole.to_onnx()).run(None, {segment.sources[0]: codes})
    return result


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_a_pool_sends_the_largest_count_of_its_window(window, coding):
    snn = network(WINDOWS[window], coding)
    activity = run(snn, normal(8, 2, 7, 7, seed=5))
    np.testing.assert_array_equal(
        activity.codes["pool"], pooled(snn, activity.codes["neurons"].astype(np.float32))
    )
    assert activity.spikes["pool"].any()
    assert snn.thresholds["pool"] is snn.thresholds["neurons"]


def test_a_rate_pool_never_fires_twice_in_a_step():
    snn = network(WINDOWS["apart"], "rate", steps=16)
    spikes = run(snn, normal(8, 2, 7, 7, seed=5)).spikes["pool"]
    assert spikes.max() <= 16
    assert (spikes == np.round(spikes)).all()


def test_rate_approaches_the_ann():
    x = CALIBRATION[:32]  # so that no neuron saturates
    errors = []
    for steps in (16, 64, 512):
        snn = network(WINDOWS["overlapping, padded"], "rate", steps=steps, threshold="max")
        (ann,) = session(snn.model.to_onnx()).run(["y"], {"x": x})
        errors.append(np.abs(snn.predict(x, backend="onnxruntime") - ann).max() / np.abs(ann).max())
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.02


def test_a_pool_over_a_concatenation_has_both_thresholds():
    between = [
        node("Neg", "c", "n"),
        node("Relu", "n", "q"),
        node("Concat", "r q", "both", axis=1),
    ]
    snn = network(WINDOWS["apart"], "few-spike", between=between, channels=8)
    sources = [item for item in snn.populations if not item.pools]
    np.testing.assert_array_equal(
        snn.thresholds["pool"], np.concatenate([snn.thresholds[item.name] for item in sources])
    )
    result = snn.evaluate(normal(32, 2, 7, 7, seed=5), backend="onnxruntime")
    assert min(item.correlation for item in result.populations) > 0.99


def test_a_pool_over_several_channels_has_one_threshold():
    between = [node("Transpose", "r", "t", perm=[0, 2, 1, 3])]
    options = {"between": between, "channels": 7}
    window = {"kernel_shape": [2, 2]}
    snn = network(window, "few-spike", **options)
    assert snn.thresholds["neurons"].size == 1
    activity = run(snn, normal(8, 2, 7, 7, seed=5))
    codes = activity.codes["neurons"].astype(np.float32)
    np.testing.assert_array_equal(activity.codes["pool"], pooled(snn, codes))


def test_synaptic_operations_count_every_window_that_a_neuron_is_in():
    snn = network({"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, "few-spike")
    x = normal(4, 2, 7, 7, seed=5)
    result = snn.evaluate(x, backend="onnxruntime")
    spikes = run(snn, x).spikes
    rows = np.array([2, 3, 3, 3, 3, 3, 2])
    to_pool = (spikes["neurons"] * np.outer(rows, rows)).sum()
    # The means of 4 planes are sent on in each of 8 steps, to 3 classes.
    to_mean, to_readout = spikes["pool"].sum(), 8 * 4 * 3
    assert result.sops_per_sample == pytest.approx((to_pool + to_mean) / 4 + to_readout)


def test_saved_and_loaded(tmp_path):
    snn = network(WINDOWS["apart"], "few-spike")
    snn.save(tmp_path / "net.onnx")
    x = normal(8, 2, 7, 7, seed=5)
    again = onnx2genn.load(tmp_path / "net.onnx")
    np.testing.assert_array_equal(
        again.predict(x, backend="onnxruntime"), snn.predict(x, backend="onnxruntime")
    )


def test_without_calibration():
    nodes = [node("Relu", "x", "r"), node("MaxPool", "r", "y", **WINDOWS["apart"])]
    snn = onnx2genn.convert(model(nodes, {"x": ["N", 2, 8, 8]}))
    assert ints(*(array.size for array in snn.thresholds.values())).tolist() == [1, 1]


@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_a_maximum_over_the_first_axis_of_a_sample(coding):
    """As Keras writes GlobalMaxPooling1D: samples are [time, channels]."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Relu", "a", "r"),
        node("ReduceMax", "r", "m", axes=[1], keepdims=0),
        node("Reshape", "m pairs", "q"),
        node("ReduceMax", "q", "n", axes=[2], keepdims=0),
        node("MatMul", "n v", "y"),
    ]
    weights = {"w": normal(4, 6), "v": normal(3, 2), "pairs": ints(0, 3, 2)}
    proto = model(nodes, {"x": ["N", 9, 4]}, weights)
    x = normal(300, 9, 4, seed=1)
    snn = onnx2genn.convert(proto, x[:200], coding)
    (wanted,) = session(proto).run(None, {"x": x[200:]})
    got = snn.predict(x[200:], backend="onnxruntime")
    assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.99
    assert all(np.ptp(item) == 0 for item in snn.thresholds.values())
