"""Measure networks that multiply activations: neurons, and how close their answers come.

    python scripts/measure/products.py                 # a transformer on digits, a normalised MLP
    python scripts/measure/products.py MODEL.onnx ...  # networks for images, on random ones

Few-spike coding on the embedded engine.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import EXAMPLES, MODELS
from onnx2genn.ir.run import Runner

_STEPS = (6, 8)
_WIDTHS = (64, 128, 128, 10)


def main() -> None:
    """Print one line for each network and number of steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--samples", type=int, default=4, help="random images")
    options = parser.parse_args()
    if options.models:
        for path in options.models:
            measure_images(path, options.samples)
        return
    (x, _), (unseen, labels) = (_digits(split) for split in ("train", "test"))
    for steps in _STEPS:
        network = onnx2genn.convert(MODELS / "digits_vit.onnx", x[:500], steps=steps)
        found = network.evaluate(unseen, labels, backend="onnxruntime")
        print(
            f"digits_vit T={steps}: {network.neurons:,} neurons, depth "
            f"{network.model.parts.depth}, ANN {found.ann_accuracy:.2%}, SNN "
            f"{found.snn_accuracy:.2%}, agreement {found.agreement:.2%}, "
            f"error {error(network, unseen):.4f}"
        )
    proto, generator = normalised(), np.random.default_rng(1)
    x, unseen = (generator.normal(size=(500, _WIDTHS[0])).astype(np.float32) for _ in range(2))
    for steps in _STEPS:
        network = onnx2genn.convert(proto, x, steps=steps)
        print(
            f"layer norm T={steps}: {network.neurons:,} neurons, error {error(network, unseen):.4f}"
        )


def _digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(EXAMPLES / f"digits_{split}.npz") as data:
        return data["x"].transpose(0, 3, 1, 2).copy(), data["y"].astype(int)


def normalised() -> onnx.ModelProto:
    """A perceptron with random weights and LayerNormalization before each Relu."""
    generator = np.random.default_rng(0)
    nodes, weights, name = [], {}, "x"
    for layer, (before, after) in enumerate(itertools.pairwise(_WIDTHS)):
        matrix = generator.normal(size=(before, after)) / np.sqrt(before)
        weights[f"w{layer}"] = matrix.astype(np.float32)
        nodes.append(helper.make_node("MatMul", [name, f"w{layer}"], [f"a{layer}"]))
        name = f"a{layer}"
        if layer < len(_WIDTHS) - 2:
            weights[f"g{layer}"] = generator.uniform(0.5, 1.5, after).astype(np.float32)
            weights[f"b{layer}"] = generator.normal(size=after).astype(np.float32) / 4
            read = [name, f"g{layer}", f"b{layer}"]
            nodes.append(helper.make_node("LayerNormalization", read, [f"n{layer}"]))
            nodes.append(helper.make_node("Relu", [f"n{layer}"], [f"r{layer}"]))
            name = f"r{layer}"
    graph = helper.make_graph(
        nodes,
        "normalised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", _WIDTHS[0]])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", _WIDTHS[-1]])],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def error(network: onnx2genn.SpikingNetwork, x: np.ndarray, size: int | None = None) -> float:
    """Root mean square error of the logits over their spread."""
    output = network.model.graph.output
    (wanted,) = Runner(network.model.to_onnx())({network.input_name: x}, [output]).values()
    got = network.predict(x, backend="onnxruntime", batch_size=size)
    return float(np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std())


def measure_images(path: Path, count: int) -> None:
    """Convert a network for images, and run it on some that it was not calibrated on."""
    proto = onnx.load(path)
    shape = [axis.dim_value for axis in proto.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(0).normal(size=(2 * count, *shape)).astype(np.float32)
    start = time.monotonic()
    network = onnx2genn.convert(proto, x[:count], steps=8, per_channel=True)
    converted = time.monotonic()
    found = error(network, x[count:], 1)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{path.stem} {shape}: {network.neurons:,} neurons in {len(network.populations)} "
        f"populations, depth {network.model.parts.depth}; converted in {converted - start:.0f} s, "
        f"{count} samples in {time.monotonic() - converted:.0f} s, {memory:.1f} GiB at most; "
        f"error {found:.4f}"
    )


if __name__ == "__main__":
    main()
