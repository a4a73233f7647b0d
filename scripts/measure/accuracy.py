"""Measure the accuracy of networks with some codings, on all test images.

    python scripts/measure/accuracy.py --rows few-spike:8 rate:16 --compare
    python scripts/measure/accuracy.py --networks cifar10_resnet --rows rate:16,lookahead=0

For every network of the README's table (or those given), every row and every seed it calibrates on
1,000 training images drawn with that seed and runs the network on the embedded engine. The record
goes into ``docs/results.json``, in place of one of the same network, row, seed and number of
images; ``--compare`` only prints, beside what is recorded. Spikes are counted with the first seed
only. Without ``--rows``, those of the README's table. ``scripts/pages/readme.py`` then writes the
tables.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import SHARED, tables
from common.networks import NETWORKS, RECURRENT, Network, read_images
from common.onnx_files import in_layout
from common.records import ACCURACY, Record, load, store, version
from common.rows import Row, row

CALIBRATION = 1000
_ALL = {**NETWORKS, **RECURRENT}
KEY = ("network", "coding", "options", "seed", "samples")
COUNTED = (
    "ann_accuracy", "forecast_accuracy", "snn_accuracy", "agreement",
    "spikes_per_sample", "sops_per_sample", "macs_per_sample",
)  # fmt: skip

Images = tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]


def main() -> None:
    """Measure every row on every network."""
    options = parse_arguments()
    for network in map(_ALL.__getitem__, options.networks):
        if not network.path.exists():
            print(f"{network.name} is left out: there is no {network.path}", file=sys.stderr)
            continue
        images = read(network, options.data, options.limit)
        for item in options.rows:
            for seed in range(options.seeds):
                record = measure(network, images, item, seed)
                print(line(item, record), flush=True)
                if not options.compare:
                    store(ACCURACY, record, KEY)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--networks",
        choices=_ALL,
        nargs="+",
        default=list(NETWORKS),
        help="all of the README's table by default",
    )
    parser.add_argument(
        "--rows",
        type=row,
        nargs="+",
        default=[row(text) for text in tables.ACCURACY.values()],
        metavar="CODING[:STEPS][,OPTION=VALUE]",
        help="those of the README's table by default",
    )
    parser.add_argument("--seeds", type=int, default=1, help="draws of calibration images")
    parser.add_argument("--limit", type=int, help="only the first test images")
    parser.add_argument(
        "--data",
        type=Path,
        default=SHARED / "data",
        metavar="FOLDER",
        help="with mnist*.npz and cifar10*.npz; what it lacks is asked from Keras",
    )
    parser.add_argument("--compare", action="store_true", help="print and do not keep")
    return parser.parse_args()


def read(network: Network, folder: Path, limit: int | None) -> Images:
    """Read training images and test images with labels, in the layout of the network."""
    (x_train, _), (x_test, y_test) = read_images(network.dataset, folder)
    test = in_layout(network.path, x_test[:limit])
    return in_layout(network.path, x_train), (test, y_test[:limit])


def measure(network: Network, images: Images, item: Row, seed: int) -> Record:
    """Convert with one draw of calibration images and evaluate."""
    train, test = images
    chosen = np.random.default_rng(seed).choice(len(train), CALIBRATION, replace=False)
    began = time.perf_counter()
    spiking = onnx2genn.convert(network.path, train[chosen], item.coding, **item.options)
    converted = time.perf_counter() - began
    measured = accuracy(spiking, *test) if seed else counted(spiking, *test)
    return {
        "network": network.name,
        "coding": item.coding,
        "options": item.options,
        "seed": seed,
        "samples": len(test[0]),
        "steps": spiking.coding.steps,
        "latency_steps": spiking.latency,
        "conversion_seconds": round(converted, 1),
        "version": version(),
        **measured,
    }


def accuracy(network: onnx2genn.SpikingNetwork, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Measure the accuracy alone."""
    logits = network.predict(x, backend="onnxruntime")
    return {"snn_accuracy": float((logits.argmax(axis=1) == y).mean())}


def counted(network: onnx2genn.SpikingNetwork, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Measure accuracy against the ANN's and the forecast, and count spikes."""
    found = network.evaluate(x, y, backend="onnxruntime")
    return {name: getattr(found, name) for name in COUNTED}


def line(item: Row, record: Record) -> str:
    """Say in one line what was measured, and what was recorded before."""
    head = f"{record['network']} {item} seed {record['seed']}, {record['samples']} images"
    old = [known for known in load(ACCURACY) if all(known[name] == record[name] for name in KEY)]
    cells = [
        f"{name} {record[name]:.6g}" + (f" (recorded {old[0][name]:.6g})" if old else "")
        for name in ("snn_accuracy", *COUNTED)
        if name in record
    ]
    return f"{head}: {', '.join(dict.fromkeys(cells))}"


if __name__ == "__main__":
    main()
