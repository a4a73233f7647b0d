"""Measure what a conversion costs: reading a network, and calibrating it beside running the ANN.

    python scripts/measure/conversion_cost.py [NETWORK | FILE.onnx ...] [--images N]

Reading is measured in a process of its own: CPU time, and the most memory beside the weights.
Calibration (few-spike T=8) is everything from the read model to the network, beside one run of the
ANN on the same images at its best batch. CPU time, since machines are shared; each round has one
run of each kind, and the least time of each counts. Of files, reading alone is measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import LARGE, ann_jobs, load, most_memory
from common.networks import NETWORKS
from evaluation_cost import cpu_time
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import observe
from onnx2genn.coding import make
from onnx2genn.frontend.pipeline import read

IMAGES = {LARGE: 200}
MANY = 1000


def main() -> None:
    """Print what each network costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*NETWORKS, LARGE]
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(names))
    parser.add_argument("--images", type=int)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(reading(Path(options.networks[0])))
        return
    for name in options.networks or names:
        is_file = name.endswith(".onnx")
        path = Path(name) if is_file else load(name)[0]
        command = [sys.executable, __file__, str(path), "--alone"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(f"{path.stem}: {done.stdout.strip()}", flush=True)
        if not is_file:
            found = calibration(name, options.images or IMAGES.get(name, MANY))
            print(f"{name}: {found}", flush=True)


def reading(path: Path) -> str:
    """Read a network, and say what that took."""
    began = time.process_time()
    model = read(path)
    seconds = time.process_time() - began
    weights = sum(array.nbytes for array in model.graph.constants.values()) / 2**20
    peak = most_memory()
    return (
        f"read in {seconds:.2f} s of CPU time with {peak:,.0f} MiB at most: {weights:,.0f} MiB of "
        f"weights {peak / max(weights, 1):.2f} times; {len(model.graph.nodes)} nodes"
    )


def calibration(name: str, count: int) -> str:
    """Calibrate a network, and say what that took beside its ANN."""
    path, images = load(name, count)
    images = images[:count]
    model, coding = read(path), make("few-spike", steps=8)
    jobs: dict[str, Callable[[], object]] = {
        entrant.name: job for entrant, job in ann_jobs(model, images)
    }
    jobs["calibration"] = lambda: encode(observe(model, images), coding)
    least = cpu_time(jobs)
    calibrated = 1e3 * least.pop("calibration") / count
    alone = 1e3 * min(least.values()) / count
    return (
        f"calibrated in {calibrated:.3g} ms an image of {count}, {calibrated / alone:.2f} times "
        f"the ANN's {alone:.3g}"
    )


if __name__ == "__main__":
    main()
