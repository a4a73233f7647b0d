"""Train a small vision transformer on scikit-learn's 8x8 handwritten digits.

    python scripts/train_vit.py

writes ``digits_vit.onnx`` into ``tests/models/``. The images are those of the package's example,
1297 for training and 500 for testing. Needs torch and onnxscript; it takes a few minutes on one
CPU core.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from _training import Split, summary, without_traces

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "onnx2genn" / "examples"


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


def main() -> None:
    """Train and export."""
    options = parse_arguments()
    torch.manual_seed(options.seed)
    train, test = read_digits("train"), read_digits("test")
    model = VisionTransformer()
    fit(model, train, options.epochs)

    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "digits_vit.onnx"
    program = torch.onnx.export(
        model.eval(),
        (torch.zeros(2, 1, 8, 8),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
    )
    onnx.save(without_traces(program.model_proto), path)
    x, y = test
    print(summary(path, x.transpose(0, 2, 3, 1), y))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "tests" / "models", metavar="DIR")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def read_digits(split: str) -> Split:
    """Read the images [N, 1, 8, 8] and labels of one split."""
    with np.load(EXAMPLES / f"digits_{split}.npz") as data:
        return data["x"].transpose(0, 3, 1, 2).copy(), data["y"].astype(np.int64)


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


if __name__ == "__main__":
    main()
