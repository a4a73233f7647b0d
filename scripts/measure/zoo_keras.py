"""The networks of keras.applications with random weights, exported in two ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
from keras import layers

from onnx2genn.frameworks.keras import export as by_tf2onnx
from zoo_inputs import images, scale

NETWORKS = (
    "VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "MobileNetV3Small",
    "DenseNet121", "InceptionV3", "Xception", "NASNetMobile", "EfficientNetB0",
    "EfficientNetV2B0", "ConvNeXtTiny",
)  # fmt: skip
_SIZES = {"InceptionV3": 75, "Xception": 71}


def exports(name: str, folder: Path) -> Iterator[tuple[Path, Callable[[Path], object]]]:
    """Give the file of each exporter, and what writes it.

    Args:
        name: Name of the network.
        folder: Where the files go.
    """
    model = build(name)
    yield folder / f"keras-{name}-tf2onnx.onnx", lambda path: onnx.save(by_tf2onnx(model), path)
    yield (
        folder / f"keras-{name}-export.onnx",
        lambda path: model.export(path, format="onnx", verbose=False),
    )


def build(name: str) -> keras.Model:
    """Make a network of ten classes whose normalisation fits images, but for a random tenth."""
    keras.utils.set_random_seed(0)
    size = _SIZES.get(name, 64)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
    norms = [
        item for item in model._flatten_layers() if isinstance(item, layers.BatchNormalization)
    ]
    for item in norms:
        item.momentum = 0.0  # the statistics are those of the next batch
    model(scale(name) * images(16, size, channels_last=True), training=True)
    random = np.random.default_rng(0)
    for item in norms:
        spread = np.sqrt(np.asarray(item.moving_variance))
        for weight in (item.gamma, item.moving_variance):
            if weight is not None:
                weight.assign(weight * random.uniform(0.9, 1.1, weight.shape))
        for weight, width in ((item.beta, 1.0), (item.moving_mean, spread)):
            if weight is not None:
                weight.assign(weight + 0.1 * width * random.standard_normal(weight.shape))
    return model
