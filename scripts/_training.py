"""What the training scripts share: reading data, exporting to ONNX, measuring accuracy."""

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

Split = tuple[np.ndarray, np.ndarray]


def read_mnist(path: Path | None) -> tuple[Split, Split]:
    """Read MNIST as ((x, y) train, (x, y) test), x in 0..1 of shape [N, 28, 28, 1].

    ``path`` is an ``.npz`` with x_train, y_train, x_test, y_test; None asks Keras for it.
    """
    if path is None:
        import keras

        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    else:
        with np.load(path) as data:
            x_train, y_train = data["x_train"], data["y_train"]
            x_test, y_test = data["x_test"], data["y_test"]
    return _scaled(x_train[..., None], y_train), _scaled(x_test[..., None], y_test)


def read_cifar10(path: Path | None) -> tuple[Split, Split]:
    """Read CIFAR-10 as ((x, y) train, (x, y) test), x in 0..1 of shape [N, 32, 32, 3].

    ``path`` is an ``.npz`` with either x_train, y_train, x_test, y_test or, for JPEG files, for
    each split the concatenated files ``jpeg_*``, their bounds ``offset_*`` and ``y_*``; None asks
    Keras for it.
    """
    if path is None:
        import keras

        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
        return _scaled(x_train, y_train), _scaled(x_test, y_test)
    with np.load(path) as data:
        return _read_images(data, "train"), _read_images(data, "test")


def _read_images(data: Any, split: str) -> Split:
    """Read one split, decoding JPEG files where it holds those."""
    if f"x_{split}" in data:
        return _scaled(data[f"x_{split}"], data[f"y_{split}"])
    images = decode_jpeg(data[f"jpeg_{split}"], data[f"offset_{split}"])
    return _scaled(images, data[f"y_{split}"])


def decode_jpeg(files: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Decode JPEG files that lie one after the other, file i from offsets[i] to offsets[i + 1]."""
    from PIL import Image

    bounds = itertools.pairwise(offsets)
    return np.stack(
        [np.asarray(Image.open(io.BytesIO(files[a:b].tobytes())).convert("RGB")) for a, b in bounds]
    )


def _scaled(images: np.ndarray, labels: np.ndarray) -> Split:
    """Scale 8-bit pixels to 0..1 and flatten the labels."""
    return images.astype(np.float32) / 255, labels.reshape(-1).astype(np.int64)


def augmented(
    x: np.ndarray, generator: np.random.Generator, size: int | None = None, shift: int = 4
) -> np.ndarray:
    """Flip half of the images [N, H, W, C], shift each, and cut out ``size`` x ``size`` pixels.

    The shift is up to ``shift`` pixels; what comes in at the borders is the image, mirrored.
    """
    size = size or x.shape[1]
    flipped = np.where(generator.random(len(x))[:, None, None, None] < 0.5, x[:, :, ::-1], x)
    padded = np.pad(flipped, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect")
    offsets = generator.integers(0, padded.shape[1] - size + 1, size=(len(x), 2))
    cuts = zip(padded, offsets, strict=True)
    return np.stack([image[i : i + size, j : j + size] for image, (i, j) in cuts])


def export_keras(model: Any, path: Path, opset: int = 17) -> None:
    """Write a Keras 3 model to an ONNX file with a free batch dimension.

    ``tf2onnx.convert.from_keras`` does not know Keras 3, ``from_function`` works.
    """
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="input")]
    function = tf.function(lambda x: model(x, training=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    tf2onnx.convert.from_function(
        function, input_signature=signature, opset=opset, output_path=str(path)
    )
    onnx.checker.check_model(str(path))


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what PyTorch writes for debugging: stack traces with the paths of this machine."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (model, graph, *graph.node, *values):
        part.ClearField("metadata_props")
    return model


def onnx_accuracy(path: Path, x: np.ndarray, y: np.ndarray, batch_size: int = 500) -> float:
    """Measure with onnxruntime the share of images [N, H, W, C] that a network answers right."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    if shape[1] == x.shape[3] != shape[3]:  # a network from PyTorch
        x = x.transpose(0, 3, 1, 2)
    correct = 0
    for start in range(0, len(x), batch_size):
        (scores,) = session.run(None, {name: x[start : start + batch_size]})
        correct += int((scores.argmax(axis=1) == y[start : start + batch_size]).sum())
    return correct / len(x)


def summary(path: Path, x: np.ndarray, y: np.ndarray) -> str:
    """Say in one line how large an ONNX file is and how well it does on test data."""
    accuracy = onnx_accuracy(path, x, y)
    size = path.stat().st_size / 1000
    return f"{path}: {size:.0f} kB, test accuracy {accuracy:.2%} ({len(x)} images, onnxruntime)"
