"""The memory budget, and what goes by it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import Example
from helpers.models import mlp

import onnx2genn
from onnx2genn.backends.registry import open_simulator
from onnx2genn.cli import main
from onnx2genn.errors import BackendError
from onnx2genn.evaluate.workers import Workers
from onnx2genn.ir.memory import budget, machine_memory, memory_budget
from onnx2genn.ir.run import ARRAYS, samples_at_once

GIB = 2**30


def test_a_budget_is_a_quarter_of_the_machine_or_what_is_said() -> None:
    assert budget() == machine_memory() // 4
    with memory_budget(2):
        assert budget() == 2 * GIB
        with memory_budget(None):
            assert budget() == 2 * GIB
        with memory_budget(0.5):
            assert budget() == GIB // 2
        assert budget() == 2 * GIB
    assert budget() == machine_memory() // 4


def test_workers_share_it() -> None:
    with memory_budget(3), closing(Workers(2)) as workers:
        assert workers.result(workers.submit(budget)) == 3 * GIB // 2


def test_batches_go_by_it() -> None:
    with memory_budget(100):
        assert samples_at_once(2**20, 1000) == 128
    with memory_budget(1):
        assert samples_at_once(2**20, 1000) == 64
        assert samples_at_once(2**20, 1000, ARRAYS) == 12
    with memory_budget(1e-6):
        assert samples_at_once(2**20, 1000) == 1


@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_answers_do_not_depend_on_it(coding: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    found = []
    for gib in (8, 2e-5):
        network = onnx2genn.convert(mlp(), x, coding, steps=4)
        with memory_budget(gib):
            with open_simulator(network, "onnxruntime") as simulator:
                assert (simulator.batch_size < 60) == (gib < 1)
            found.append(network.evaluate(x, backend="onnxruntime").spikes_per_sample)
    assert found[0] == found[1]


def test_a_comparison_that_cannot_fit_is_refused(
    digits: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train[:100])
    with memory_budget(1e-6), pytest.raises(BackendError, match="a sample of all layers takes"):
        network.evaluate(digits.x_test[:10], backend="onnxruntime")
    network.save(tmp_path / "saved.onnx")
    words = [str(tmp_path / "saved.onnx"), "--evaluate", str(digits.test), "--memory", "1e-6"]
    assert main(words) == 1
    assert "--memory GIB" in capsys.readouterr().err
