"""A narrow ResNet-14 for CIFAR-10 in PyTorch."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

from common.datasets import augmented
from common.onnx_files import without_traces

BATCH_SIZE = 128
LEARNING_RATE = 0.1
CROP = 24  # the network pools globally: it can learn on parts of images, which is faster
CROPPED = 0.6  # share of the epochs that does so
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)


class Normalise(nn.Module):
    """(x - mean) / std per channel, as a part of the network: its inputs are in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise images of shape [N, 3, H, W]."""
        return (x - self.mean) / self.std


class Block(nn.Module):
    """relu(BN(conv(relu(BN(conv(x))))) + skip(x)); the skip is x, or a strided 1x1 projection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(inputs, outputs, 3, stride), nn.ReLU(), *convolution(outputs, outputs, 3)
        )
        changes = stride != 1 or inputs != outputs
        self.skip = nn.Sequential(*convolution(inputs, outputs, 1, stride) if changes else ())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the skip to the body."""
        return functional.relu(self.body(x) + self.skip(x))


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> Iterator[nn.Module]:
    """Make a convolution followed by batch normalisation."""
    yield nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    yield nn.BatchNorm2d(outputs)


def build(widths: tuple[int, ...] = (16, 32, 64), blocks: int = 2) -> nn.Module:
    """Build the network: one stage of ``blocks`` blocks per width, each at half the resolution."""
    stages: list[nn.Module] = []
    inputs = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stages.append(Block(inputs, width, stride=2 if stage and not block else 1))
            inputs = width
    return nn.Sequential(
        Normalise(),
        *convolution(3, widths[0], 3),
        nn.ReLU(),
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(inputs, 10),
    )


def train(x: np.ndarray, y: np.ndarray, output: Path, *, epochs: int, seed: int) -> None:
    """Train with flips and shifts, and export to ``output``."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    model = build().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=LEARNING_RATE,
        epochs=epochs,
        steps_per_epoch=len(x) // BATCH_SIZE,
        pct_start=0.25,
    )
    model.train()
    for epoch in range(epochs):
        start, total = time.perf_counter(), 0.0
        size = CROP if epoch < CROPPED * epochs else None
        for images, labels in batches(augmented(x, generator, size), y, generator):
            loss = functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        loss_seen, seconds = total * BATCH_SIZE / len(x), time.perf_counter() - start
        print(f"Epoch {epoch + 1}/{epochs}: loss {loss_seen:.3f}, {seconds:.0f} s", flush=True)
    export(model.eval(), output)


def batches(
    x: np.ndarray, y: np.ndarray, generator: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Go through all full batches in random order; the images come in as NHWC, out as NCHW."""
    order = generator.permutation(len(x))
    for start in range(0, len(x) - BATCH_SIZE + 1, BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        yield torch.from_numpy(x[chosen]).permute(0, 3, 1, 2), torch.from_numpy(y[chosen])


def export(model: nn.Module, path: Path, opset: int = 18) -> None:
    """Write the network to one ONNX file with a free batch dimension.

    With weights in the order channels last, pooling would be exported as ``as_strided``.
    """
    program = torch.onnx.export(
        model.to(memory_format=torch.contiguous_format),
        (torch.rand(2, 3, 32, 32),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=opset,
        dynamo=True,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(without_traces(program.model_proto), path)
