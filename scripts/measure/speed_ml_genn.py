"""Compare GeNN's CPU backend under onnx2genn with ml_genn, on ml_genn's simple CNN, in one run.

    python scripts/measure/speed_ml_genn.py --data mnist.npz --ml-genn ENVIRONMENT/bin/python

The environment of ml_genn is described in ``ml_genn_side.py``. The first run trains the network
there and keeps its weights. Then accuracy and images per second of the ANN (onnxruntime, one image
at a time), of onnx2genn on GeNN with scatter and portable connectivity and on the embedded engine
(one thread), and of ml_genn as it comes and compiled with ``optimize_code``, for few-spike coding
with 8 steps and rate coding with 100.
``--record`` keeps the ratios for the README in ``docs/benchmarks.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common.datasets import read_mnist
from common.records import store_ratio
from common.rows import Row
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.run import session

SIDE = Path(__file__).with_name("ml_genn_side.py")
# ml_genn's neurons do not look ahead.
CODINGS: dict[str, dict[str, Any]] = {
    "few-spike": {"steps": 8},
    "rate": {"steps": 100, "lookahead": 0},
}
GENN = "single_threaded_cpu"
# Ours, by what they are called in the table; the first is compared with all others.
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "scatter": (GENN, {"connectivity": "scatter"}),
    "portable": (GENN, {"connectivity": "portable"}),
    "embedded": ("onnxruntime", {"threads": 1}),
}
SLOW = "portable"
SIDES = {"ml_genn": (), "ml_genn, optimize_code": ("--optimised",)}
EPOCHS = 5

Measured = tuple[float, float]  # accuracy, images per second


def main() -> None:
    """Measure all sides in turns, print a table, and keep the ratios where asked."""
    options = parse_arguments()
    if not options.weights.exists():
        ml_genn(options, "--train", str(EPOCHS))
    (train, _), (test, labels) = read_mnist(options.data)
    images = train[:1000], test[: options.images], labels[: options.images]
    measured: dict[str, list[Measured]] = {}
    for _ in range(options.rounds):
        for name, found in measure(options, *images):
            measured.setdefault(name, []).append(found)
    best = {name: max(found, key=lambda item: item[1]) for name, found in measured.items()}
    for name, (accuracy, speed) in best.items():
        print(f"{name:45} {speed:9.1f} images/s, accuracy {accuracy:.4f}")
    if options.record:
        for what in map(name_of, CODINGS):
            first, *others = (*OURS, *SIDES)
            for side in others:
                speeds = [best[f"{what}, {name}"][1] for name in (first, side)]
                store_ratio("measure/speed_ml_genn.py", "simple_cnn", what, side, speeds)


def measure(
    options: argparse.Namespace, train: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[str, Measured]]:
    """Measure each side once."""
    model = simple_cnn(options.weights)
    yield "ANN, onnxruntime", ann_speed(session(model, threads=1), test, labels)
    for coding, settings in CODINGS.items():
        network = onnx2genn.convert(model, train, coding, **settings)
        for name, backend in OURS.items():
            few = slice(options.few if name == SLOW else options.images)
            found = snn_speed(network, backend, test[few], labels[few])
            yield f"{name_of(coding)}, {name}", found
        words = ["--coding", coding, "--steps", settings["steps"], "--images", options.few]
        for side, flags in SIDES.items():
            answer = ml_genn(options, *map(str, words), *flags)
            found = answer["accuracy"], answer["images_per_second"]
            yield f"{name_of(coding)}, {side}", found


def name_of(coding: str) -> str:
    """Name a coding with its options, as in the README's table."""
    return str(Row(coding, CODINGS[coding])).replace(":", " T=").replace(",", ", ")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="MNIST, as keras keeps it")
    parser.add_argument("--ml-genn", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--weights", type=Path, default=Path("simple_cnn.npz"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--few", type=int, default=100, help="images for the slow sides")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="keep the ratios")
    return parser.parse_args()


def ml_genn(options: argparse.Namespace, *arguments: str) -> dict[str, float]:
    """Run ml_genn's side; return what it measured."""
    command = [options.ml_genn, SIDE, options.weights, "--data", options.data, *arguments]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    last = child.stdout.strip().splitlines()[-1]
    return json.loads(last) if last.startswith("{") else {}


def simple_cnn(weights: Path) -> onnx.ModelProto:
    """Write the trained network as ONNX."""
    with np.load(weights) as arrays:
        loaded = [arrays[name] for name in arrays.files]
    constants = {
        f"w{index}": array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
        for index, array in enumerate(loaded)
    }
    constants["shape"] = np.array([-1, len(loaded[2])])
    pool: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "w0"], ["c0"]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("AveragePool", ["r0"], ["p0"], **pool),
        helper.make_node("Conv", ["p0", "w1"], ["c1"]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("AveragePool", ["r1"], ["p1"], **pool),
        helper.make_node("Transpose", ["p1"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "w2"], ["c2"]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("MatMul", ["r2", "w3"], ["c3"]),
        helper.make_node("Relu", ["c3"], ["r3"]),
        helper.make_node("MatMul", ["r3", "w4"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "simple_cnn",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 28, 28, 1])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def ann_speed(ann: Any, x: np.ndarray, y: np.ndarray) -> Measured:
    """Run the ANN image by image; return accuracy and images per second."""
    start = time.perf_counter()
    for image in x[:1000]:
        ann.run(None, {"x": image[None]})
    seconds = time.perf_counter() - start
    (logits,) = ann.run(None, {"x": x})
    return float((logits.argmax(1) == y).mean()), 1000 / seconds


def snn_speed(
    network: onnx2genn.SpikingNetwork,
    backend: tuple[str, dict[str, Any]],
    x: np.ndarray,
    y: np.ndarray,
) -> Measured:
    """Simulate on a backend with its options; return accuracy and images per second."""
    name, settings = backend
    with open_simulator(network, name, **settings) as simulator:
        simulator.run(x[:5])
        start = time.perf_counter()
        logits = np.concatenate(
            [
                simulator.run(x[first : first + simulator.batch_size]).logits
                for first in range(0, len(x), simulator.batch_size)
            ]
        )
        seconds = time.perf_counter() - start
    return float((logits.argmax(1) == y).mean()), len(x) / seconds


if __name__ == "__main__":
    main()
