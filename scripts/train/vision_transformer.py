"""Train a small vision transformer on scikit-learn's 8x8 handwritten digits.

    python scripts/train/vision_transformer.py

writes ``digits_vit.onnx`` into ``tests/models/``. The images are those of the package's example,
1297 for training and 500 for testing. Needs torch and onnxscript; it takes a few minutes on one
CPU core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import EXAMPLES, MODELS
from common.datasets import Split
from common.onnx_files import summary


def main() -> None:
    """Train and export."""
    options = parse_arguments()
    from vision_transformer_network import export, trained

    train, test = read_digits("train"), read_digits("test")
    path = options.output / "digits_vit.onnx"
    export(trained(train, epochs=options.epochs, seed=options.seed), path)
    x, y = test
    print(summary(path, x.transpose(0, 2, 3, 1), y))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=MODELS, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def read_digits(split: str) -> Split:
    """Read the images [N, 1, 8, 8] and labels of one split."""
    with np.load(EXAMPLES / f"digits_{split}.npz") as data:
        return data["x"].transpose(0, 3, 1, 2).copy(), data["y"].astype(np.int64)


if __name__ == "__main__":
    main()
