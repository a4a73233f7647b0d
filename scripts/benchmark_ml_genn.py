"""Compare GeNN's CPU backend under onnx2genn with ml_genn, on ml_genn's simple CNN, in one run.

    python scripts/benchmark_ml_genn.py --data mnist.npz --ml-genn ENVIRONMENT/bin/python

The environment of ml_genn is described in ``_ml_genn.py``. The first run trains the network there
and keeps its weights. Then accuracy and images per second of the ANN (onnxruntime, one image at a
time), of onnx2genn with scatter and portable connectivity, and of ml_genn as it comes and compiled
with ``optimize_code``, for few-spike coding with 8 steps and rate coding with 100.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import onnx2genn
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.run import session

SIDE = Path(__file__).with_name("_ml_genn.py")
# ml_genn's neurons do not look ahead.
CODINGS = {"few-spike": {"steps": 8}, "rate": {"steps": 100, "lookahead": 0}}
EPOCHS = 5


def main() -> None:
    """Measure all sides in turns and print a table."""
    options = parse_arguments()
    if not options.weights.exists():
        ml_genn(options, "--train", str(EPOCHS))
    with np.load(options.data) as data:
        train, test = (data[name][..., None] / np.float32(255) for name in ("x_train", "x_test"))
        labels = data["y_test"]
    model = simple_cnn(options.weights)
    ann = session(model, threads=1)
    test, labels = test[: options.images], labels[: options.images]
    measured: dict[str, list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        measured.setdefault("ANN, onnxruntime", []).append(ann_speed(ann, test, labels))
        for coding, settings in CODINGS.items():
            steps = settings["steps"]
            network = onnx2genn.convert(model, train[:1000], coding, **settings)
            for connectivity in ("scatter", "portable"):
                count = options.images if connectivity == "scatter" else options.few
                name = f"{coding} T={steps}, onnx2genn {connectivity}"
                measured.setdefault(name, []).append(
                    snn_speed(network, connectivity, test[:count], labels[:count])
                )
            for flag in ("", "--optimised"):
                name = f"{coding} T={steps}, ml_genn {flag}".strip()
                answer = ml_genn(
                    options,
                    *("--coding", coding, "--steps", str(steps)),
                    *("--images", str(options.few)),
                    *([flag] if flag else []),
                )
                measured.setdefault(name, []).append(
                    (answer["accuracy"], answer["images_per_second"])
                )
    for name, values in measured.items():
        accuracy, speed = max(values, key=lambda item: item[1])
        print(f"{name:45} {speed:9.1f} images/s, accuracy {accuracy:.4f}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="MNIST, as keras keeps it")
    parser.add_argument("--ml-genn", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--weights", type=Path, default=Path("simple_cnn.npz"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--few", type=int, default=100, help="images for the slow sides")
    parser.add_argument("--rounds", type=int, default=2)
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
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
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


def ann_speed(ann: object, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Run the ANN image by image; return accuracy and images per second."""
    start = time.perf_counter()
    for image in x[:1000]:
        ann.run(None, {"x": image[None]})
    seconds = time.perf_counter() - start
    (logits,) = ann.run(None, {"x": x})
    return float((logits.argmax(1) == y).mean()), 1000 / seconds


def snn_speed(
    network: onnx2genn.SpikingNetwork, connectivity: str, x: np.ndarray, y: np.ndarray
) -> tuple[float, float]:
    """Simulate on one CPU thread of GeNN; return accuracy and images per second."""
    with open_simulator(network, "single_threaded_cpu", connectivity=connectivity) as simulator:
        simulator.run(x[:5])
        start = time.perf_counter()
        logits = simulator.run(x).logits
        seconds = time.perf_counter() - start
    return float((logits.argmax(1) == y).mean()), len(x) / seconds


if __name__ == "__main__":
    main()
