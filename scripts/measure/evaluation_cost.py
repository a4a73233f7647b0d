"""Measure what an evaluation costs beside what it compares: the simulation and the ANN.

    python scripts/measure/evaluation_cost.py [NETWORK ...] [--images N]

Few-spike T=8 on the embedded engine. CPU time, since machines are shared; each round has one run of
each kind, and the least time of each counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from benchmarks import CALIBRATION, LARGE, load
from common.networks import NETWORKS
from onnx2genn.backends.registry import EMBEDDED

ROUNDS = 3
IMAGES = {LARGE: 128}
MANY = 1024
AT_ONCE = 64


def main() -> None:
    """Print the time of the ANN, of predictions and of evaluations, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*NETWORKS, LARGE]
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(names))
    parser.add_argument("--images", type=int)
    options = parser.parse_args()
    for name in options.networks or names:
        report(name, options.images or IMAGES.get(name, MANY))


def report(name: str, count: int) -> None:
    """Measure one network."""
    path, images = load(name)
    network = onnx2genn.convert(path, images[:CALIBRATION], steps=8)
    times = -(-count // len(images))
    x = images.repeat(times, axis=0)[:count]
    ann, target = network.model.runner([network.model.parts.readout.target]), network.input_name
    jobs: dict[str, Callable[[], object]] = {
        "ANN": lambda: list(ann.batches({target: x}, AT_ONCE)),
        "predict": lambda: network.predict(x, backend=EMBEDDED),
        "evaluate": lambda: network.evaluate(x, backend=EMBEDDED),
    }
    alone, predict, evaluate = (1e3 * found / count for found in cpu_time(jobs).values())
    print(
        f"{name}, {count} images: ANN {alone:.3g} ms an image, predict {predict:.3g}, evaluate "
        f"{evaluate:.3g}: {evaluate / predict:.2f} times predict, "
        f"{evaluate / (predict + alone):.2f} times both",
        flush=True,
    )


def cpu_time(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Run all jobs in turn, some rounds; return the least CPU time of each, in seconds."""
    least = dict.fromkeys(jobs, float("inf"))
    for _ in range(ROUNDS):
        for kind, job in jobs.items():
            began = time.process_time()
            job()
            least[kind] = min(least[kind], time.process_time() - began)
    return least


if __name__ == "__main__":
    main()
