"""Train the example network of the package on scikit-learn's 8x8 handwritten digits.

    python scripts/train/digits.py

writes ``digits.onnx`` and its data, ``digits_train.npz`` (for calibration) and
``digits_test.npz``, into ``onnx2genn/examples/``. Needs tensorflow, tf2onnx and scikit-learn;
it takes less than a minute on one CPU core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import EXAMPLES
from common.datasets import Split
from common.onnx_files import export_keras, summary

if TYPE_CHECKING:
    import keras

TEST_IMAGES = 500


def main() -> None:
    """Train, export, and write the data beside the network."""
    options = parse_arguments()
    import keras

    keras.utils.set_random_seed(options.seed)
    train, test = read_digits(options.seed)
    model = build()
    model.fit(*train, batch_size=32, epochs=options.epochs, verbose=2)

    options.output.mkdir(parents=True, exist_ok=True)
    network = options.output / "digits.onnx"
    export_keras(model, network)
    for name, (x, y) in {"digits_train": train, "digits_test": test}.items():
        np.savez_compressed(options.output / f"{name}.npz", x=x, y=y.astype(np.uint8))
    print(summary(network, *test))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=EXAMPLES, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def read_digits(seed: int) -> tuple[Split, Split]:
    """Split the 1797 digits, scaled to 0..1, into 1297 for training and 500 for testing."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    x = (digits.images / 16).astype(np.float32)[..., None]
    x_train, x_test, y_train, y_test = train_test_split(
        x, digits.target, test_size=TEST_IMAGES, stratify=digits.target, random_state=seed
    )
    return (x_train, y_train), (x_test, y_test)


def build() -> keras.Model:
    """Build a small convolutional network with biases."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main()
