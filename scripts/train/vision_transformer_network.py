"""A small vision transformer for 8x8 images in PyTorch."""

from pathlib import Path

import onnx
import torch
from torch import nn

from common.datasets import Split
from common.onnx_files import without_traces


class VisionTransformer(nn.Module):
    """Patches of 2x2 pixels, a class token, encoder layers that normalise first, a linear head."""

    def __init__(self, width: int = 32, heads: int = 4, layers: int = 2, patch: int = 2) -> None:
        super().__init__()
        tokens = (8 // patch) ** 2
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens + 1, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, 0.1, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, 10] of images [N, 1, 8, 8]."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], dim=1) + self.position
        return self.head(self.norm(self.encoder(tokens)[:, 0]))


def trained(images: Split, *, epochs: int, seed: int) -> nn.Module:
    """Train a network on images [N, 1, 8, 8] and their labels."""
    torch.manual_seed(seed)
    model = VisionTransformer()
    fit(model, images, epochs)
    return model.eval()


def export(model: nn.Module, path: Path) -> None:
    """Write the network to one ONNX file with a free batch dimension."""
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 1, 8, 8),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(without_traces(program.model_proto), path)


def fit(model: nn.Module, train: Split, epochs: int, batch: int = 64) -> None:
    """Train with AdamW, a rate that falls from a peak to zero, and shifts by up to one pixel."""
    x, y = (torch.from_numpy(array) for array in train)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, steps)
    for epoch in range(epochs):
        loss = 0.0
        for chosen in torch.randperm(len(x)).split(batch):
            offsets = torch.randint(-1, 2, (2,)).tolist()
            images = torch.roll(x[chosen], offsets, dims=(2, 3))
            error = nn.functional.cross_entropy(model(images), y[chosen], label_smoothing=0.1)
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            schedule.step()
            loss += error.item()
        print(f"epoch {epoch + 1}: loss {loss * batch / len(x):.3f}")
