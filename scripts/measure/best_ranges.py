"""Measure what the best ranges bring that gradient descent finds for rounded activations.

    python scripts/measure/best_ranges.py --network imagenet --coding few-spike:4
    python scripts/measure/best_ranges.py --network cifar10_resnet --coding few-spike:3

It starts at the ranges that calibration chose, and moves the threshold and the lower end of every
channel, and a shift of its input, against the gradient of the squared error of the logits, on
calibration samples at random scales and mirrored. The gradient of the rounding is in
``rounded_torch.py``. Samples that were held out choose the epoch to keep; evaluated ones choose
nothing. What is left of the error no ranges take away that were found in this way. It needs torch,
as nothing of calibration does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.networks import NETWORKS
from common.rows import row
from free_levels import against_ann, observed
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.held_out import HeldOut
from onnx2genn.coding import make
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.network import Network
from onnx2genn.saving import save
from rounded_torch import LOW, SHIFT, STEP, Rounded

# Networks without max pooling, which `rounded_torch.py` does not write.
_PLAIN = [name for name in NETWORKS if name != "cifar10_vgg"]

HELD = 48
SMALLEST = 0.85  # of the width of a sample, when a part of it is cut out and enlarged


def main() -> None:
    """Compare ranges before and after."""
    options = parse_arguments()
    seen, x, y = observed(options.network, options.limit)
    network = encode(seen, make(options.coding.coding, **options.coding.options))
    target = network.model.parts.readout.target
    ann = np.concatenate([found[target] for found in seen.model.activations([target], x)])
    more = HELD - len(seen.held)
    held = np.concatenate([seen.held, seen.samples[len(seen.samples) - more :]])
    samples = seen.samples[: len(seen.samples) - more]
    trial = HeldOut(replace(seen, held=held))
    began = time.perf_counter()

    def show(what: str, network: Network) -> None:
        found = against_ann(Forecast(network).logits(x), y, ann)
        held_out = trial.relative(trial.error(network))
        print(
            f"{options.network}, {options.coding}, {what}, {found}; on {len(trial.samples)} "
            f"held out {held_out:.4f}",
            flush=True,
        )

    def watch(epoch: int, error: float, now: Network) -> float:
        held_out = trial.relative(trial.error(now))
        print(
            f"  epoch {epoch}, {time.perf_counter() - began:.0f} s: {error:.4f} on {len(samples)} "
            f"samples, {held_out:.4f} held out",
            flush=True,
        )
        return held_out

    show("as calibrated", network)
    moved = STEP, LOW, *((SHIFT,) if options.shifts else ())
    best = descend(network, samples, moved, options, watch)
    show(f"moved {', '.join(moved)}", best)
    if options.save:
        save(best, options.save)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=["imagenet", *_PLAIN], default="imagenet")
    parser.add_argument("--coding", type=row, default=row("few-spike:4"), metavar="CODING:STEPS")
    parser.add_argument("--limit", type=int, default=400, help="samples to evaluate")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.005, help="of the logarithm of a step")
    parser.add_argument("--ratio", type=float, default=4.0, help="of that of ends and shifts to it")
    parser.add_argument("--shifts", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the network with them")
    return parser.parse_args()


def descend(
    network: Network,
    samples: np.ndarray,
    moved: tuple[str, ...],
    options: argparse.Namespace,
    watch: Callable[[int, float, Network], float],
) -> Network:
    """Move ranges against the gradient of the error.

    Args:
        network: Network with thresholds, whose forecast is its answer.
        samples: Calibration samples [N, channels, height, width].
        moved: What is moved.
        options: Epochs, batch and rates.
        watch: Called after each epoch with its number, the error of the epoch and the network;
            returns the error that chooses the epoch.
    """
    torch.manual_seed(0)
    rounded = Rounded(network)
    rates = {
        STEP: options.rate,
        LOW: options.ratio * options.rate,
        SHIFT: options.ratio * options.rate,
    }
    groups = [{"params": list(rounded.ranges[what].values()), "lr": rates[what]} for what in moved]
    for tensor in (tensor for group in groups for tensor in group["params"]):
        tensor.requires_grad_(True)
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
    batches = len(samples) // options.batch
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs * batches)
    best, least = network, watch(0, float("nan"), network)
    random = np.random.default_rng(0)
    for epoch in range(1, options.epochs + 1):
        errors = []
        for chosen in np.array_split(random.permutation(len(samples)), batches):
            x = varied(samples[chosen], random)
            with torch.no_grad():
                wanted = rounded(x, exact=True)
            error = (rounded(x) - wanted).square().mean() / wanted.var()
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            decay.step()
            errors.append(error.item())
        now = rounded.network()
        found = watch(epoch, float(np.sqrt(np.mean(errors))), now)
        if found < least:
            best, least = now, found
    return best


def varied(samples: np.ndarray, random: np.random.Generator) -> torch.Tensor:
    """Cut a part out of samples, enlarge it, and mirror it in half of the cases."""
    x = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    width = x.shape[-1]
    size = int(random.integers(int(SMALLEST * width), width + 1))
    top, left = (int(random.integers(width - size + 1)) for _ in range(2))
    x = x[..., top : top + size, left : left + size]
    x = functional.interpolate(x, size=(width, width), mode="bilinear")
    x = x.flip(-1) if random.random() < 0.5 else x
    return x.contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
