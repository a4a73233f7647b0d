"""Networks of PyTorch, by both of its exporters, with and without an open batch axis."""

import numpy as np
import pytest
from helpers.onnx_models import operators

import onnx2genn
from onnx2genn.frameworks import from_torch

torch = pytest.importorskip("torch", reason="TORCH IS MISSING: its exports are not tested")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore")


class Residual(nn.Module):
    """A projection beside a convolution, ReLU6, a mean, and x.view(x.size(0), -1)."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.projection = nn.Conv2d(3, 6, 1)
        self.last = nn.Linear(6, 5)

    def forward(self, x):
        h = torch.relu(self.norm(self.first(x)))
        h = nn.functional.relu6(self.second(h) + self.projection(x)).mean((2, 3))
        return self.last(h.view(h.size(0), -1))


class Gated(nn.Module):
    """Squeeze and excitation: a gate for each channel, computed from the channels' means."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 3, 1), nn.ReLU(), nn.Conv2d(3, 6, 1)
        )
        self.last = nn.Sequential(nn.Conv2d(6, 6, 3), nn.GLU(1), nn.Flatten(), nn.Linear(48, 3))

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.last(h * torch.sigmoid(self.gate(h)))


class Heads(nn.Module):
    """Several outputs in a dictionary, whose names the exporters do not keep."""

    def __init__(self):
        super().__init__()
        self.trunk, self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 2)

    def forward(self, x):
        h = torch.relu(self.trunk(x))
        return {"classes": self.one(h), "box": self.two(h)}


NETWORKS = {
    "mlp": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 5)
        ),
        (3, 4, 4),
        ["Relu"],
    ),
    "pools": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, bias=False),
            nn.BatchNorm2d(6), nn.MaxPool2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(6, 4),
        ),
        (1, 12, 12),
        ["Relu", "Relu", "MaxPool"],
    ),
    "residual": (Residual, (3, 6, 6), ["Relu", "Clip"]),
    "depthwise": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU6(),
            nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.Hardswish(),
            nn.Conv2d(8, 8, 1), nn.SiLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
            nn.Linear(8, 4),
        ),
        (3, 9, 9),
        ["Clip", "HardSwish", "Function"],
    ),
    "activations": (
        lambda: nn.Sequential(
            nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 8), nn.LeakyReLU(), nn.Linear(8, 8),
            nn.PReLU(), nn.Linear(8, 8), nn.ELU(), nn.Linear(8, 8), nn.Mish(), nn.Linear(8, 8),
            nn.Hardtanh(), nn.Linear(8, 8), nn.Softplus(), nn.Linear(8, 3),
        ),
        (6,),
        None,
    ),
    "up and down": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2),
            nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(4, 4, 2, stride=2),
            nn.ReLU(), nn.Upsample(scale_factor=0.5, mode="bilinear"), nn.Conv2d(4, 2, 1),
        ),
        (3, 6, 6),
        ["Relu"] * 3,
    ),
    "gated": (Gated, (3, 6, 6), ["Relu", "Relu", "Sigmoid", "Function", "Function"]),
    "heads": (Heads, (6,), ["Relu"]),
    "normalised": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, padding="same", dilation=2), nn.GroupNorm(2, 6), nn.ReLU(),
            nn.Conv2d(6, 6, 3), nn.InstanceNorm2d(6, affine=True), nn.ReLU(), nn.Flatten(),
            nn.Linear(96, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 4),
        ),
        (3, 6, 6),
        None,
    ),
    "unequal windows": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(),
            nn.Linear(36, 4),
        ),
        (3, 7, 7),
        ["Relu"],
    ),
    "signal": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 6, 5, stride=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(6, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 3),
        ),
        (2, 30),
        ["Relu", "MaxPool", "Relu"],
    ),
}  # fmt: skip


def make(name):
    torch.manual_seed(0)
    build, shape, kinds = NETWORKS[name]
    module = build().eval()
    return module, torch.randn(64, *shape), kinds


def export(module, x, path, dynamo, batch):
    """Export for a batch of one, of two, or of any size."""
    example = x[: 1 if batch == "one" else 2]
    if not dynamo:
        axes = {"x": {0: "batch"}} if batch == "any" else None
        torch.onnx.export(
            module, (example,), path, dynamo=False, input_names=["x"], dynamic_axes=axes
        )
        return
    pytest.importorskip("onnxscript", reason="ONNXSCRIPT IS MISSING: torch.onnx not tested in full")
    shapes = ({0: torch.export.Dim("batch")},) if batch == "any" else None
    torch.onnx.export(module, (example,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)


CASES = [
    *((name, dynamo, "any") for name in NETWORKS for dynamo in (True, False)),
    *(
        (name, dynamo, batch)
        for name in ("mlp", "residual", "gated")
        for dynamo in (True, False)
        for batch in ("one", "two")
    ),
]
CASES.remove(("unequal windows", False, "any"))  # the exporter that traces refuses it


@pytest.mark.parametrize(("name", "dynamo", "batch"), CASES)
def test_exports(name, dynamo, batch, tmp_path):
    module, x, kinds = make(name)
    export(module, x, tmp_path / "model.onnx", dynamo, batch)
    network = onnx2genn.convert(tmp_path / "model.onnx", x.numpy(), steps=10)
    if kinds is not None:
        assert [item.kind for item in network.populations] == kinds
    wanted, logits = module(x), network.predict(x.numpy(), backend="onnxruntime")
    several = name == "heads"
    for a, b in zip(
        logits.values() if several else [logits],
        wanted.values() if several else [wanted],
        strict=True,
    ):
        b = b.detach().numpy()
        np.testing.assert_allclose(a, b, atol=0.01 * np.abs(b).max())


def test_from_torch():
    module, x, _ = make("residual")
    module.train()
    network = from_torch(module, x, steps=10)
    assert module.training
    module.eval()
    wanted = module(x).detach().numpy()
    logits = network.predict(x.numpy(), backend="onnxruntime")
    np.testing.assert_allclose(logits, wanted, atol=0.01 * np.abs(wanted).max())
    assert "BatchNormalization" not in operators(network.model)


class Failing(nn.Module):
    """No exporter can write it."""

    def forward(self, x):
        raise RuntimeError("this module fails")


@pytest.mark.parametrize("fails", [False, True])
def test_each_part_stays_in_the_mode_it_was_in(fails):
    module = nn.Sequential(
        nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(), Failing() if fails else nn.ReLU()
    )
    module.train()
    module[1].eval()  # frozen, as for fine-tuning
    modes = [item.training for item in module.modules()]
    if fails:
        with pytest.raises(Exception, match="this module fails"):
            from_torch(module, torch.randn(8, 6))
    else:
        from_torch(module, torch.randn(8, 6))
    assert [item.training for item in module.modules()] == modes


ARGUMENTS = ["image", "depth", "vector"]


class Fusion(nn.Module):
    """Two images that are added, and a vector that enters late."""

    def __init__(self):
        super().__init__()
        self.colour = nn.Conv2d(3, 4, 3)
        self.depth = nn.Conv2d(1, 4, 3)
        self.last = nn.Linear(9, 3)

    def forward(self, image, depth, vector):
        h = torch.relu(self.colour(image) + self.depth(depth)).mean((2, 3))
        return self.last(torch.relu(torch.cat([h, vector], 1)))


def fusion():
    torch.manual_seed(0)
    return Fusion().eval(), (torch.randn(32, 3, 6, 6), torch.randn(32, 1, 6, 6), torch.randn(32, 5))


def test_several_arguments():
    module, x = fusion()
    wanted = module(*x).detach().numpy()
    named = {"vector": x[2], "image": x[0], "depth": x[1]}
    for samples in (x, named):
        network = from_torch(module, samples, steps=10)
        assert list(network.entries) == ARGUMENTS
        logits = network.predict(samples, backend="onnxruntime")
        np.testing.assert_allclose(logits, wanted, atol=0.01 * np.abs(wanted).max())
    with pytest.raises(onnx2genn.DataError, match="image, depth, vector, but not 'sound'"):
        from_torch(module, {**named, "sound": x[2]})


@pytest.mark.parametrize("dynamic", [True, False])
def test_several_arguments_of_an_export(dynamic, tmp_path):
    pytest.importorskip("onnxscript", reason="ONNXSCRIPT IS MISSING: torch.onnx not tested in full")
    module, x = fusion()
    shapes = ({0: torch.export.Dim("batch")},) * 3 if dynamic else None
    example = tuple(item[: 2 if dynamic else 1] for item in x)
    path = tmp_path / "model.onnx"
    torch.onnx.export(module, example, path, dynamo=True, dynamic_shapes=shapes, verbose=False)
    samples = {name: item.numpy() for name, item in zip(ARGUMENTS, x, strict=True)}
    logits = onnx2genn.convert(path, samples, steps=10).predict(samples, backend="onnxruntime")
    wanted = module(*x).detach().numpy()
    np.testing.assert_allclose(logits, wanted, atol=0.01 * np.abs(wanted).max())


@pytest.mark.parametrize("embeds", [True, False])
def test_whole_numbers_are_token_ids_or_stand_for_floats(embeds):
    torch.manual_seed(0)
    first = [torch.nn.Embedding(20, 4), torch.nn.Flatten()] if embeds else []
    width = 24 if embeds else 6
    module = torch.nn.Sequential(*first, torch.nn.Linear(width, 8), torch.nn.ReLU())
    x = np.random.default_rng(0).integers(0, 20, (64, 6))
    network = from_torch(module, x, steps=12)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x if embeds else x.astype(np.float32))).numpy()
    got = network.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(got, wanted, atol=0.01 * wanted.max())
