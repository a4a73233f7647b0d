"""Networks of torchvision with random weights, exported in two ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from zoo_inputs import images

_VISION = (
    "alexnet", "vgg11_bn", "resnet18", "resnet50", "squeezenet1_1", "densenet121",
    "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5",
    "mnasnet0_5", "regnet_x_400mf", "regnet_y_400mf", "efficientnet_b0", "efficientnet_v2_s",
    "convnext_tiny", "vit_b_16", "swin_t",
)  # fmt: skip
_SEGMENTATION = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
_SIZES = {"alexnet": 224, "vgg11_bn": 224, "inception_v3": 96}
_CLASSES = 10
_EXPORTERS = {
    "legacy": {"dynamo": False, "dynamic_axes": {"x": {0: "batch"}}},
    "dynamo": {"dynamo": True, "dynamic_shapes": ({0: torch.export.Dim("batch")},)},
}


class _Logits(nn.Module):
    """Takes the first of several outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)["out"]


def _vision(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision import models

        options = {"image_size": 64} if name.startswith("vit") else {}
        if name in ("googlenet", "inception_v3"):
            options["aux_logits"] = False
            options["init_weights"] = False
        network = models.get_model(name, weights=None, num_classes=_CLASSES, **options)
        if name.startswith("vit"):  # torchvision begins with a head of zeros, which answers nothing
            nn.init.normal_(network.heads.head.weight, std=0.02)
        return network

    return build


def _segmentation(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision.models import segmentation

        network = getattr(segmentation, name)
        return _Logits(network(weights=None, weights_backbone=None, num_classes=4))

    return build


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: _vision(name) for name in _VISION},
    **{name: _segmentation(name) for name in _SEGMENTATION},
}


def exports(name: str, folder: Path) -> Iterator[tuple[Path, Callable[[Path], object]]]:
    """Give the file of each exporter, and what writes it.

    Args:
        name: Name of the network.
        folder: Where the files go.
    """
    size = _SIZES.get(name, 64)
    network = normalised(NETWORKS[name], size)
    example = torch.from_numpy(images(2, size, channels_last=False))
    for exporter, options in _EXPORTERS.items():
        yield (
            folder / f"torch-{name}-{exporter}.onnx",
            partial(
                torch.onnx.export,
                network,
                (example,),
                input_names=["x"],
                external_data=False,
                verbose=False,
                **options,
            ),
        )


def normalised(build: Callable[[], nn.Module], size: int) -> nn.Module:
    """Make a network whose normalisation fits images, but for a random tenth."""
    torch.manual_seed(0)
    network = build()
    norms = [
        item for item in network.modules() if isinstance(item, nn.modules.batchnorm._BatchNorm)
    ]
    for item in norms:
        item.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.from_numpy(images(16, size, channels_last=False)))
        for item in norms:
            spread = 0.1 * item.running_var.sqrt()
            item.running_mean += spread * torch.randn_like(item.running_mean)
            item.bias += 0.1 * torch.randn_like(item.bias)
            item.weight *= 1 + 0.2 * (torch.rand_like(item.weight) - 0.5)
            item.running_var *= 1 + 0.2 * (torch.rand_like(item.running_var) - 0.5)
    return network.eval()
