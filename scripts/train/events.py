"""Turn scikit-learn's digits into events of a sensor that they move past, and train on their sums.

    python scripts/train/events.py --output DIR

writes ``events.onnx``, a perceptron on the number of events in each place, and ``events_train.npz``
and ``events_test.npz``: events of all samples behind each other, with the fields x, y, p and t (as
tonic has them), and the number of those of each sample. Then it converts the network and prints the
accuracy of both on the 500 test digits. Needs scikit-learn and scipy; it takes about a minute.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from digits import read_digits

SIZE, SCALE = 16, 1.5
FRAMES, THRESHOLD = 60, 0.2
REPEATS = 4  # each training digit from so many places
FIELDS = [("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)]
SETTINGS = [
    {"steps": 8},
    {"steps": 16},
    {"steps": 32},
    {"steps": 32, "lookahead": 0},
    {"steps": 16, "lookahead": 16},
    {"steps": 16, "signed": True, "lookahead": 0},
]


def main() -> None:
    """Make the events, train, export, convert and compare."""
    options = parse_arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(options.seed)
    data = {}
    for part, (images, y) in zip(("train", "test"), read_digits(options.seed), strict=True):
        if part == "train":
            images, y = np.repeat(images, REPEATS, axis=0), np.repeat(y, REPEATS)
        recordings = [moved(image[..., 0], random) for image in images]
        data[part] = recordings, y
        np.savez_compressed(
            options.output / f"events_{part}.npz",
            x=np.concatenate(recordings),
            counts=[len(item) for item in recordings],
            y=y,
        )
    path = options.output / "events.onnx"
    onnx.save(trained(*data["train"], options.seed), path)
    recordings, y = data["test"]
    print(f"{np.mean([len(item) for item in recordings]):.0f} events a sample")
    for setting in SETTINGS:
        network = onnx2genn.convert(
            path,
            data["train"][0],
            "rate",
            input="events",
            **setting,  # type: ignore[arg-type]
        )
        found = network.evaluate(recordings, y, backend=options.backend)
        print(
            f"{setting}: ANN {100 * (found.ann_accuracy or 0):.1f} %, "
            f"SNN {100 * (found.snn_accuracy or 0):.1f} %, "
            f"the same class {100 * (found.agreement or 0):.1f} %, "
            f"{found.spikes_per_sample:.0f} spikes, {found.sops_per_sample / 1e3:.0f} k "
            f"synaptic operations a sample, {found.macs_per_sample / 1e3:.0f} k MACs",
            flush=True,
        )


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def moved(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Move an image along a triangle, and return the events of the sensor behind it.

    A pixel sends an event whenever its brightness has changed by the threshold since its last one,
    with the sign of the change as polarity (Lichtsteiner et al. 2008, with brightness in place of
    its logarithm). The triangle is that of N-MNIST (Orchard et al. 2015).
    """
    from scipy.ndimage import affine_transform

    start = (SIZE - SCALE * len(image)) / 2 + random.uniform(-1, 1, 2)
    corners = np.array([(0.0, 0.0), (2.0, 1.0), (2.0, -1.0), (0.0, 0.0)]) + start
    way = np.linspace(0, 3, FRAMES)
    places = np.stack([np.interp(way, range(4), corners[:, axis]) for axis in range(2)], axis=1)
    frames = [
        affine_transform(image, np.eye(2) / SCALE, -place / SCALE, (SIZE, SIZE), order=1)
        for place in places
    ]
    seen, events = frames[0].copy(), []
    for time, frame in enumerate(frames[1:], start=1):
        for polarity in (True, False):
            change = (frame - seen) if polarity else (seen - frame)
            times = np.floor(change / THRESHOLD).clip(0).astype(int)
            for y, x in np.argwhere(times):
                events += [(x, y, polarity, 1000 * time)] * times[y, x]
            seen += THRESHOLD * times * (1 if polarity else -1)
    return np.array(events, FIELDS)


def trained(recordings: list[np.ndarray], y: np.ndarray, seed: int) -> onnx.ModelProto:
    """Train a perceptron on sums of events and write it as an ONNX model."""
    from sklearn.neural_network import MLPClassifier

    x = np.zeros((len(recordings), 2, SIZE, SIZE), np.float32)
    for sums, events in zip(x, recordings, strict=True):
        np.add.at(sums, (events["p"].astype(int), events["y"], events["x"]), 1)
    found = MLPClassifier((128, 64), alpha=1.0, max_iter=40, random_state=seed)
    found.fit(x.reshape(len(x), -1), y)
    nodes = [helper.make_node("Flatten", ["events"], ["h0"])]
    weights = []
    for index, (w, b) in enumerate(zip(found.coefs_, found.intercepts_, strict=True)):
        weights += [
            numpy_helper.from_array(w.astype(np.float32), f"w{index}"),
            numpy_helper.from_array(b.astype(np.float32), f"b{index}"),
        ]
        read = [f"{name}{index}" for name in "hwb"]
        nodes.append(helper.make_node("Gemm", read, [f"z{index}"]))
        nodes.append(helper.make_node("Relu", [f"z{index}"], [f"h{index + 1}"]))
    nodes[-1] = helper.make_node("Softmax", [f"z{index}"], ["classes"])
    graph = helper.make_graph(
        nodes,
        "events",
        [helper.make_tensor_value_info("events", TensorProto.FLOAT, ["N", 2, SIZE, SIZE])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["N", 10])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    main()
