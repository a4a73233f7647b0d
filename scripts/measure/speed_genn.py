"""Measure the GeNN backend: accuracy and speed on MNIST, and the time to build a network.

    python scripts/measure/speed_genn.py [--backend single_threaded_cpu]

Prints test accuracy and images per second of the network in tests/models for few-spike and rate
coding beside the ANN's, then the seconds of the first build and of the second start of a network
of ten layers.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import MODELS, SHARED
from common.networks import read_images
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.run import Runner

MODEL = MODELS / "mnist.onnx"
CODINGS = {"few-spike": 8, "rate": 32}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED / "data", metavar="FOLDER")
    parser.add_argument("--backend", default="single_threaded_cpu")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--images", type=int, default=2000)
    options = parser.parse_args()
    (train, _), (test, labels) = read_images("mnist", options.data)
    test, labels = test[: options.images], labels[: options.images]
    ann = Runner(onnx.load(MODEL))
    (probabilities,) = ann({ann.inputs[0]: test}).values()
    print(f"ANN: accuracy {(probabilities.argmax(1) == labels).mean():.4f}")
    for coding, steps in CODINGS.items():
        network = onnx2genn.convert(MODEL, train[:1000], coding, steps=steps)
        with open_simulator(network, options.backend, batch_size=options.batch_size) as simulator:
            simulator.run(test[:2])
            start = time.perf_counter()
            logits = simulator.run(test).logits
            speed = len(test) / (time.perf_counter() - start)
        accuracy = (logits.argmax(1) == labels).mean()
        print(f"{coding} T={steps}: accuracy {accuracy:.4f}, {speed:.0f} images/s")
    print_build_times(options.backend)


def print_build_times(backend: str) -> None:
    """Build a network of ten layers twice."""
    network = onnx2genn.convert(ten_layers())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ONNX2GENN_CACHE"] = folder
        for name in ("first build", "second start"):
            start = time.perf_counter()
            with open_simulator(network, backend):
                print(f"ten layers, {name}: {time.perf_counter() - start:.1f} s")


def ten_layers() -> onnx.ModelProto:
    """Write eight convolutions, two of them strided, and two dense layers."""
    random = np.random.default_rng(0)
    channels = [3, 16, 16, 32, 32, 32, 64, 64, 64]
    constants: dict[str, np.ndarray] = {}
    nodes, name = [], "x"
    for index, (before, after) in enumerate(itertools.pairwise(channels)):
        stride = 2 if index in (2, 5) else 1
        constants[f"w{index}"] = random.normal(0, 0.1, (after, before, 3, 3)).astype(np.float32)
        nodes += [
            helper.make_node(
                "Conv", [name, f"w{index}"], [f"c{index}"], pads=[1] * 4, strides=[stride] * 2
            ),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"]),
        ]
        name = f"r{index}"
    constants["u"] = random.normal(0, 0.1, (1024, 64)).astype(np.float32)
    constants["v"] = random.normal(0, 0.1, (64, 10)).astype(np.float32)
    nodes += [
        helper.make_node("Flatten", [name], ["f"]),
        helper.make_node("MatMul", ["f", "u"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "v"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "ten_layers",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(array, key) for key, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    main()
