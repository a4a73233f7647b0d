"""SpikingJelly's side of ``benchmarks.py``: a canonical chain of layers as a torch module."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.ir.graph import Node
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import Runner

if TYPE_CHECKING:
    import torch

THREADS = 2
LAYOUT = ("Reshape", "Transpose")


def spikingjelly_job(model: Model, images: np.ndarray, steps: int) -> Callable[[], object]:
    """ann2snn on the same weights: ReLU becomes IF neurons, the image is shown in every step."""
    import torch
    from spikingjelly.activation_based import ann2snn, functional

    torch.set_num_threads(THREADS)
    network = torch_network(model).eval()
    x = torch.from_numpy(channels_first(model, images))
    recipe = ann2snn.RateCodingRecipe([x], mode="Max")
    snn = ann2snn.Converter(recipe, device="cpu").convert(network).eval()

    def job() -> np.ndarray:
        with torch.no_grad():
            functional.reset_net(snn)
            return (sum(snn(x) for _ in range(steps)) / steps).numpy()

    target = model.parts.readout.target
    (entry,) = model.parts.inputs
    wanted = Runner(model.to_onnx([target]))({entry: images})[target]
    with torch.no_grad():
        assert np.allclose(network(x).numpy(), wanted, atol=1e-3), "another network"
    agreement = (job().argmax(1) == wanted.argmax(1)).mean()
    print(f"SpikingJelly agrees with the ANN on {agreement:.1%}", file=sys.stderr)
    return job


def torch_network(model: Model) -> torch.nn.Module:
    """Write a chain of canonical operators as a torch module."""
    from torch import nn

    # A change of layout at the input is done by `channels_first`.
    nodes = itertools.dropwhile(lambda node: node.op in LAYOUT, model.graph.nodes)
    return nn.Sequential(*(torch_layer(node, model) for node in nodes if node.op != "Softmax"))


def channels_first(model: Model, images: np.ndarray) -> np.ndarray:
    """Bring images into the layout of the first convolution."""
    tensor = next(node for node in model.graph.nodes if node.op not in LAYOUT).inputs[0]
    (entry,) = model.parts.inputs
    if tensor == entry:
        return images
    return Runner(model.to_onnx([tensor]))({entry: images})[tensor]


def torch_layer(node: Node, model: Model) -> torch.nn.Module:
    """Write one canonical operator as a torch module."""
    import torch
    from torch import nn

    attributes = node.attributes
    weights = [torch.from_numpy(model.graph.constants[name].copy()) for name in node.inputs[1:]]
    if node.op == "Conv":
        pads = np.reshape(attributes["pads"], (2, -1))
        if not (pads[0] == pads[1]).all():
            raise NotImplementedError("padding of one side alone is not written for torch here")
        out, within = weights[0].shape[:2]
        layer = nn.Conv2d(
            within * attributes["group"],
            out,
            tuple(attributes["kernel_shape"]),
            tuple(attributes["strides"]),
            tuple(pads[0].tolist()),
            groups=attributes["group"],
            bias=len(weights) > 1,
        )
        layer.weight.data = weights[0]
        if len(weights) > 1:
            layer.bias.data = weights[1]
        return layer
    if node.op == "MatMul":
        layer = nn.Linear(*weights[0].shape, bias=False)
        layer.weight.data = weights[0].T.contiguous()
        return layer
    if node.op in ("AveragePool", "MaxPool"):
        if any(attributes.get("pads", ())):
            raise NotImplementedError("padded pooling is not written for torch here")
        kind = nn.AvgPool2d if node.op == "AveragePool" else nn.MaxPool2d
        return kind(tuple(attributes["kernel_shape"]), tuple(attributes["strides"]))
    if node.op == "Reshape":
        return nn.Flatten()
    if node.op == "Relu":
        return nn.ReLU()
    raise NotImplementedError(f"{node.op} is not written for torch here")
