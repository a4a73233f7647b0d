"""A bias-free Keras network for CIFAR-10, in the manner of TensorGeNN's examples."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from common.datasets import augmented
from common.onnx_files import export_keras

BATCH_SIZE = 128


def train(x: np.ndarray, y: np.ndarray, output: Path, *, epochs: int, seed: int) -> None:
    """Train with flips and shifts, and export to ``output``."""
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    steps = epochs * -(-len(x) // BATCH_SIZE)
    model = build(steps)
    for epoch in range(epochs):
        print(f"Epoch {epoch + 1}/{epochs}", flush=True)
        model.fit(augmented(x, generator), y, batch_size=BATCH_SIZE, verbose=2)
    export_keras(model, output)


def build(steps: int) -> keras.Model:
    """Build the network and its optimiser, whose learning rate falls to 0 over ``steps``."""
    model = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            convolution(32),
            layers.AveragePooling2D(2),
            convolution(48),
            convolution(64),
            layers.AveragePooling2D(2),
            layers.Dropout(0.1),
            convolution(80),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(96, activation="relu", use_bias=False),
            layers.Dense(10, activation="softmax", use_bias=False),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, steps, warmup_target=2e-3, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # slower convolutions with it, on a CPU
    )
    return model


def convolution(channels: int) -> keras.Layer:
    """Make a 3x3 convolution with ReLU and no bias."""
    return layers.Conv2D(
        channels,
        3,
        padding="same",
        activation="relu",
        use_bias=False,
        kernel_initializer="he_normal",
    )
