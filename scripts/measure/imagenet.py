"""Measure a deep ImageNet network, EfficientNet-Lite0 at 224 x 224, with some codings.

    python scripts/measure/imagenet.py
    python scripts/measure/imagenet.py --codings few-spike:6 rate:32 --record

It needs ``efficientnet_lite0.onnx`` and ``imagenet600.npz`` beside the repository, and does nothing
without them. The first 200 images calibrate, the 400 after them are evaluated; of codings that fire
while they integrate, which are simulated step by step, 100. The answers of codings that accumulate
and then fire are those of the forecast, which a simulation of the first images has to confirm;
spikes are counted there. ``--record`` keeps the results in ``docs/imagenet.json``, and
``scripts/pages/readme.py`` then writes the table.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import SHARED, tables
from common.datasets import decode_jpeg
from common.records import IMAGENET, Record, store, version
from common.rows import Row, row
from onnx2genn.backends.registry import EMBEDDED, open_simulator
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import Observation, observe
from onnx2genn.coding import make
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.frontend.pipeline import read
from onnx2genn.network import Network

MODEL = SHARED / "models" / "efficientnet_lite0.onnx"
IMAGES = SHARED / "data" / "imagenet600.npz"
CALIBRATION, STEPWISE, COUNTED = 200, 100, 8


def main() -> None:
    """Measure every coding."""
    options = parse_arguments()
    missing = [str(path) for path in (MODEL, IMAGES) if not path.exists()]
    if missing:
        print(f"Nothing is measured: there is no {' and no '.join(missing)}.", file=sys.stderr)
        return
    x, y = read_images(CALIBRATION + options.limit)
    began = time.perf_counter()
    seen = observe(read(MODEL), x[:CALIBRATION])
    observed = time.perf_counter() - began
    x, y = x[CALIBRATION:], y[CALIBRATION:]
    target = seen.model.parts.readout.target
    ann = np.concatenate([found[target] for found in seen.model.activations([target], x)])
    print(f"read and observed in {observed:.0f} s; ANN {accuracy(ann, y):.2%}", flush=True)
    for item in options.codings:
        record = measure(seen, (x, y, ann), item)
        print(line(item, record), flush=True)
        if options.record:
            store(IMAGENET, record, ("coding", "options", "samples"))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--codings",
        type=row,
        nargs="+",
        default=[row(text) for text in tables.IMAGENET],
        metavar="CODING[:STEPS][,OPTION=VALUE]",
        help="those of the table by default",
    )
    parser.add_argument("--limit", type=int, default=400, help="images to evaluate")
    parser.add_argument("--record", action="store_true", help="keep the results")
    return parser.parse_args()


def read_images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Read images as the network takes them, and their labels."""
    with np.load(IMAGES) as data:
        images = decode_jpeg(data["jpeg"], data["offset"][: count + 1])
        labels = data["y"][:count]
    scaled = (images.astype(np.float32) - 127) / 128
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)), labels


def measure(
    seen: Observation, images: tuple[np.ndarray, np.ndarray, np.ndarray], item: Row
) -> Record:
    """Encode with a coding and compare with the ANN's logits."""
    began = time.perf_counter()
    network = encode(seen, make(item.coding, **item.options))
    encoded = time.perf_counter() - began
    count = len(images[0]) if network.coding.accumulates else STEPWISE
    x, y, ann = (array[:count] for array in images)
    logits, spikes = simulate(network, x)
    return {
        "coding": item.coding,
        "options": item.options,
        "samples": len(x),
        "steps": network.coding.steps,
        "latency_steps": network.latency,
        "encoding_seconds": round(encoded, 1),
        "version": version(),
        "ann_accuracy": accuracy(ann, y),
        "snn_accuracy": accuracy(logits, y),
        "agreement": accuracy(logits, ann.argmax(axis=1)),
        "logits_error": float(np.sqrt(np.mean((logits - ann) ** 2)) / ann.std()),
        "spikes_per_sample": spikes,
        "neurons": network.neurons,
    }


def simulate(network: Network, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return logits, and spikes of the first images per sample."""
    count, found, spikes = (COUNTED if network.coding.accumulates else len(x)), [], 0
    with open_simulator(network, EMBEDDED) as simulator:
        size = min(simulator.batch_size, COUNTED)
        for start in range(0, count, size):
            part = simulator.run(x[start : start + size], first=start, record=True)
            found.append(part.logits)
            assert part.spikes is not None
            spikes += sum(int(array.sum(dtype=np.int64)) for array in part.spikes.values())
    logits = np.concatenate(found)
    if network.coding.accumulates:
        forecast = Forecast(network).logits(x)
        # With few levels, what float32 rounds otherwise tips neurons, and these others.
        alike = accuracy(forecast[:count], logits.argmax(axis=1))
        assert alike >= 1 - 1 / count, f"of the first images, {alike:.1%} have the class forecast"
        logits = forecast
    return logits, spikes / count


def accuracy(logits: np.ndarray, wanted: np.ndarray) -> float:
    """Return the share of samples for which a class is chosen."""
    return float((logits.argmax(axis=1) == wanted).mean())


def line(item: Row, record: Record) -> str:
    """Say in one line what was measured."""
    loss = 100 * (record["ann_accuracy"] - record["snn_accuracy"])
    return (
        f"{item}, {record['samples']} images: loss {loss:.2f}, agreement "
        f"{record['agreement']:.2%}, logits' error {record['logits_error']:.3f}, "
        f"{record['spikes_per_sample'] / record['neurons']:.3f} spikes a neuron, encoded in "
        f"{record['encoding_seconds']:.0f} s"
    )


if __name__ == "__main__":
    main()
