"""Backends by name: one of one's own, the choice of ``auto``, options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers.models import mlp

import onnx2genn
from onnx2genn.backends.base import Activity, Backend, Finding
from onnx2genn.backends.registry import BACKENDS, choose, doctor, open_simulator, register
from onnx2genn.cli import main
from onnx2genn.errors import BackendError
from onnx2genn.spiking_network import SpikingNetwork

ANSWER = 7.0


@dataclass
class Toy:
    """Gives every sample the same logits."""

    batch_size: int
    backend: str = "toy"

    def run(self, samples: np.ndarray, *, first: int = 0, record: bool = False) -> Activity:
        return Activity(logits=np.full((len(samples), 3), ANSWER, np.float32))

    def close(self) -> None:
        pass


def build(network: SpikingNetwork, *, batch_size: int | None, **options: Any) -> Toy:
    if options.get("broken"):
        raise BackendError("The toy is broken.")
    return Toy(batch_size or 2)


TOY = Backend(name="toy", description="A toy", build=build, options=frozenset({"broken"}))


@pytest.fixture
def network() -> SpikingNetwork:
    return onnx2genn.convert(mlp())


@pytest.fixture
def toy() -> Iterator[None]:
    register(TOY)
    yield
    del BACKENDS["toy"]


@pytest.mark.usefixtures("toy")
def test_a_backend_is_one_registration(network: SpikingNetwork) -> None:
    x = np.zeros((5, 6), np.float32)
    np.testing.assert_array_equal(network.predict(x, backend="toy"), np.full((5, 3), ANSWER))
    assert choose("toy").name == "toy"
    assert choose().name != "toy"


@pytest.mark.usefixtures("toy")
def test_the_doctor_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    needed = Finding(name="Batteries", found="", remedy="Buy some.")
    register(replace(TOY, needs=lambda: (needed,)))
    assert needed in doctor()
    assert main(["--doctor"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Batteries no Buy some." in out
    assert "toy A toy lacks Batteries" in out


@pytest.mark.usefixtures("toy")
def test_what_is_missing_is_said(network: SpikingNetwork) -> None:
    needed = Finding(name="Batteries", found="", remedy="Buy some.")
    register(replace(TOY, needs=lambda: (needed,)))
    with pytest.raises(BackendError, match=r"'toy' cannot be used:\n  Batteries is missing\. Buy"):
        network.predict(np.zeros((1, 6), np.float32), backend="toy")


def test_auto_takes_the_next_with_the_reason(
    network: SpikingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(TOY, name="first", build=partial(build, broken=True))
    entries = {"first": first, "toy": TOY}
    monkeypatch.setattr("onnx2genn.backends.registry.BACKENDS", entries)
    with (
        pytest.warns(UserWarning, match=r"than first is taken: The toy is broken\."),
        open_simulator(network) as simulator,
    ):
        assert isinstance(simulator, Toy)


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        ("toy", {"threads": 2}, "toy has no option threads, which is for onnxruntime; it"),
        ("onnxruntime", {"broken": True}, "onnxruntime has no option broken, which is for toy; it"),
        ("cuda", {"colour": 1}, "cuda has no option colour, which is for no backend"),
        ("spinnaker", {}, "There is no backend 'spinnaker'; choose auto, cuda, .*, toy"),
    ],
)
def test_wrong_options_are_explained(
    network: SpikingNetwork, backend: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BackendError, match=message), open_simulator(network, backend, **options):
        pass
