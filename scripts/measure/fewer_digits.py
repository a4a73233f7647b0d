"""Measure what populations of fewer digits than the window has steps save, and cost.

    python scripts/measure/fewer_digits.py --network cifar10_resnet --limit 2000
    python scripts/measure/fewer_digits.py --network imagenet --limit 400 --loss 0.02

It converts with ``steps="auto"`` on training samples, evaluates with T digits everywhere and with
the digits that were chosen, on test samples, and prints a line of the table in docs/codings.md for
each.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import accuracy as classifiers
import imagenet
from common import SHARED
from common.networks import NETWORKS
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import observe
from onnx2genn.calibrate.search import encode_with_fewest_steps
from onnx2genn.coding import make
from onnx2genn.evaluate.evaluation import evaluate
from onnx2genn.frontend.pipeline import read
from onnx2genn.network import Network


def main() -> None:
    """Compare a network with all digits and one with fewer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choices = ["imagenet", *NETWORKS]
    parser.add_argument("--network", choices=choices, default="cifar10_resnet")
    parser.add_argument("--coding", default="few-spike")
    parser.add_argument("--option", type=json.loads, default={}, help="of the coding, as JSON")
    parser.add_argument("--loss", type=float, default=0.01)
    parser.add_argument("--limit", type=int, default=2000, help="samples to evaluate")
    options = parser.parse_args()
    path, train, x, y = samples(options.network, options.limit)
    coding = make(options.coding, **options.option)
    start = time.monotonic()
    fewer = encode_with_fewest_steps(read(path), coding, train, loss=options.loss)
    print(f"{options.network}: {time.monotonic() - start:.0f} s", flush=True)
    whole = encode(observe(read(path), train), fewer.coding)
    for network in (whole, fewer):
        print(_line(options, network, len(train), x, y), flush=True)


def samples(name: str, limit: int) -> tuple[Path, np.ndarray, np.ndarray, np.ndarray]:
    """Return a network's file, its calibration samples, and test samples with labels."""
    if name == "imagenet":
        x, y = imagenet.read_images(imagenet.CALIBRATION + limit)
        first = imagenet.CALIBRATION
        return imagenet.MODEL, x[:first], x[first:], y[first:]
    network = NETWORKS[name]
    train, (x, y) = classifiers.read(network, SHARED / "data", limit)
    chosen = np.random.default_rng(0).choice(len(train), classifiers.CALIBRATION, replace=False)
    return network.path, train[chosen], x.astype(np.float32), y


def _line(
    options: argparse.Namespace, network: Network, count: int, x: np.ndarray, y: np.ndarray
) -> str:
    result = evaluate(network, x, y, backend="onnxruntime")
    assert result.ann_accuracy is not None and result.snn_accuracy is not None
    counts = Counter(network.digits_of(item) for item in network.populations if not item.pools)
    cells = [
        f"{options.network}, {network.coding.name} {options.option or ''}",
        f"{count}, {len(x)}",
        f"{100 * options.loss:g} %",
        str(network.coding.steps),
        ", ".join(
            f"{number} x {digits}" for digits, number in sorted(counts.items(), reverse=True)
        ),
        f"{result.spikes_per_sample / 1e3:.1f} k",
        f"{result.sops_per_sample / 1e6:.2f} M",
        f"{100 * (result.ann_accuracy - result.snn_accuracy):.2f}",
        f"{100 * result.score.to_ann:.2f} %",
        f"{result.logits_error:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
