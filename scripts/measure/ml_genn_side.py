"""ml_genn's side of ``speed_ml_genn.py``: runs in an environment of its own.

It needs ml_genn and ml_genn_tf 2.3, PyGeNN 5 and TensorFlow before 2.15, which cannot be installed
beside onnx2genn's other dependencies. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow.keras import models


def main() -> None:
    """Train the network if there are no weights yet, or measure one converter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=int, default=0, metavar="EPOCHS")
    parser.add_argument("--coding", choices=["few-spike", "rate"], default="few-spike")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--optimised", action="store_true", help="compile with optimize_code")
    options = parser.parse_args()
    with np.load(options.data) as data:
        x_train, x_test = (
            data[name][..., None] / np.float32(255) for name in ("x_train", "x_test")
        )
        y_train, y_test = data["y_train"], data["y_test"]
    network = simple_cnn()
    if options.train:
        network.compile("adam", "sparse_categorical_crossentropy")
        network.fit(x_train, y_train, batch_size=64, epochs=options.train, verbose=2)
        np.savez(options.weights, *network.get_weights())
        return
    with np.load(options.weights) as arrays:
        network.set_weights([arrays[name] for name in arrays.files])
    import tensorflow as tf

    chosen = tf.data.Dataset.from_tensor_slices((x_train[:256], y_train[:256])).batch(1)
    report(network, chosen, x_test[: options.images], y_test[: options.images], options)


def simple_cnn() -> models.Model:
    """Build the network of ml_genn's example ``simple_cnn``."""
    from tensorflow.keras import layers, models

    return models.Sequential(
        [
            layers.Conv2D(16, 5, activation="relu", use_bias=False, input_shape=(28, 28, 1)),
            layers.AveragePooling2D(2),
            layers.Conv2D(8, 5, activation="relu", use_bias=False),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu", use_bias=False),
            layers.Dense(64, activation="relu", use_bias=False),
            layers.Dense(10, activation="softmax", use_bias=False),
        ]
    )


def report(
    network: models.Model,
    chosen: tf.data.Dataset,
    x: np.ndarray,
    y: np.ndarray,
    options: argparse.Namespace,
) -> None:
    """Convert, simulate and print accuracy and speed."""
    from ml_genn_tf.converters import DataNorm, FewSpike
    from ml_genn_tf.converters.enum import InputType

    if options.coding == "few-spike":
        converter = FewSpike(k=options.steps, norm_data=[chosen])
    else:
        converter = DataNorm(
            evaluate_timesteps=options.steps, norm_data=[chosen], input_type=InputType.IF
        )
    net, inputs, outputs, _ = converter.convert(network)
    flags = {"optimize_code": True} if options.optimised else {}
    compiler = converter.create_compiler(prefer_in_memory_connect=False, **flags)
    name = f"{options.coding}_{options.steps}_{'fast' if options.optimised else 'default'}"
    compiled = compiler.compile(net, name=name.replace("-", "_"), inputs=inputs, outputs=outputs)
    with compiled:
        start = time.perf_counter()
        metrics, _ = compiled.evaluate({inputs[0]: x}, {outputs[0]: y}, callbacks=[])
        seconds = time.perf_counter() - start
    accuracy = float(metrics[outputs[0]].result)
    print(json.dumps({"accuracy": accuracy, "images_per_second": len(x) / seconds}))


if __name__ == "__main__":
    main()
