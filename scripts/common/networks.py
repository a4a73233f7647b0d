"""The trained networks of the README's tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common import MODELS, SHARED
from common.datasets import Split, read_cifar10, read_mnist
from common.tones import read_tones


@dataclass(frozen=True, kw_only=True)
class Network:
    """A trained network, its data, and the script that trains it."""

    title: str
    path: Path
    dataset: str
    script: str = ""  # below scripts/; none for a network that was given trained

    @property
    def name(self) -> str:
        """Its name in the records."""
        return self.path.stem


NETWORKS = {
    network.name: network
    for network in (
        Network(
            title="MNIST, TensorGeNN's CNN",
            path=MODELS / "mnist.onnx",
            dataset="mnist",
            script="train/mnist.py",
        ),
        Network(
            title="CIFAR-10, bias-free CNN (Keras)",
            path=MODELS / "cifar10_plain.onnx",
            dataset="cifar10",
            script="train/cifar10.py",
        ),
        Network(
            title="CIFAR-10, ResNet (PyTorch)",
            path=MODELS / "cifar10_resnet.onnx",
            dataset="cifar10",
            script="train/cifar10.py",
        ),
        Network(
            title="CIFAR-10, VGG with max pooling (PyTorch)",
            path=SHARED / "models" / "cifar10_vgg.onnx",
            dataset="cifar10",
        ),
    )
}
RECURRENT = {
    network.name: network
    for network in (
        Network(
            title="MNIST row by row, LSTM",
            path=MODELS / "mnist_lstm.onnx",
            dataset="mnist",
            script="train/recurrent.py",
        ),
        Network(
            title="MNIST row by row, GRU",
            path=MODELS / "mnist_gru.onnx",
            dataset="mnist",
            script="train/recurrent.py",
        ),
        Network(
            title="words of tones, GRU in both directions",
            path=MODELS / "tones_gru.onnx",
            dataset="tones",
            script="train/recurrent.py",
        ),
    )
}
_READERS = {"mnist": read_mnist, "cifar10": read_cifar10}


def read_images(dataset: str, folder: Path) -> tuple[Split, Split]:
    """Read ((x, y) train, (x, y) test), x in 0..1 of shape [N, H, W, C].

    Args:
        dataset: ``mnist``, ``cifar10``, or ``tones``, which are synthesised.
        folder: Folder with a file ``mnist*.npz`` or ``cifar10*.npz``; Keras downloads the data
            where it has none.
    """
    if dataset == "tones":
        return read_tones()
    return _READERS[dataset](next(iter(sorted(folder.glob(f"{dataset}*.npz"))), None))
