"""Train recurrent networks: MNIST row by row, and words of synthesised tones.

    python scripts/train/recurrent.py --data mnist.npz

writes ``mnist_lstm.onnx`` and ``mnist_gru.onnx``, which read an image as a sequence of 28 rows, and
``tones_gru.onnx``, which hears short words of tones in noise, into ``tests/models/``. ``--data`` is
an ``.npz`` with x_train, y_train, x_test, y_test; without it Keras downloads MNIST. Needs torch and
onnxscript; it takes a few minutes on a CPU.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import MODELS
from common.datasets import read_mnist
from common.onnx_files import summary
from common.tones import read_tones

NETWORKS = ("mnist_lstm", "mnist_gru", "tones_gru")
EPOCHS = {"mnist": 4, "tones": 20}


def main() -> None:
    """Train each, export it, and test the ONNX file."""
    options = parse_arguments()
    from recurrent_network import export, trained

    for name in options.networks:
        dataset, _, cell = name.partition("_")
        (x, y), test = read_tones() if dataset == "tones" else read_mnist(options.data)
        images = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        model = trained(
            images,
            y,
            cell=cell.upper(),
            both_ways=dataset == "tones",
            epochs=options.epochs or EPOCHS[dataset],
            seed=options.seed,
        )
        path = options.output / f"{name}.onnx"
        export(model, images[:2], path)
        print(summary(path, *test), flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FILE.npz")
    parser.add_argument("--networks", choices=NETWORKS, nargs="+", default=NETWORKS)
    parser.add_argument("--output", type=Path, default=MODELS, metavar="DIR")
    parser.add_argument("--epochs", type=int, help=f"by default {EPOCHS}")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
