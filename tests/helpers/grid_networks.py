"""Networks on a binary grid, where float32 sums are exact in whatever order they are taken.

Weights and inputs are small multiples of 1/8, thresholds powers of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx

from helpers.onnx_models import model, node, side_by_side
from onnx2genn.calibrate.digits import together
from onnx2genn.coding import Coding, make
from onnx2genn.frontend.pipeline import read
from onnx2genn.spiking_network import SpikingNetwork


def grid(*shape: int, seed: int = 0) -> np.ndarray:
    """Random multiples of 1/8 from -1/2 to 1/2."""
    values = np.random.default_rng([seed, *shape]).integers(-4, 5, shape)
    return values.astype(np.float32) / 8


def relu(source: str, target: str) -> onnx.NodeProto:
    return node("Relu", source, target, name=target)


def residual() -> onnx.ModelProto:
    """Identity and projection skips past one and two populations; the input skips, too."""
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        relu("c0", "r0"),
        node("Conv", "r0 w1 b1", "c1", pads=[1] * 4),
        relu("c1", "r1"),
        node("Conv", "r1 w2", "c2", pads=[1] * 4),
        node("Add", "c2 r0", "s2"),
        relu("s2", "r2"),
        node("Conv", "r2 w3 b3", "c3", strides=[2, 2], pads=[1] * 4),
        relu("c3", "r3"),
        node("Conv", "r3 w4", "c4", pads=[1] * 4),
        relu("c4", "r4"),
        node("Conv", "r4 w5", "c5", pads=[1] * 4),
        node("Conv", "r2 w6", "c6", strides=[2, 2]),
        node("Conv", "x w7 b7", "c7", strides=[2, 2]),
        node("Add", "c5 c6", "s5"),
        node("Add", "s5 c7", "s6"),
        relu("s6", "r5"),
        node("GlobalAveragePool", "r5", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f w8 b8", "y"),
    ]
    weights = {
        **{f"w{i}": grid(4, 4, 3, 3, seed=i) for i in (1, 2)},
        **{f"w{i}": grid(6, 6, 3, 3, seed=i) for i in (4, 5)},
        "w0": grid(4, 2, 3, 3),
        "w3": grid(6, 4, 3, 3),
        "w6": grid(6, 4, 1, 1),
        "w7": grid(6, 2, 1, 1),
        "w8": grid(6, 3),
        "b0": grid(4),
        "b1": grid(4),
        "b3": grid(6),
        "b7": grid(6),
        "b8": grid(3),
    }
    return model(nodes, {"x": ["N", 2, 8, 8]}, weights)


def mobile() -> onnx.ModelProto:
    """Depthwise and strided convolutions with asymmetric pads, pooling with a remainder."""
    nodes = [
        node("Conv", "x w0 b0", "c0", strides=[2, 2], pads=[0, 0, 1, 1]),
        relu("c0", "r0"),
        node("Conv", "r0 w1 b1", "c1", group=4, pads=[0, 1, 2, 1]),
        relu("c1", "r1"),
        node("Conv", "r1 w2 b2", "c2", group=2, dilations=[1, 2], pads=[1, 2, 0, 1]),
        relu("c2", "r2"),
        node("AveragePool", "r2", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p w3 b3", "c3", strides=[2, 1]),
        relu("c3", "r3"),
        node("Flatten", "r3", "f"),
        node("Gemm", "f w4", "y"),
    ]
    weights = {
        "w0": grid(4, 2, 3, 3),
        "w1": grid(4, 1, 3, 3),
        "w2": grid(6, 2, 2, 2),
        "w3": grid(5, 6, 2, 2),
        "w4": grid(10, 3),
        "b0": grid(4),
        "b1": grid(4),
        "b2": grid(6),
        "b3": grid(5),
    }
    return model(nodes, {"x": ["N", 2, 13, 13]}, weights)


def branches() -> onnx.ModelProto:
    """Branches of unequal depth that are joined, and overlapping max pooling of both."""
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        relu("c0", "r0"),
        node("Conv", "r0 w1 b1", "c1", pads=[1] * 4),
        relu("c1", "r1"),
        node("Concat", "r0 r1", "j", axis=1),
        node("Conv", "j w2 b2", "c2"),
        relu("c2", "r2"),
        node("MaxPool", "j", "m", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, name="pool"),
        node("Conv", "m w3", "c3"),
        node("Conv", "r2 w4", "c4", strides=[2, 2]),
        node("Concat", "c3 c4", "k", axis=1),
        relu("k", "r3"),
        node("Flatten", "r3", "f"),
        node("Gemm", "f w5 b5", "y"),
    ]
    weights = {
        "w0": grid(3, 2, 3, 3),
        "w1": grid(5, 3, 3, 3),
        "w2": grid(4, 8, 3, 3),
        "w3": grid(3, 8, 2, 2),
        "w4": grid(2, 4, 1, 1),
        "w5": grid(45, 3),
        "b0": grid(3),
        "b1": grid(5),
        "b2": grid(4),
        "b5": grid(3),
    }
    return model(nodes, {"x": ["N", 2, 7, 7]}, weights)


def signal() -> onnx.ModelProto:
    """Convolutions over one axis, and data movement that no convolution has."""
    nodes = [
        node("Conv", "x w0 b0", "c0", strides=[2], pads=[2, 1]),
        relu("c0", "r0"),
        node("Conv", "r0 w1 b1", "c1", group=2, dilations=[2], pads=[2, 2]),
        relu("c1", "r1"),
        node("Transpose", "r1", "t", perm=[0, 2, 1]),
        node("MatMul", "t w2", "u"),
        relu("u", "r2"),
        node("Slice", "r2 starts ends axes steps", "v"),
        node("Flatten", "v", "f"),
        node("Gemm", "f w3", "y"),
    ]
    weights = {
        "w0": grid(4, 2, 5),
        "w1": grid(6, 2, 3),
        "w2": grid(6, 5),
        "w3": grid(20, 3),
        "b0": grid(4),
        "b1": grid(6),
        "starts": np.array([7]),
        "ends": np.array([-100]),
        "axes": np.array([1]),
        "steps": np.array([-2]),
    }
    return model(nodes, {"x": ["N", 2, 16]}, weights)


def fusion() -> onnx.ModelProto:
    """Two images, joined in two ways, and a vector that enters late."""
    nodes = [
        node("Conv", "image w0 b0", "c0", pads=[1] * 4),
        relu("c0", "r0"),
        node("Conv", "depth w1", "c1", pads=[1] * 4),
        node("Add", "c0 c1", "s1"),
        relu("s1", "r1"),
        node("Concat", "r0 r1 depth", "j", axis=1),
        node("Conv", "j w2 b2", "c2", strides=[2, 2]),
        relu("c2", "r2"),
        node("Flatten", "r2", "f"),
        node("Concat", "f vector", "g", axis=1),
        node("Gemm", "g w3 b3", "h"),
        relu("h", "r3"),
        node("Gemm", "r3 w4", "l"),
        node("Add", "l vector", "y"),
    ]
    weights = {
        "w0": grid(3, 2, 3, 3),
        "w1": grid(3, 1, 3, 3),
        "w2": grid(4, 7, 3, 3),
        "w3": grid(20, 6),
        "w4": grid(6, 4),
        "b0": grid(3),
        "b2": grid(4),
        "b3": grid(6),
    }
    inputs = {"image": ["N", 2, 5, 5], "depth": ["N", 1, 5, 5], "vector": ["N", 4]}
    return model(nodes, inputs, weights)


def tokens() -> onnx.ModelProto:
    """Patches beside a class token, a matrix for each head, all for a batch of one."""
    nodes = [
        node("Conv", "x w0 b0", "c0", strides=[2, 2]),
        node("Reshape", "c0 s0", "f0"),
        node("Transpose", "f0", "t0", perm=[0, 2, 1]),
        node("Concat", "token t0", "j0", axis=1),
        relu("j0", "r0"),
        node("Reshape", "r0 s1", "h1"),
        node("Transpose", "h1", "t1", perm=[0, 2, 1, 3]),
        node("MatMul", "t1 w1", "m1"),
        node("Add", "m1 b1", "z1"),
        relu("z1", "r1"),
        node("Einsum", "r1 w2", "e2", equation="bhmd,hde->bmhe"),
        relu("e2", "r2"),
        node("Flatten", "r2", "f2"),
        node("Gemm", "f2 w3", "y"),
    ]
    weights = {
        "w0": grid(6, 2, 2, 2),
        "b0": grid(6),
        "s0": np.array([1, 6, 9]),
        "token": grid(1, 1, 6),
        "s1": np.array([1, 10, 2, 3]),
        "w1": 2 * grid(2, 3, 4),
        "b1": grid(2, 1, 4),
        "w2": 4 * grid(2, 4, 3),
        "w3": grid(60, 4),
    }
    return model(nodes, {"x": [1, 2, 6, 6]}, weights)


def largest(size: int = 4) -> onnx.ModelProto:
    """Global max pooling, whose window is a whole plane."""
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        relu("c0", "r0"),
        node("GlobalMaxPool", "r0", "m", name="pool"),
        node("Flatten", "m", "f"),
        node("Gemm", "f w1 b1", "h"),
        relu("h", "r1"),
        node("Gemm", "r1 w2", "y"),
    ]
    weights = {
        "w0": grid(5, 2, 3, 3),
        "w1": grid(5, 6),
        "w2": grid(6, 3),
        "b0": grid(5),
        "b1": grid(6),
    }
    return model(nodes, {"x": ["N", 2, size, size]}, weights)


def gates() -> onnx.ModelProto:
    """Products of spikes and of input currents, of equal shapes and of some that repeat."""
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        relu("c0", "r0"),
        node("Conv", "x w1", "c1", pads=[1] * 4),
        node("Mul", "c1 r0", "p1", name="p1"),
        node("GlobalAveragePool", "r0", "m"),
        node("Conv", "m w2 b2", "c2"),
        relu("c2", "r2"),
        node("Mul", "r2 p1", "p2", name="p2"),
        node("Conv", "p2 w3 b3", "c3", strides=[2, 2]),
        relu("c1", "a1"),
        node("Mul", "a1 scale", "d1"),
        node("Mul", "d1 c1", "p0", name="p0"),
        node("Add", "p0 p1", "s0"),
        node("Conv", "s0 w4", "c4", strides=[2, 2]),
        relu("c4", "r4"),
        node("Mul", "c3 r4", "p3"),
        node("Mul", "p3 gain", "g3"),
        node("Add", "g3 shift", "s3"),
        relu("s3", "r5"),
        node("Flatten", "r5", "f"),
        node("Gemm", "f w5", "y"),
    ]
    weights = {
        "w0": 2 * grid(4, 2, 3, 3),
        "b0": 2 * grid(4),
        "w1": 2 * grid(4, 2, 3, 3),
        "w2": np.abs(4 * grid(4, 4, 1, 1)),
        "b2": np.float32([0.5, 0.25, 0.75, 0.125]),
        "scale": np.float32([1, 0.5, 2, 0.25]).reshape(4, 1, 1),
        "gain": 4 * grid(6, 1, 1),
        "shift": np.abs(grid(6, 1, 1)),
        "w3": 4 * grid(6, 4, 2, 2),
        "b3": 4 * grid(6),
        "w4": 4 * grid(6, 4, 2, 2),
        "w5": grid(24, 3),
    }
    return model(nodes, {"x": ["N", 2, 4, 4]}, weights)


def mixing() -> onnx.ModelProto:
    """Products of matrices: of two populations, with a group for both heads, and of the input."""
    nodes = [
        node("MatMul", "x w0", "q0"),
        node("Reshape", "q0 heads", "q1"),
        node("Transpose", "q1", "q2", perm=[0, 2, 1, 3]),
        relu("q2", "q"),
        node("MatMul", "x w1", "k0"),
        relu("k0", "k"),
        node("Reshape", "k one", "k1"),
        node("Transpose", "k1", "k2", perm=[0, 1, 3, 2]),
        node("MatMul", "q k2", "s", name="scores"),
        node("Add", "s shift", "s1"),
        relu("s1", "r4"),
        node("Reshape", "r4 rows", "r5"),
        node("MatMul", "r5 x", "m", name="mix"),
        node("Flatten", "m", "f"),
        node("Gemm", "f w2", "y"),
    ]
    weights = {
        "w0": 2 * grid(5, 6),
        "w1": 2 * grid(5, 3),
        "w2": grid(40, 3),
        "shift": grid(2, 4, 1),
        "heads": np.array([0, 4, 2, 3]),
        "one": np.array([0, 1, 4, 3]),
        "rows": np.array([0, 8, 4]),
    }
    return model(nodes, {"x": ["N", 4, 5]}, weights)


def recurrent() -> onnx.ModelProto:
    """Three steps of a layer with a state, written one after the other."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("RNN", "t w0 r0 b0", "_ h", hidden_size=5, activations=["Relu"]),
        node("Squeeze", "h axis", "s"),
        node("Gemm", "s w1 b1", "y"),
    ]
    weights = {
        "w0": 2 * grid(1, 5, 4),
        "r0": grid(1, 5, 5),
        "b0": np.abs(grid(1, 10)),
        "axis": np.array([0]),
        "w1": grid(5, 3),
        "b1": grid(3),
    }
    return model(nodes, {"x": ["N", 3, 4]}, weights)


def direct() -> onnx.ModelProto:
    """Logistic regression: no population at all."""
    return model([node("Gemm", "x w b", "y")], {"x": ["N", 6]}, {"w": grid(6, 3), "b": grid(3)})


def streams() -> onnx.ModelProto:
    """Linear bottlenecks in a residual stream that the input enters, too; one is centred."""
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        relu("c0", "r0"),
        node("Conv", "r0 w1 b1", "s0"),
        node("Conv", "s0 w2 b2", "c2", pads=[1] * 4),
        relu("c2", "r1"),
        node("Conv", "r1 w3 b3", "c3"),
        node("Add", "c3 s0", "s1"),
        node("Conv", "s1 w4 b4", "c4"),
        relu("c4", "r2"),
        node("Conv", "r2 w5", "c5", group=8, pads=[1] * 4),
        relu("c5", "r3"),
        node("Conv", "r3 w6", "c6"),
        node("Conv", "x w7 b7", "c7"),
        node("Add", "c6 s1", "a2"),
        node("Add", "a2 c7", "s2"),
        node("ReduceMean", "s2", "m", axes=[1]),
        node("Sub", "s2 m", "n"),
        node("Conv", "n w8", "c8", strides=[2, 2]),
        relu("c8", "r4"),
        node("GlobalAveragePool", "s2", "g"),
        node("Conv", "r4 w9", "c9", strides=[2, 2]),
        node("Concat", "c9 g", "j", axis=1),
        node("Flatten", "j", "f"),
        node("Gemm", "f w10 b10", "y"),
    ]
    weights = {
        "w0": grid(8, 2, 3, 3),
        "b0": np.abs(grid(8)),
        "w1": grid(2, 8, 1, 1),
        "b1": grid(2),
        "w2": grid(8, 2, 3, 3),
        "b2": np.abs(grid(8, seed=1)),
        "w3": grid(2, 8, 1, 1, seed=1),
        "b3": grid(2, seed=1),
        "w4": 2 * grid(8, 2, 1, 1),
        "b4": np.abs(grid(8, seed=2)),
        "w5": grid(8, 1, 3, 3),
        "w6": grid(2, 8, 1, 1, seed=2),
        "w7": grid(2, 2, 1, 1),
        "b7": grid(2, seed=2),
        "w8": 4 * grid(6, 2, 2, 2),
        "w9": grid(4, 6, 1, 1),
        "w10": grid(6, 3),
        "b10": grid(3),
    }
    return model(nodes, {"x": ["N", 2, 4, 4]}, weights)


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "residual": residual,
    "mobile": mobile,
    "branches": branches,
    "signal": signal,
    "fusion": fusion,
    "tokens": tokens,
    "largest": largest,
    "recurrent": recurrent,
    "streams": streams,
    "gates": gates,
    "mixing": mixing,
    "direct": direct,
}

FOUR = ("r2", "r4")
TOGETHER = "together"


def convert(
    name: str, coding: str | Coding, *, scale: float = 1.0, **options: object
) -> SpikingNetwork:
    """Convert a network with thresholds of two, and of four in some populations.

    Args:
        name: One of ``NETWORKS``, or ``TOGETHER`` for all side by side.
        coding: Name of the coding, or the coding.
        scale: Factor of the thresholds, so that the value of the smallest spike is on the grid.
        options: Of the coding.
    """
    coded = make(coding, **options)
    parts = {key: make_proto() for key, make_proto in NETWORKS.items() if name in (key, TOGETHER)}
    proto = side_by_side(parts, batch=1) if name == TOGETHER else parts[name]
    found = replace(read(proto), verify=None)  # as a network that is encoded
    return SpikingNetwork(
        model=found,
        coding=coded,
        thresholds={
            item.name: np.full((), scale * (4.0 if item.name.endswith(FOUR) else 2.0), np.float32)
            for item in found.parts.populations
        },
        offsets={item.name: np.zeros((), np.float32) for item in found.parts.populations},
        readout_threshold=np.full((), scale, np.float32),
    )


def with_fewer_digits(network: SpikingNetwork) -> SpikingNetwork:
    """Take one and two digits from two of three groups; thresholds keep spikes on the grid."""
    steps, populations = network.coding.steps, network.populations
    parts = {less: network.coding.with_digits(steps - less).quantiser.parts for less in range(3)}
    digits, thresholds = {}, dict(network.thresholds)
    for index, group in enumerate(together(populations)):
        less = index % 3
        ratio = parts[less] / parts[0]
        for name in group if less else ():
            digits[name] = steps - less
            thresholds[name] = thresholds[name] * np.float32(ratio * 2 ** -round(np.log2(ratio)))
    return replace(network, digits=digits, thresholds=thresholds)


def samples(network: SpikingNetwork, count: int = 64) -> np.ndarray:
    """Random inputs on the grid, or counts of events; several inputs side by side."""
    if network.coding.events:
        random = np.random.default_rng(7)
        counts = random.integers(-20, 4, (count, network.coding.steps, *network.input_shape))
        return np.maximum(counts, 0).astype(np.uint8)
    return 4 * grid(count, *network.input_shape, seed=7)
