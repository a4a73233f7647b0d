"""Samples are answered as they come."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers import grid_networks

from onnx2genn.backends import registry
from onnx2genn.errors import BackendError

BACKENDS = ["onnxruntime", pytest.param("single_threaded_cpu", marks=pytest.mark.genn)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("at_once", [1, 3])
def test_answers_follow_their_samples(
    backend: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is built once, and no sample is taken before it is needed."""
    network = grid_networks.convert("signal", "few-spike", steps=4)
    samples = grid_networks.samples(network, 7)
    built, taken = [], []
    build = registry._build
    monkeypatch.setattr(registry, "_build", lambda *given: built.append(1) or build(*given))

    def coming() -> Iterator[np.ndarray]:
        for item in samples:
            taken.append(1)
            yield item

    found = []
    for index, logits in enumerate(network.stream(coming(), backend=backend, at_once=at_once)):
        assert len(taken) == min(7, at_once * (index // at_once + 1))
        found.append(logits)
    assert len(built) == 1
    np.testing.assert_array_equal(found, network.predict(samples, backend=backend))


def test_several_inputs_by_name() -> None:
    network = grid_networks.convert("fusion", "few-spike", steps=4)
    arrays = {name: np.ones((2, *shape), np.float32) for name, shape in network.entries.items()}
    arrays["vector"][1] = 0
    single = ({name: array[index] for name, array in arrays.items()} for index in range(2))
    found = list(network.stream(single, backend="onnxruntime"))
    np.testing.assert_array_equal(found, network.predict(arrays, backend="onnxruntime"))


def test_random_input_is_that_of_the_sample() -> None:
    network = grid_networks.convert("signal", "rate", steps=8, input="poisson")
    samples = grid_networks.samples(network, 4)
    found = list(network.stream(samples, backend="onnxruntime"))
    np.testing.assert_array_equal(found, network.predict(samples, backend="onnxruntime"))


def test_nothing_to_wait_for_is_refused() -> None:
    network = grid_networks.convert("signal", "few-spike", steps=4)
    with pytest.raises(BackendError, match="at_once=0"):
        next(network.stream([], at_once=0))
