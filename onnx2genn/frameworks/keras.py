"""Keras models, by tf2onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

from onnx2genn.api import convert
from onnx2genn.data import Inputs
from onnx2genn.spiking_network import SpikingNetwork

if TYPE_CHECKING:
    import keras

_OPSET = 17


def from_keras(
    model: keras.Model, calibration: Inputs | None = None, **options: Any
) -> SpikingNetwork:
    """Turn a trained Keras model into a spiking network.

    Args:
        model: Model with the TensorFlow backend.
        calibration: Training samples [N, ...] as the model takes them (channels last). For several
            inputs, arrays by name or in the order of ``model.inputs``.
        options: As for :func:`onnx2genn.convert`.

    Raises:
        UnsupportedModelError: The model cannot be converted; ``problems`` lists all reasons.

    Example:
        >>> from onnx2genn.frameworks import from_keras
        >>> network = from_keras(model, x_train[:500], steps=8)  # doctest: +SKIP
    """
    return convert(export(model), calibration, **options)


def export(model: keras.Model, *, opset: int = _OPSET) -> onnx.ModelProto:
    """Export a model with an open batch axis.

    Args:
        model: Model with the TensorFlow backend.
        opset: Version of the ONNX operators.
    """
    import tensorflow as tf
    import tf2onnx

    # tf2onnx.convert.from_keras fails on models of Keras 3.
    signature = [
        tf.TensorSpec((None, *item.shape[1:]), item.dtype, name=item.name) for item in model.inputs
    ]
    function = tf.function(lambda *inputs: model(inputs[0] if len(inputs) == 1 else list(inputs)))
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
    return proto
