"""Compare the speed of the embedded engine with the ANN and with SpikingJelly, in one run.

    python scripts/measure/speed_embedded.py [NETWORK] [--steps 32] [--record]

Prints images per second of onnxruntime's ANN at its best batch size, of rate and few-spike coding
on the embedded engine, and, where torch and SpikingJelly are installed, of SpikingJelly's ann2snn
on the same weights with the same number of steps. All on two threads; rounds are interleaved and
the best of each counts, since machines are shared. ``--record`` keeps the ratios for the README in
``docs/benchmarks.json``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import SHARED
from common.networks import NETWORKS, Network, read_images
from common.onnx_files import in_layout
from common.records import store_ratio
from onnx2genn.backends.embedded import build
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.graph import Node
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import Runner, session

if TYPE_CHECKING:
    import torch

THREADS = 2
LAYOUT = ("Reshape", "Transpose")
BATCHES = (1, 8, 32, 64, 128, 256)

Job = Callable[[], object]


def main() -> None:
    """Measure all competitors in turn and print their speeds and ratios."""
    options = parse_arguments()
    network = NETWORKS[options.network]
    model = read(network.path)
    images = load_images(network, options)
    jobs = ann_jobs(model, images)
    jobs |= snn_jobs(network.path, images, options.steps)
    if find_spec("spikingjelly") and find_spec("torch"):
        try:
            jobs["SpikingJelly"] = spikingjelly_job(model, images, options.steps)
        except NotImplementedError as error:
            print(f"SpikingJelly is left out: {error}")
    seconds = race(jobs, options.rounds)
    speeds = {name: options.images / value for name, value in seconds.items()}
    for name, speed in speeds.items():
        print(f"{name:<22} {speed:10,.0f} images/s")
    report(speeds, options)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", choices=NETWORKS, default="mnist")
    parser.add_argument("--data", type=Path, default=SHARED / "data", metavar="FOLDER")
    parser.add_argument("--record", action="store_true", help="keep the ratios")
    parser.add_argument("--steps", type=int, default=32, help="of rate coding")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def load_images(network: Network, options: argparse.Namespace) -> np.ndarray:
    """Take training images in 0..1, in the layout that the network takes."""
    (images, _), _ = read_images(network.dataset, options.data)
    return in_layout(network.path, images[: options.images])


def ann_jobs(model: Model, images: np.ndarray) -> dict[str, Job]:
    """One job for each batch size of the ANN."""
    runner = session(model.to_onnx(), threads=THREADS)
    (entry,) = model.parts.inputs

    def job(size: int) -> Job:
        starts = range(0, len(images), size)
        return lambda: [runner.run(None, {entry: images[at : at + size]}) for at in starts]

    return {f"ANN, batch {size}": job(size) for size in BATCHES}


def snn_names(steps: int) -> tuple[str, str, str]:
    """Name what is measured of the embedded engine: few-spike, rate, and SpikingJelly's neurons."""
    return "few-spike T=8", f"rate T={steps}", f"rate T={steps}, lookahead=0"


def snn_jobs(path: Path, images: np.ndarray, steps: int) -> dict[str, Job]:
    """The embedded engine with both kinds of coding; rate also with neurons as SpikingJelly's."""
    rate: dict[str, Any] = {"coding": "rate", "steps": steps}
    settings = ({"coding": "few-spike", "steps": 8}, rate, {**rate, "lookahead": 0})
    jobs: dict[str, Job] = {}
    for name, chosen in zip(snn_names(steps), settings, strict=True):
        simulator = build(onnx2genn.convert(path, images, **chosen), threads=THREADS)
        jobs[name] = partial(simulator.run, images)
    return jobs


def spikingjelly_job(model: Model, images: np.ndarray, steps: int) -> Job:
    """ann2snn on the same weights: ReLU becomes IF neurons, the image is shown in every step."""
    import torch
    from spikingjelly.activation_based import ann2snn, functional

    torch.set_num_threads(THREADS)
    network = torch_network(model).eval()
    x = torch.from_numpy(channels_first(model, images))
    recipe = ann2snn.RateCodingRecipe([x], mode="Max")
    snn = ann2snn.Converter(recipe, device="cpu").convert(network).eval()

    def job() -> Any:
        with torch.no_grad():
            functional.reset_net(snn)
            return (sum(snn(x) for _ in range(steps)) / steps).numpy()

    target = model.parts.readout.target
    (entry,) = model.parts.inputs
    wanted = Runner(model.to_onnx([target]))({entry: images})[target]
    with torch.no_grad():
        assert np.allclose(network(x).numpy(), wanted, atol=1e-3), "another network"
    print(f"SpikingJelly agrees with the ANN on {(job().argmax(1) == wanted.argmax(1)).mean():.1%}")
    return job


def torch_network(model: Model) -> torch.nn.Module:
    """Write a chain of canonical operators as a torch module."""
    from torch import nn

    # A change of layout at the input is done by `channels_first`.
    nodes = itertools.dropwhile(lambda node: node.op in LAYOUT, model.graph.nodes)
    return nn.Sequential(*(torch_layer(node, model) for node in nodes if node.op != "Softmax"))


def channels_first(model: Model, images: np.ndarray) -> np.ndarray:
    """Bring images into the layout of the first convolution."""
    tensor = next(node for node in model.graph.nodes if node.op not in LAYOUT).inputs[0]
    (entry,) = model.parts.inputs
    if tensor == entry:
        return images
    return Runner(model.to_onnx([tensor]))({entry: images})[tensor]


def torch_layer(node: Node, model: Model) -> torch.nn.Module:
    """Write one canonical operator as a torch module."""
    import torch
    from torch import nn

    attributes = node.attributes
    weights = [torch.from_numpy(model.graph.constants[name].copy()) for name in node.inputs[1:]]
    if node.op == "Conv":
        pads = np.reshape(attributes["pads"], (2, -1))
        assert (pads[0] == pads[1]).all(), "torch pads both sides alike"
        out, within = weights[0].shape[:2]
        layer = nn.Conv2d(
            within * attributes["group"],
            out,
            tuple(attributes["kernel_shape"]),
            tuple(attributes["strides"]),
            tuple(pads[0].tolist()),
            groups=attributes["group"],
            bias=len(weights) > 1,
        )
        layer.weight.data = weights[0]
        if len(weights) > 1:
            layer.bias.data = weights[1]
        return layer
    if node.op == "MatMul":
        layer = nn.Linear(*weights[0].shape, bias=False)
        layer.weight.data = weights[0].T.contiguous()
        return layer
    if node.op in ("AveragePool", "MaxPool"):
        assert not any(attributes.get("pads", ())), "pads are not written for torch here"
        kind = nn.AvgPool2d if node.op == "AveragePool" else nn.MaxPool2d
        return kind(tuple(attributes["kernel_shape"]), tuple(attributes["strides"]))
    if node.op == "Reshape":
        return nn.Flatten()
    if node.op == "Relu":
        return nn.ReLU()
    raise NotImplementedError(f"{node.op} is not written for torch here")


def race(jobs: dict[str, Job], rounds: int) -> dict[str, float]:
    """Run all jobs in turn, several rounds; return the best time of each, in seconds."""
    best = dict.fromkeys(jobs, np.inf)
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def report(speeds: dict[str, float], options: argparse.Namespace) -> None:
    """Print the ratios that count, and keep them where asked."""
    few_spike, rate, plain = snn_names(options.steps)
    ann = max(speed for name, speed in speeds.items() if name.startswith("ANN"))
    per_step = f"ANN / {options.steps}"
    others = {"ANN": ann, per_step: ann / options.steps}
    pairs = [(few_spike, "ANN"), (rate, per_step), (plain, per_step)]
    if "SpikingJelly" in speeds:
        others["SpikingJelly"] = speeds["SpikingJelly"]
        pairs += [(rate, "SpikingJelly"), (plain, "SpikingJelly")]
    for what, against in pairs:
        both = [speeds[what], others[against]]
        print(f"{what} against {against}: {both[0] / both[1]:.2f}")
        if options.record:
            store_ratio("measure/speed_embedded.py", options.network, what, against, both)


if __name__ == "__main__":
    main()
