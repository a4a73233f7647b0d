"""Encoders of PyTorch, whose attention moves the batch to the second axis and back."""

import numpy as np
import pytest

import onnx2genn
from onnx2genn.frameworks import from_torch

torch = pytest.importorskip("torch", reason="TORCH IS MISSING: transformers are not tested")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore")


def encoder(norm_first, activation):
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(
        16, 2, 32, batch_first=True, norm_first=norm_first, activation=activation
    ).eval()


class Attention(nn.Module):
    """Attention as PyTorch writes it when the weights are asked for, too, and a linear layer."""

    def __init__(self, batch_first):
        super().__init__()
        torch.manual_seed(0)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=batch_first)
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        x = x if self.attention.batch_first else x.transpose(0, 1)
        mixed, _ = self.attention(x, x, x)
        h = torch.relu(mixed + x)
        return self.last(h.mean(1 if self.attention.batch_first else 0))


class Causal(nn.Module):
    """An encoder layer in which a token only sees those before it."""

    def __init__(self):
        super().__init__()
        self.layer = encoder(True, "relu")
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(5))

    def forward(self, x):
        return self.layer(x, src_mask=self.mask)


def export(module, x, path, dynamo, **options):
    if not dynamo:
        axes = {"x": {0: "batch"}}
        options = {"input_names": ["x"], "dynamic_axes": axes, **options}
        torch.onnx.export(module, (x[:3],), path, dynamo=False, **options)
        return
    pytest.importorskip("onnxscript", reason="ONNXSCRIPT IS MISSING: torch.onnx not tested in full")
    options = {"dynamic_shapes": ({0: torch.export.Dim("batch")},), **options}
    torch.onnx.export(module, (x[:3],), path, dynamo=True, verbose=False, **options)


def errors(module, path, x, steps):
    """Convert with several numbers of steps; return the error of each, relative to the ANN."""
    with torch.no_grad():
        wanted = module(x).numpy()
    found = []
    for number in steps:
        network = onnx2genn.convert(path, x.numpy(), steps=number)
        got = network.predict(x.numpy(), backend="onnxruntime")
        found.append(np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std())
    return found


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True], ids=["norm last", "norm first"])
def test_encoder_layers(norm_first, activation, tmp_path):
    module, x = encoder(norm_first, activation), torch.randn(200, 5, 16)
    export(module, x, tmp_path / "model.onnx", dynamo=True)
    coarse, fine, finest = errors(module, tmp_path / "model.onnx", x, (8, 10, 12))
    assert coarse < 0.02
    assert fine < coarse / 2
    assert finest < fine / 2


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: encoder(True, "gelu"), {"opset_version": 23}),
        (lambda: encoder(True, "relu"), {"dynamic_shapes": None}),
        (Causal, {}),
        (Causal, {"opset_version": 23}),
    ],
    ids=["opset 23", "fixed batch", "causal", "causal, opset 23"],
)
def test_other_exports_of_encoder_layers(make, options, tmp_path):
    torch.manual_seed(1)
    module, x = make().eval(), torch.randn(200, 5, 16)
    export(module, x, tmp_path / "model.onnx", dynamo=True, **options)
    (error,) = errors(module, tmp_path / "model.onnx", x, (10,))
    assert error < 0.005


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "legacy"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch first", "length first"])
def test_attention_with_weights(batch_first, dynamo, tmp_path):
    module, x = Attention(batch_first).eval(), torch.randn(200, 5, 16)
    export(module, x, tmp_path / "model.onnx", dynamo)
    (error,) = errors(module, tmp_path / "model.onnx", x, (10,))
    assert error < 0.01


@pytest.mark.parametrize("samples", [1, 3])
def test_legacy_export_of_a_fixed_batch(samples, tmp_path):
    module, x = Attention(True).eval(), torch.randn(200, 5, 16)
    path = tmp_path / "model.onnx"
    torch.onnx.export(module, (x[:samples],), path, dynamo=False, input_names=["x"])
    (error,) = errors(module, path, x, (10,))
    assert error < 0.01


def test_layers_correlate():
    """Torch cannot trace this layer, so from_torch takes the other exporter."""
    pytest.importorskip("onnxscript", reason="ONNXSCRIPT IS MISSING: torch.onnx not tested in full")
    module, x = encoder(True, "relu"), torch.randn(200, 5, 16)
    network = from_torch(module, x)
    evaluation = network.evaluate(x.numpy(), backend="onnxruntime")
    assert min(item.correlation for item in evaluation.populations) > 0.99
