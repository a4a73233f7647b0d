"""Compare the speed of few-spike on the embedded engine with the ANN's, for any file.

    python scripts/measure/against_ann.py MODEL.onnx ... [--steps 8] [--images N]

The file is calibrated on noise, which changes no time, and shown noise; onnxruntime runs the ANN
at its best batch size. Both run in turn, and the best of several rounds counts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import onnx2genn
from benchmarks import ann_jobs, race
from onnx2genn.backends.registry import EMBEDDED, open_simulator
from onnx2genn.frontend.pipeline import read
from spikingjelly_side import THREADS

ROUNDS = 4
CALIBRATION = 8


def main() -> None:
    """Print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--images", type=int, default=16)
    options = parser.parse_args()
    for path in options.files:
        print(line(path, options.steps, options.images), flush=True)


def line(path: Path, steps: int, count: int) -> str:
    """Measure one file."""
    model = read(path)
    (shape,) = model.taken.values()
    images = np.random.default_rng(0).random((count, *shape), np.float32)
    network = onnx2genn.convert(path, images[:CALIBRATION], steps=steps)
    jobs = {entrant.name: job for entrant, job in ann_jobs(model, images)}
    with open_simulator(network, EMBEDDED, threads=THREADS) as simulator:
        jobs["SNN"] = lambda: simulator.run(images)
        seconds = race(jobs, ROUNDS)
    snn = seconds.pop("SNN")
    ann = min(seconds.values())
    ratio, ms = ann / snn, 1e3 / count
    return f"{path.stem}: {ratio:.2f} of the ANN's speed ({ms * snn:.1f} and {ms * ann:.1f} ms)"


if __name__ == "__main__":
    main()
