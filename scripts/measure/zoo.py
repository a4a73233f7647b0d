"""Survey well-known architectures: which of their exports convert, and how close the SNN comes.

    python scripts/measure/zoo.py export FOLDER --framework keras   # or torch and torchvision
    python scripts/measure/zoo.py survey FOLDER                     # writes docs/zoo.md

The networks have random weights, and normalisation that fits the images they are shown.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import DOCS
from onnx2genn import SpikingNetwork, UnsupportedModelError
from onnx2genn.ir.run import Runner
from zoo_inputs import images, scale

PAGE = DOCS / "zoo.md"
STEPS = 12
SAMPLES = 32
_NOISE = 1e-6
_PIXELS = 64
_NAME = re.compile(r" '[^']*'")
_INTRODUCTION = f"""\
# Zoo

Written by `scripts/measure/zoo.py`: networks of `keras.applications` and torchvision as their
exporters write them, with random weights, on small images (mostly {_PIXELS}x{_PIXELS} pixels).
Batch normalisation has the statistics of such images, changed by a tenth at random.

Coding `few-spike`, {STEPS} steps, thresholds from {SAMPLES} images. *Correlation* is that of the
logits of SNN and ANN over images and classes, each class without its mean. *Noise* is what a change
of the pixels in the sixth digit does to the logits of the ANN (root mean square of the change over
their standard deviation): networks with random weights amplify errors from layer to layer, trained
ones far less, and where this is no longer small, the correlation tells of the network and not of
the conversion.
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one file."""

    name: str
    network: SpikingNetwork | None = None
    correlation: float = 0.0
    noise: float = 0.0
    problems: str = ""

    def row(self) -> str:
        """Return the row of the table."""
        framework, name, exporter = self.name.split("-")
        head = f"| {name} | {framework}, {exporter} |"
        if self.network is None:
            return f"{head} refused | | | | {self.problems} |"
        parts = self.network.model.parts
        size = f"{len(parts.populations)} | {self.network.neurons / 1e3:,.0f} k | {parts.depth}"
        return f"{head} {size} | {self.correlation:.5f} | {self.noise:.1g} |"


def survey(path: Path) -> Result:
    """Convert one file and compare SNN and ANN."""
    x = samples_of(path)
    try:
        network = onnx2genn.convert(path, x, steps=STEPS)
        got = network.predict(x, backend="onnxruntime", batch_size=16)
    except UnsupportedModelError as error:
        found = Counter((item.operator, _NAME.sub("", item.reason)) for item in error.problems)
        reasons = [f"{count} {op}: {reason}" for (op, reason), count in found.most_common(3)]
        return Result(name=path.stem, problems=" ".join(reasons) or str(error))
    wanted = logits(network, x)
    random = np.random.default_rng(0)
    noise = 1 + _NOISE * random.choice([-1.0, 1.0], x.shape)
    moved = logits(network, (x * noise).astype(np.float32))
    centred = [(item - wanted.mean(axis=0)).ravel() for item in (wanted, got)]
    return Result(
        name=path.stem,
        network=network,
        correlation=float(np.corrcoef(centred[0], centred[1])[0, 1]),
        noise=float(np.sqrt(np.mean((moved - wanted) ** 2)) / centred[0].std()),
    )


def samples_of(path: Path) -> np.ndarray:
    """Make images in the layout that a model takes."""
    proto = onnx.load(path, load_external_data=False)
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    *_, size, last = (dim.dim_value for dim in dims)
    x = images(SAMPLES, size, channels_last=last == 3, seed=1)
    x *= np.float32(scale(path.stem))
    return x


def logits(network: SpikingNetwork, x: np.ndarray) -> np.ndarray:
    """Run the ANN up to the logits."""
    model = network.model
    target = model.parts.readout.target
    extra = [] if target == model.graph.output else [target]
    return Runner(model.to_onnx(extra), [target])({network.input_name: x})[target]


def export(folder: Path, framework: str, wanted: str) -> None:
    """Write the networks of a framework; name those that its exporters cannot write."""
    folder.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"zoo_{framework}")
    for name in module.NETWORKS:
        if wanted not in name:
            continue
        for path, write in module.exports(name, folder):
            try:
                write(path)
                print(path, flush=True)
            except Exception as error:  # noqa: BLE001  (exporters fail in many ways)
                reason = traceback.format_exception_only(error)[-1].splitlines()[0]
                print(f"{path.stem} cannot be exported: {reason}", flush=True)


def main() -> None:
    """Export networks, or survey those that were exported."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=["export", "survey"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--framework", choices=["keras", "torch"], default="torch")
    parser.add_argument("--only", default="", help="networks with this in their name")
    options = parser.parse_args()
    if options.task == "export":
        export(options.folder, options.framework, options.only)
        return
    rows = []
    for path in sorted(options.folder.glob("*-*-*.onnx")):
        if options.only not in path.name:
            continue
        rows.append(survey(path).row())
        print(rows[-1], flush=True)
    header = (
        "| network | exporter | populations | neurons | depth | correlation "
        "| noise, or why refused |\n"
        "|---|---|---:|---:|---:|---:|---|"
    )
    if not options.only:
        PAGE.write_text("\n".join([_INTRODUCTION, header, *rows, ""]))


if __name__ == "__main__":
    main()
