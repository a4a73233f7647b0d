"""Changing the unit of a segment's sources and target changes nothing else."""

import numpy as np
import pytest
from helpers.onnx_models import ints, model, node, normal

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import session

BATCH_NORM = {"s": normal(4), "b": normal(4), "m": normal(4), "v": np.abs(normal(4)) + 0.1}
SEGMENTS = {
    "conv": ([node("Conv", "r w b", "o")], {"w": normal(3, 4, 3, 3), "b": normal(3)}),
    "padded conv": ([node("Conv", "r w", "o", pads=[1, 1, 1, 1])], {"w": normal(3, 4, 3, 3)}),
    "grouped conv": (
        [node("Conv", "r w", "o", group=2, strides=[2, 2])],
        {"w": normal(6, 2, 3, 3)},
    ),
    "transposed conv": (
        [node("ConvTranspose", "r w b", "o")],
        {"w": normal(4, 3, 3, 3), "b": normal(3)},
    ),
    "pool and dense": (
        [
            node("AveragePool", "r", "p", kernel_shape=[2, 2], pads=[1, 0, 0, 1]),
            node("Flatten", "p", "f"),
            node("Gemm", "f w b", "o"),
        ],
        {"w": normal(100, 3), "b": normal(3)},
    ),
    "batch norm before a padded conv": (
        [
            node("BatchNormalization", "r s b m v", "n"),
            node("Conv", "n w", "o", pads=[1, 1, 1, 1]),
        ],
        {**BATCH_NORM, "w": normal(3, 4, 3, 3)},
    ),
    "residual": (
        [node("Conv", "r w", "c"), node("Add", "c q", "o")],
        {"w": normal(4, 4, 1, 1)},
    ),
    "concat": (
        [node("Concat", "r q", "c", axis=1), node("Conv", "c w", "o")],
        {"w": normal(3, 8, 2, 2)},
    ),
    "concat with nothing behind": ([node("Concat", "r q", "o", axis=1)], {}),
    "identity": ([node("Identity", "r", "o")], {}),
    "reduction": ([node("ReduceMean", "r", "o", axes=[1, 2], keepdims=0)], {}),
    "moved": (
        [
            node("Transpose", "r", "t", perm=[0, 2, 1, 3]),
            node("Slice", "t one four axis", "o"),
        ],
        {"one": ints(1), "four": ints(4), "axis": ints(1)},
    ),
}


def last_segment(name):
    """Return the segment of the last Relu, behind the populations r and q."""
    nodes, weights = SEGMENTS[name]
    nodes = [node("Relu", "x", "r"), node("Relu", "x2", "q"), *nodes, node("Relu", "o", "y")]
    x2 = [node("Neg", "x", "x2")]
    found = read(model([*nodes[:1], *x2, *nodes[1:]], {"x": ["N", 4, 5, 5]}, weights))
    return found.parts.populations[-1].segment


@pytest.mark.parametrize("name", SEGMENTS)
@pytest.mark.parametrize("kind", ["scalar", "channel", "neuron"])
def test_in_units(name, kind):
    segment = last_segment(name)

    def unit(shape, seed):
        size = {"scalar": (), "channel": (shape[0], *[1] * (len(shape) - 1)), "neuron": shape}[kind]
        return 0.5 + np.random.default_rng(seed).random(size, dtype=np.float32)

    units = {source: unit(segment.shapes[source], i) for i, source in enumerate(segment.sources)}
    target_unit = unit(segment.shape, 9)
    counts = {
        source: np.random.default_rng(i).integers(0, 9, (3, *segment.shapes[source])).astype("f4")
        for i, source in enumerate(segment.sources)
    }
    scaled = segment.in_units(units, target_unit)
    (got,) = session(scaled.to_onnx()).run(None, counts)
    values = {source: counts[source] * units[source] for source in segment.sources}
    (wanted,) = session(segment.to_onnx()).run(None, values)
    wanted = wanted / target_unit
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    assert scaled.shape == segment.shape


@pytest.mark.parametrize("name", ["conv", "padded conv", "grouped conv", "pool and dense"])
def test_units_go_into_the_weights(name):
    segment = last_segment(name)
    units = {source: np.full((), 0.5, np.float32) for source in segment.sources}
    channels = np.linspace(1, 2, segment.shape[0], dtype=np.float32)
    target_unit = channels.reshape(-1, *[1] * (len(segment.shape) - 1))
    scaled = segment.in_units(units, target_unit)
    assert [item.op for item in scaled.nodes] == [item.op for item in segment.nodes]


def test_sources_without_a_unit_keep_theirs():
    segment = last_segment("conv")
    scaled = segment.in_units({}, np.float32(1))
    feed = {segment.sources[0]: normal(2, 4, 5, 5)}
    np.testing.assert_array_equal(
        session(scaled.to_onnx()).run(None, feed)[0], session(segment.to_onnx()).run(None, feed)[0]
    )


def test_weights_that_overflow_in_units_are_refused():
    segment = last_segment("conv")
    units = {source: np.float32(1e38) for source in segment.sources}
    with pytest.raises(UnsupportedModelError, match="beyond the range of 32-bit floats"):
        segment.in_units(units, np.float32(1e-6))
