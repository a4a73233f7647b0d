"""Train the bias-free MNIST network of TensorGeNN's tutorial.

    python scripts/train/mnist.py --data mnist.npz

``--data`` is an ``.npz`` with x_train, y_train, x_test, y_test; without it Keras downloads
MNIST. Needs tensorflow and tf2onnx; takes a few minutes on a CPU.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import MODELS
from common.datasets import read_mnist
from common.onnx_files import export_keras, summary

if TYPE_CHECKING:
    import keras


def main() -> None:
    """Train on the training images, export, and test the ONNX file."""
    options = parse_arguments()
    import keras

    keras.utils.set_random_seed(options.seed)
    train, test = read_mnist(options.data)
    model = build()
    model.fit(*train, epochs=options.epochs, verbose=2)
    export_keras(model, options.output)
    print(summary(options.output, *test))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FILE.npz")
    parser.add_argument("--output", type=Path, default=MODELS / "mnist.onnx", metavar="FILE.onnx")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def build() -> keras.Model:
    """Build the network: two convolutions and three dense layers, none with a bias."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 5, activation="relu", use_bias=False),
            layers.AveragePooling2D(2),
            layers.Conv2D(8, 5, padding="same", activation="relu", use_bias=False),
            layers.Flatten(),
            layers.Dense(128, activation="relu", use_bias=False),
            layers.Dense(64, activation="relu", use_bias=False),
            layers.Dense(10, activation="softmax", use_bias=False),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main()
