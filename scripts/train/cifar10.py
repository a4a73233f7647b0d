"""Train small CIFAR-10 networks for the tests and the benchmarks.

    python scripts/train/cifar10.py --network plain --data cifar10.npz

``--network plain`` is a bias-free Keras network (needs tensorflow, tf2onnx), ``residual`` a narrow
ResNet-14 in PyTorch (needs torch, onnxscript). ``--data`` is an ``.npz`` with x_train, y_train,
x_test, y_test, or with the images as JPEG files; without it Keras downloads CIFAR-10.
Either takes about half an hour on two CPU cores.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import MODELS
from common.datasets import read_cifar10
from common.onnx_files import summary

OUTPUTS = {"plain": MODELS / "cifar10_plain.onnx", "residual": MODELS / "cifar10_resnet.onnx"}
EPOCHS = {"plain": 10, "residual": 8}


def main() -> None:
    """Train on the training images, export, and test the ONNX file."""
    options = parse_arguments()
    output = options.output or OUTPUTS[options.network]
    epochs = options.epochs or EPOCHS[options.network]
    train_images, test_images = read_cifar10(options.data)
    if options.network == "plain":
        from cifar10_plain import train
    else:
        from cifar10_residual import train
    train(*train_images, output, epochs=epochs, seed=options.seed)
    print(summary(output, *test_images))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=sorted(OUTPUTS), required=True)
    parser.add_argument("--data", type=Path, metavar="FILE.npz")
    parser.add_argument("--output", type=Path, metavar="FILE.onnx")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
