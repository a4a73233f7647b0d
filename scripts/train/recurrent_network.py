"""A recurrent layer that reads an image row by row, and a linear one on its last state."""

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

from common.onnx_files import without_traces

BATCH_SIZE = 128
LEARNING_RATE = 5e-3
HIDDEN = 32


class RowByRow(nn.Module):
    """Class scores of images [N, 1, T, F], whose rows are the steps of a sequence."""

    def __init__(self, cell: str, features: int, classes: int, *, both_ways: bool) -> None:
        super().__init__()
        hidden = HIDDEN // 2 if both_ways else HIDDEN
        kind = {"LSTM": nn.LSTM, "GRU": nn.GRU}[cell]
        self.memory = kind(features, hidden, batch_first=True, bidirectional=both_ways)
        self.answer = nn.Linear(HIDDEN, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Read the rows and answer from the last state, of each direction."""
        _, state = self.memory(x.squeeze(1))
        last = state[0] if isinstance(state, tuple) else state
        return self.answer(torch.cat(tuple(last), dim=1))


def trained(
    x: np.ndarray, y: np.ndarray, *, cell: str, both_ways: bool, epochs: int, seed: int
) -> nn.Module:
    """Train on images [N, 1, T, F] with labels."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    model = RowByRow(cell, x.shape[3], int(y.max()) + 1, both_ways=both_ways)
    optimizer = torch.optim.Adam(model.parameters())
    count = len(x) // BATCH_SIZE
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, epochs=epochs, steps_per_epoch=count
    )
    for epoch in range(epochs):
        total = 0.0
        for chosen in generator.permutation(len(x))[: count * BATCH_SIZE].reshape(count, -1):
            scores = model(torch.from_numpy(x[chosen]))
            loss = functional.cross_entropy(scores, torch.from_numpy(y[chosen]))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"Epoch {epoch + 1}/{epochs}: loss {total / count:.3f}", flush=True)
    return model.eval()


def export(model: nn.Module, example: np.ndarray, path: Path, opset: int = 18) -> None:
    """Write the network to one ONNX file with a free batch dimension."""
    program = torch.onnx.export(
        model,
        (torch.from_numpy(example),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=opset,
        dynamo=True,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(without_traces(program.model_proto), path)
