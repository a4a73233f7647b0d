"""Compare engines and codings with the ANN and with other tools: speed, building, memory.

    python scripts/measure/benchmarks.py [--quick] [--record] [NETWORK ...]

Each network is measured in a process of its own: onnxruntime's ANN at its best batch size;
few-spike and rate coding on the embedded engine and, where PyGeNN is there, on GeNN; where torch
and SpikingJelly are there, SpikingJelly's ann2snn on the same weights with as many steps. What is
compared runs in turn, and the best of several rounds counts, since machines are shared. Memory is
the most that a process takes which loads the network and runs it on a few images. Networks whose
file or data are missing are left out, but for the example that the package brings.

``--quick`` takes about two minutes on two cores: small networks, fewer images and rounds, no
memory. ``--record`` keeps the ratios in ``docs/benchmarks.json``, of which
``scripts/pages/readme.py`` writes the tables. ml_genn needs an environment of its own:
``speed_ml_genn.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

import imagenet
import onnx2genn
from common import SHARED
from common.networks import NETWORKS, read_images
from common.onnx_files import in_layout
from common.records import store_ratio
from onnx2genn.backends.registry import BACKENDS, EMBEDDED, open_simulator
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import session
from spikingjelly_side import THREADS, spikingjelly_job

SCRIPT = "measure/benchmarks.py"
EXAMPLE = Path(onnx2genn.__file__).parent / "examples"
LARGE = imagenet.MODEL.stem
QUICK = ("digits", "mnist", "cifar10_plain")
ALL = ("digits", *NETWORKS, LARGE)
ANN, SPIKINGJELLY, GENN = "ANN", "SpikingJelly", "single_threaded_cpu"
RATE = 32
CODINGS: dict[str, dict[str, Any]] = {
    "few-spike T=8": {"coding": "few-spike", "steps": 8},
    f"rate T={RATE}": {"coding": "rate", "steps": RATE},
    # Neurons as SpikingJelly's.
    f"rate T={RATE}, lookahead=0": {"coding": "rate", "steps": RATE, "lookahead": 0},
}
BATCHES = (1, 8, 32, 64, 128, 256)
CALIBRATION = 200
SHORT = 1.0  # seconds
NEURONS = 2**26  # times images of a job: a large network is shown fewer
SHOWN = 16  # images to a process whose memory is measured

Job = Callable[[], object]


@dataclass(kw_only=True)
class Entrant:
    """What takes part: who it is, what it cost to get there, and its speed."""

    engine: str
    name: str
    build_seconds: float | None = None
    memory_mib: float | None = None
    speed: float = 0.0  # images per second

    @property
    def costs(self) -> str:
        """What building and memory cost, in words."""
        built = "" if self.build_seconds is None else f"built in {self.build_seconds:.1f} s"
        return built if self.memory_mib is None else f"{built}, {self.memory_mib:,.0f} MiB"


def main() -> None:
    """Measure all networks, each in a process of its own, and print and keep what was found."""
    options = parse_arguments()
    if options.peak:
        run_once(*options.peak)
        return
    if options.alone:
        with TemporaryDirectory() as folder:
            os.environ["ONNX2GENN_CACHE"] = folder  # every first build is one
            found = measured(options.networks[0], options, Path(folder))
        print(json.dumps([asdict(item) for item in found]))
        return
    for name in options.networks or (QUICK if options.quick else ALL):
        if not is_there(name):
            print(f"{name} is left out: its file or its data are not here")
            continue
        words = [name, "--alone", "--images", options.images, "--rounds", options.rounds]
        command = [sys.executable, __file__, *map(str, words), *["--quick"] * options.quick]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        report(name, [Entrant(**item) for item in json.loads(done.stdout)], record=options.record)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(ALL))
    parser.add_argument("--quick", action="store_true", help="small networks, few images")
    parser.add_argument("--record", action="store_true", help="keep the ratios")
    parser.add_argument("--images", type=int, help="shown to small networks in each round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.networks) - set(ALL):
        parser.error(f"unknown networks {', '.join(unknown)}")
    options.images = options.images or (64 if options.quick else 256)
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def is_there(name: str) -> bool:
    """Whether a network and its data are on this machine."""
    if name == "digits":
        return True
    if name == LARGE:
        return imagenet.MODEL.exists() and imagenet.IMAGES.exists()
    data = (SHARED / "data").glob(f"{NETWORKS[name].dataset}*.npz")
    return NETWORKS[name].path.exists() and any(data)


def load(name: str, most: int = 4 * CALIBRATION) -> tuple[Path, np.ndarray]:
    """Return a network's file, and so many images for calibration and measuring, or fewer."""
    if name == "digits":
        with np.load(EXAMPLE / "digits_train.npz") as data:
            return EXAMPLE / "digits.onnx", data["x"]
    if name == LARGE:
        return imagenet.MODEL, imagenet.read_images(CALIBRATION)[0]
    network = NETWORKS[name]
    (images, _), _ = read_images(network.dataset, SHARED / "data")
    return network.path, in_layout(network.path, images[:most])


def measured(name: str, options: argparse.Namespace, folder: Path) -> list[Entrant]:
    """Build everything that runs a network, then let it race."""
    path, images = load(name)
    model, calibration = read(path), images[:CALIBRATION]
    neurons = sum(int(np.prod(item.shape)) for item in model.parts.populations)
    images = images[: max(8, min(options.images, NEURONS // max(neurons, 1)))]
    few = folder / "images.npy"
    np.save(few, images[:SHOWN])
    chosen = dict(list(CODINGS.items())[: 2 if options.quick else None])
    entrants, jobs = [], {}
    with ExitStack() as stack:
        for coding, settings in chosen.items():
            network = onnx2genn.convert(path, calibration, **settings)
            for entrant, job in snn_jobs(coding, network, images, stack):
                entrants.append(entrant)
                jobs[entrant.name] = job
            if not options.quick:
                saved = folder / "saved.onnx"
                network.save(saved)
                for entrant in entrants[-len(engines()) :]:
                    entrant.memory_mib = peak(saved, few, entrant.engine)
        for entrant, job in (*ann_jobs(model, images), *spikingjelly(model, images)):
            entrants.append(entrant)
            jobs[entrant.name] = job
        seconds = race(jobs, options.rounds)
    for entrant in entrants:
        entrant.speed = len(images) / seconds[entrant.name]
    if not options.quick:
        memory = peak(path, few, ANN)
        for entrant in entrants:
            if entrant.engine == ANN:
                entrant.memory_mib = memory
    return entrants


def ann_jobs(model: Model, images: np.ndarray) -> Iterator[tuple[Entrant, Job]]:
    """One job for each batch size of the ANN."""
    runner = session(model.to_onnx(), threads=THREADS)
    (entry,) = model.parts.inputs

    def job(size: int) -> Job:
        starts = range(0, len(images), size)
        return lambda: [runner.run(None, {entry: images[at : at + size]}) for at in starts]

    for size in BATCHES:
        if size <= len(images):
            yield Entrant(engine=ANN, name=f"{ANN}, batch {size}"), job(size)


def engines() -> list[str]:
    """Name the engines that are there; GeNN's runs on one thread."""
    return [EMBEDDED] if BACKENDS[GENN].missing() else [EMBEDDED, GENN]


def snn_jobs(
    coding: str, network: onnx2genn.SpikingNetwork, images: np.ndarray, stack: ExitStack
) -> Iterator[tuple[Entrant, Job]]:
    """Build a spiking network on all engines."""
    for engine in engines():
        threads = {"threads": THREADS} if engine == EMBEDDED else {}
        began = time.perf_counter()
        simulator = stack.enter_context(open_simulator(network, engine, **threads))
        built = time.perf_counter() - began
        name = coding if engine == EMBEDDED else f"GeNN, {coding}"
        entrant = Entrant(engine=engine, name=name, build_seconds=built)
        yield entrant, partial(simulator.run, images)


def spikingjelly(model: Model, images: np.ndarray) -> Iterator[tuple[Entrant, Job]]:
    """Take SpikingJelly where it is there and can write the network."""
    if not (find_spec("spikingjelly") and find_spec("torch")):
        return
    try:
        yield Entrant(engine=SPIKINGJELLY, name=SPIKINGJELLY), spikingjelly_job(model, images, RATE)
    except NotImplementedError as error:
        print(f"SpikingJelly is left out: {error}", file=sys.stderr)


def peak(path: Path, images: Path, engine: str) -> float:
    """Return the most memory, in MiB, of a process that loads a network and runs it on images.

    Args:
        path: File of the ANN, for the engine ``ANN``, or of a saved spiking network.
        images: File of them.
        engine: What runs it.
    """
    command = [sys.executable, __file__, "--peak", str(path), str(images), engine]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def run_once(path: str, images: str, engine: str) -> None:
    """Load a network, run it on images, and print the most memory that this took."""
    x = np.load(images)
    if engine == ANN:
        runner = session(onnx.load(path), threads=THREADS)
        runner.run(None, {runner.get_inputs()[0].name: x})
    else:
        onnx2genn.load(path).predict(x, backend=engine)
    print(most_memory())


def most_memory() -> float:
    """Return the most memory, in MiB, that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts what the parent had in what getrusage says.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def race(jobs: dict[str, Job], rounds: int) -> dict[str, float]:
    """Run all jobs in turn, several rounds; return the best time of each, in seconds.

    A short job runs once before it is timed: the one before it has emptied the caches.
    """
    best = dict.fromkeys(jobs, np.inf)
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            if best[name] < SHORT:
                job()
            began = time.perf_counter()
            job()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def report(network: str, entrants: list[Entrant], *, record: bool) -> None:
    """Print the ratios that count, and keep them where asked."""
    best = max((item for item in entrants if item.engine == ANN), key=lambda item: item.speed)
    best.name = ANN
    speeds = {item.name: item.speed for item in entrants}
    speeds[f"{ANN} / {RATE}"] = best.speed / RATE
    print(f"\n{network}: ANN {best.speed:,.0f} images/s")
    for item in entrants:
        for against in opponents(item, speeds):
            ratio = item.speed / speeds[against]
            print(f"  {item.name:<32} {ratio:7.3g} x {against:<14} {item.costs}")
            if record:
                both = [item.speed, speeds[against]]
                costs = {"build_seconds": item.build_seconds, "memory_mib": item.memory_mib}
                store_ratio(SCRIPT, network, item.name, against, both, costs)


def opponents(item: Entrant, speeds: dict[str, float]) -> Iterator[str]:
    """What is compared: all with the ANN; rate also with the ANN once a step, and others' SNN."""
    if item.name == ANN or item.engine in engines():
        yield ANN
    if "rate" in item.name:
        yield f"{ANN} / {RATE}"
        if SPIKINGJELLY in speeds:
            yield SPIKINGJELLY


if __name__ == "__main__":
    main()
