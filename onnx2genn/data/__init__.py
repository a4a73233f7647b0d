"""Samples and labels: the one place where they come in, and are checked."""

from onnx2genn.data.events import load_events, prepare_events
from onnx2genn.data.fitting import (
    Inputs,
    Progress,
    batched,
    labels_for,
    prepare,
    samples_for,
    samples_of,
    shapes_of,
)
from onnx2genn.data.image_lists import names_images
from onnx2genn.data.intake import Samples, load_arrays, load_samples

__all__ = [
    "Inputs",
    "Progress",
    "Samples",
    "batched",
    "labels_for",
    "load_arrays",
    "load_events",
    "load_samples",
    "names_images",
    "prepare",
    "prepare_events",
    "samples_for",
    "samples_of",
    "shapes_of",
]
