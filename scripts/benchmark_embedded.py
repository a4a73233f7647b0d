"""Compare the speed of the embedded engine with the ANN and with SpikingJelly, in one run.

    python scripts/benchmark_embedded.py [MODEL.onnx] [--data FILE.npz] [--steps 32]

Prints images per second of onnxruntime's ANN at its best batch size, of rate and few-spike coding
on the embedded engine, and, where torch and SpikingJelly are installed, of SpikingJelly's ann2snn
on the same weights with the same number of steps. All on two threads; rounds are interleaved and
the best of each counts, since machines are shared.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import onnx2genn
from _training import read_cifar10, read_mnist
from onnx2genn.backends.embedded import build
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.graph import Node
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import session

if TYPE_CHECKING:
    import torch

MODELS = Path(__file__).parents[1] / "tests" / "models"
THREADS = 2
PLAIN_RATE = "rate, lookahead=0"
LAYOUT = ("Reshape", "Transpose")
BATCHES = (1, 8, 32, 64, 128, 256)

Job = Callable[[], object]


def main() -> None:
    """Measure all competitors in turn and print their speeds and ratios."""
    options = parse_arguments()
    model = read(options.model)
    images = load_images(model, options)
    jobs = ann_jobs(model, images)
    jobs |= snn_jobs(options.model, images, options.steps)
    if find_spec("spikingjelly") and find_spec("torch"):
        try:
            jobs["SpikingJelly"] = spikingjelly_job(model, images, options.steps)
        except NotImplementedError as error:
            print(f"SpikingJelly is left out: {error}")
    seconds = race(jobs, options.rounds)
    report({name: options.images / value for name, value in seconds.items()}, options.steps)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, default=MODELS / "mnist.onnx")
    parser.add_argument("--data", type=Path, help="MNIST or CIFAR-10; random images otherwise")
    parser.add_argument("--steps", type=int, default=32, help="of rate coding")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def load_images(model: Model, options: argparse.Namespace) -> np.ndarray:
    """Take training images in 0..1, in the shape that the model wants."""
    (shape,) = model.parts.inputs.values()
    if options.data is None:
        random = np.random.default_rng(0)
        return random.random((options.images, *shape), dtype=np.float32)
    reader = read_mnist if shape in ((28, 28, 1), (1, 28, 28)) else read_cifar10
    (images, _), _ = reader(options.data)
    images = images[: options.images]
    return images if images.shape[1:] == shape else np.ascontiguousarray(np.moveaxis(images, 3, 1))


def ann_jobs(model: Model, images: np.ndarray) -> dict[str, Job]:
    """One job for each batch size of the ANN."""
    runner = session(model.to_onnx(), threads=THREADS)
    (entry,) = model.parts.inputs

    def job(size: int) -> Job:
        starts = range(0, len(images), size)
        return lambda: [runner.run(None, {entry: images[at : at + size]}) for at in starts]

    return {f"ANN, batch {size}": job(size) for size in BATCHES}


def snn_jobs(path: Path, images: np.ndarray, steps: int) -> dict[str, Job]:
    """The embedded engine with both kinds of coding; rate also with neurons as SpikingJelly's."""
    jobs: dict[str, Job] = {}
    for name, settings in (
        ("rate", {"coding": "rate", "steps": steps}),
        (PLAIN_RATE, {"coding": "rate", "steps": steps, "lookahead": 0}),
        ("few-spike", {"coding": "few-spike", "steps": 8}),
    ):
        network = onnx2genn.convert(path, images, **settings)
        simulator = build(network, threads=THREADS)
        jobs[name] = lambda simulator=simulator: simulator.run(images)
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

    def job() -> np.ndarray:
        with torch.no_grad():
            functional.reset_net(snn)
            return (sum(snn(x) for _ in range(steps)) / steps).numpy()

    wanted = session(model.to_onnx([model.parts.readout.target])).run(
        [model.parts.readout.target], {next(iter(model.parts.inputs)): images}
    )[0]
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
    return session(model.to_onnx([tensor])).run([tensor], {entry: images})[0]


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


def report(speeds: dict[str, float], steps: int) -> None:
    """Print images per second, and the ratios that count."""
    for name, speed in speeds.items():
        print(f"{name:<16} {speed:10,.0f} images/s")
    ann = max(speed for name, speed in speeds.items() if name.startswith("ANN"))
    for name in ("rate", PLAIN_RATE):
        print(f"{name} against the ANN divided by {steps} steps: {speeds[name] * steps / ann:.2f}")
    print(f"few-spike against the ANN: {speeds['few-spike'] / ann:.2f}")
    if "SpikingJelly" in speeds:
        for name in ("rate", PLAIN_RATE):
            ratio = speeds[name] / speeds["SpikingJelly"]
            print(f"{name} against SpikingJelly, {steps} steps: {ratio:.1f}")


if __name__ == "__main__":
    main()
