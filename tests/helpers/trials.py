"""Trials: one damaged file each, which has to be handled right or refused with a reason."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import onnx

import onnx2genn
from helpers import grid_networks
from helpers.command_lines import try_command
from helpers.models import mlp
from helpers.mutations import mutate_bytes, mutate_message, write_data
from helpers.onnx_models import signed_inputs
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import observe
from onnx2genn.coding import make
from onnx2genn.data import load_samples
from onnx2genn.errors import Onnx2GennError
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import session
from onnx2genn.network import Network

TESTS = Path(__file__).parents[1]
_SAMPLES = 5
_RIGHT, _REFUSED = "right", "refused"
OWN_FAULT = "error of onnx2genn"
_TOLERANCE = 0.02


@cache
def _models() -> dict[str, bytes]:
    """The models that are damaged, as files."""
    made = {name: make_it() for name, make_it in grid_networks.NETWORKS.items()}
    made["mlp"] = mlp()
    found = {name: proto.SerializeToString() for name, proto in made.items()}
    found |= {path.stem: path.read_bytes() for path in TESTS.glob("fixtures/*.onnx")}
    return dict(sorted(found.items()))


@cache
def _saved() -> list[bytes]:
    """The saved networks that are damaged, as files."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "saved.onnx"
        for name, coding in (("residual", "few-spike"), ("branches", "two-phase"), ("mlp", "rate")):
            proto = onnx.load_from_string(_models()[name])
            onnx2genn.convert(proto, coding=coding).save(place)
            found.append(place.read_bytes())
    return found


def _fields(content: bytes, random: Random) -> onnx.ModelProto:
    proto = onnx.load_from_string(content)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        mutate_message(proto, random)
    return proto


def _model(random: Random, folder: Path) -> None:
    """Convert a model of which a few fields were changed."""
    proto = _fields(random.choice(list(_models().values())), random)
    network = _convert(proto)
    if network is not None:
        _require_right(network)


def _bytes(random: Random, folder: Path) -> None:
    """Convert a file of which some bytes were changed."""
    place = folder / "model.onnx"
    place.write_bytes(mutate_bytes(random.choice(list(_models().values())), random))
    network = _convert(place)
    if network is not None:
        _require_right(network)


def _network(random: Random, folder: Path) -> None:
    """Load a saved network of which fields or bytes were changed."""
    content = random.choice(_saved())
    place = folder / "saved.onnx"
    if random.random() < 0.5:
        place.write_bytes(mutate_bytes(content, random))
    else:
        onnx.save(_fields(content, random), place)
    _require_right(onnx2genn.load(place))


def _data(random: Random, folder: Path) -> None:
    """Load damaged samples and labels."""
    shape = (1, 4, 4)
    x = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    place = write_data(folder, {"x": x, "y": np.arange(3)}, random)
    samples = load_samples(place, {"in": shape})
    assert samples.x.dtype == np.float32 and samples.x.shape[1:] == shape
    assert np.isfinite(samples.x).all()


def _convert(source: Path | onnx.ModelProto) -> Network | None:
    model = read(source)
    proto = source if isinstance(source, onnx.ModelProto) else onnx.load(source)
    _require_as_file(proto, model)
    x = np.random.default_rng(0).random((_SAMPLES, *model.parts.inputs[_entry(model)]))
    return encode(observe(model, x.astype(np.float32)), make("few-spike"))


def _entry(model: Model) -> str:
    return next(iter(model.parts.inputs))


def _require_as_file(proto: onnx.ModelProto, model: Model) -> None:
    """The graph that became of a file computes what the file does, for its own batch size."""
    sizes = {
        info.name: info.type.tensor_type.shape.dim[0].dim_value
        for info in proto.graph.input
        if info.name in model.entries and info.type.tensor_type.shape.dim
    }
    feeds = signed_inputs(proto, model, max(sizes.values(), default=0) or 3)
    runner = session(proto)
    known = {item.name for item in runner.get_inputs()}
    if set(feeds) != known or model.graph.output not in {o.name for o in runner.get_outputs()}:
        return  # a head is taken off, or an input is read for its shape alone
    (wanted,) = runner.run([model.graph.output], feeds)
    floats = {name: array.astype(np.float32) for name, array in feeds.items()}
    joined = {_entry(model): join_arrays(model.entries, floats)}
    (got,) = session(model.to_onnx()).run([model.graph.output], joined)
    wanted = np.asarray(wanted, np.float32)
    usable = np.isfinite(wanted).reshape(len(wanted), -1).all(axis=1)
    assert got.shape == wanted.shape
    error = np.abs(got - wanted)[usable].max(initial=0)
    assert error <= _TOLERANCE * np.abs(wanted[usable]).max(initial=1e-6), "not as the file"


def _require_right(network: Network) -> None:
    """The spikes give what the forecast says, and all of it is numbers."""
    x = np.random.default_rng(1).random((_SAMPLES, *network.input_shape), dtype=np.float32)
    snn = onnx2genn.spiking_network.SpikingNetwork.of(network).predict(x, backend="onnxruntime")
    assert np.isfinite(snn).all(), "no numbers"
    if not network.coding.accumulates:
        return
    forecast = Forecast(network).logits(x).reshape(_SAMPLES, -1)
    error = np.abs(snn - forecast).max(axis=1)
    scale = np.abs(forecast).max(initial=1e-6)
    assert np.median(error) <= _TOLERANCE * scale, f"forecast differs by {error.max() / scale:.2g}"


TRIALS: dict[str, Callable[[Random, Path], str | None]] = {
    "model": _model,
    "bytes": _bytes,
    "network": _network,
    "data": _data,
    "command": try_command,
}


def attempt(kind: str, seed: int) -> str:
    """Try one damaged file.

    Args:
        kind: One of ``TRIALS``.
        seed: It says which file, and what is changed in it.

    Returns:
        Whether it was handled right or was refused. Anything else is an exception.
    """
    random = Random(f"{kind} {seed}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return TRIALS[kind](random, Path(folder)) or _RIGHT
        except Onnx2GennError as error:
            assert OWN_FAULT not in str(error), str(error)
            assert len(str(error)) > 10, f"no reason: {error}"
            return _REFUSED
