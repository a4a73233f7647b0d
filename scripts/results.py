"""Measure the results table: accuracy of a network's codings on all test images.

    python scripts/results.py NETWORK.onnx --data FILE.npz --set spikes

For each row of a set, and each seed, it calibrates on 1,000 training images drawn with that seed,
runs the network on the embedded engine, and adds a record to ``docs/results.json``, where a record
of the same network, row, seed and number of images is replaced. Spikes are counted with the first
seed only. ``--print`` writes the table as Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import onnx2genn
from _training import read_cifar10, read_mnist
from onnx2genn.frontend.pipeline import read

RESULTS = Path(__file__).parents[1] / "docs" / "results.json"
CALIBRATION = 1000

Row = tuple[str, dict[str, Any]]

SETS: dict[str, list[Row]] = {
    "spikes": [
        *(("few-spike", {"steps": steps}) for steps in (8, 6, 4)),
        ("two-phase", {"steps": 16}),
    ],
    "coarse": [("few-spike", {"steps": 3}), ("two-phase", {"steps": 8})],
    "rate": [("rate", {"steps": steps}) for steps in (8, 16, 32, 64)],
    "at-once": [("rate", {"steps": steps, "lookahead": 0}) for steps in (16, 32)],
    "graded": [("graded", {"steps": steps}) for steps in (1, 2)],
    "signed": [("signed", {"steps": steps}) for steps in (8, 16, 32)],
    "presets": [("rueckauer", {}), ("diehl", {})],
    "tensorgenn": [("diehl", {}), ("diehl", {"threshold": "none", "weight_maximum": False})],
}


def main() -> None:
    """Measure one set of rows, or print what was measured."""
    options = parse_arguments()
    if options.print:
        print(table(json.loads(RESULTS.read_text())))
        return
    train, test = images(options)
    for coding, settings in rows(options.set, options.steps):
        for seed in range(options.seeds):
            record = measure(options.network, train, test, coding, settings, seed)
            print(json.dumps(record), flush=True)
            save(record)


def rows(name: str, steps: list[int] | None) -> list[Row]:
    """Return the rows of a set, or each of its codings with other numbers of steps."""
    if not steps:
        return SETS[name]
    found: list[Row] = []
    for coding, settings in SETS[name]:
        others = ((coding, {**settings, "steps": count}) for count in steps)
        found += [row for row in others if row not in found]
    return found


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path, nargs="?")
    parser.add_argument("--data", type=Path, help="MNIST or CIFAR-10; asked from Keras otherwise")
    parser.add_argument("--set", choices=SETS, default="spikes")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, nargs="+", help="in place of those of the rows")
    parser.add_argument("--limit", type=int, help="only the first test images")
    parser.add_argument("--print", action="store_true")
    return parser.parse_args()


def images(
    options: argparse.Namespace,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Read training images and test images with labels, in the layout of the network."""
    (shape,) = read(options.network).parts.inputs.values()
    reader = read_mnist if shape in ((28, 28, 1), (1, 28, 28)) else read_cifar10
    (x_train, _), (x_test, y_test) = reader(options.data)
    if x_train.shape[1:] != shape:
        x_train, x_test = (np.moveaxis(x, 3, 1) for x in (x_train, x_test))
    return x_train, (x_test[: options.limit], y_test[: options.limit])


def measure(
    path: Path,
    train: np.ndarray,
    test: tuple[np.ndarray, np.ndarray],
    coding: str,
    settings: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Convert with one draw of calibration images and evaluate; return a record."""
    chosen = np.random.default_rng(seed).choice(len(train), CALIBRATION, replace=False)
    began = time.perf_counter()
    network = onnx2genn.convert(path, train[chosen], coding, **settings)
    converted = time.perf_counter() - began
    measured = accuracy(network, *test) if seed else counted(network, *test)
    return {
        "network": path.stem,
        "coding": coding,
        "options": settings,
        "seed": seed,
        "samples": len(test[0]),
        "steps": network.coding.steps,
        "latency_steps": network.latency,
        "conversion_seconds": round(converted, 1),
        **measured,
    }


def accuracy(network: onnx2genn.SpikingNetwork, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Measure the accuracy alone."""
    logits = network.predict(x, backend="onnxruntime")
    return {"snn_accuracy": float((logits.argmax(axis=1) == y).mean())}


def counted(network: onnx2genn.SpikingNetwork, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Measure accuracy against the ANN's and the forecast, and count spikes."""
    found = network.evaluate(x, y, backend="onnxruntime")
    fields = (
        "ann_accuracy", "forecast_accuracy", "snn_accuracy", "agreement",
        "spikes_per_sample", "sops_per_sample", "macs_per_sample",
    )  # fmt: skip
    return {name: getattr(found, name) for name in fields}


def save(record: dict[str, Any]) -> None:
    """Add a record to the results in place of an older one of the same measurement."""
    RESULTS.parent.mkdir(exist_ok=True)
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    key = ("network", "coding", "options", "seed", "samples")
    kept = [item for item in old if any(item[name] != record[name] for name in key)]
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(item) for item in [*kept, record]) + "\n]\n")


def table(records: list[dict[str, Any]]) -> str:
    """Write a Markdown table, seeds taken together: mean, and range where they differ."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in records:
        name = f"{record['coding']} {_options(record['options'])}".strip()
        key = (record["network"], name, str(record["steps"]), str(record["samples"]))
        groups.setdefault(key, []).append(record)
    lines = [
        "| network | coding | steps | images | ANN | SNN | loss | spikes | SOPs / MACs |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (network, name, steps, count), group in groups.items():
        snn = [100 * item["snn_accuracy"] for item in group]
        first = next(item for item in group if "ann_accuracy" in item)
        ann = 100 * first["ann_accuracy"]
        spread = f" ± {(max(snn) - min(snn)) / 2:.2f}" if len(group) > 1 else ""
        cells = [
            network, name, steps, f"{int(count):,}", f"{ann:.2f}",
            f"{np.mean(snn):.2f}{spread}", f"{ann - np.mean(snn):.2f}",
            f"{first['spikes_per_sample']:,.0f}",
            f"{first['sops_per_sample'] / first['macs_per_sample']:.2f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items() if name != "steps")


if __name__ == "__main__":
    main()
