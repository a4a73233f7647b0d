"""How many samples a GPU simulates at once."""

from __future__ import annotations

import pytest
from helpers import grid_networks

from onnx2genn.backends.genn.device import gpu
from onnx2genn.backends.genn.plan import Plan
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.errors import BackendError

MIB = 2**20


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(grid_networks.convert("mobile", "few-spike"))


def pretend(monkeypatch: pytest.MonkeyPatch, *, free: int | None, main: int = 2**40) -> None:
    monkeypatch.setattr(gpu, "free_memory", lambda backend: free)
    monkeypatch.setattr(gpu, "available", lambda: main)


def test_batches_fill_the_memory(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    size = gpu.bytes_per_sample(plan)
    sizes = []
    for free in (2 * size, 20 * size, 80000 * MIB):
        pretend(monkeypatch, free=free)
        sizes.append(gpu.largest_batch(plan, "cuda"))
    assert sizes == [1, 8, 512]
    pretend(monkeypatch, free=80000 * MIB, main=20 * size)
    assert gpu.largest_batch(plan, "cuda") == 8, "main memory holds copies"
    pretend(monkeypatch, free=None)
    assert gpu.largest_batch(plan, "cuda") == 64


def test_a_batch_that_genn_cannot_run_is_made_smaller(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the process at 1024."""
    pretend(monkeypatch, free=80000 * MIB)
    assert [gpu.largest_batch(plan, "cuda", wanted) for wanted in (5, 4096)] == [5, 512]


def test_a_network_that_does_not_fit_is_refused(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, free=1000)
    with pytest.raises(BackendError, match=r"neurons of one sample would take .* GiB"):
        gpu.largest_batch(plan, "cuda")


def test_delayed_spikes_take_memory() -> None:
    """Of a residual network, whose skips pass populations."""
    sizes = {}
    for bits in (1, 2):
        plan = make_plan(grid_networks.convert("residual", "rate", lookahead=0, bits=bits, steps=8))
        sizes[bits] = gpu.bytes_per_sample(plan)
        delays = dict.fromkeys(plan.by_name, 0)
        for item in plan.neurons:
            for projection in item.projections:
                delays[projection.source] = max(delays[projection.source], projection.delay)
        assert max(delays.values()) == 2
        hidden = [item for item in plan.neurons if item is not plan.readout]
        # V, S, code, bias and input; graded: M and the count of spikes, too.
        state = sum(item.size * (5 if bits == 1 else 7) for item in hidden)
        # A list of spikes; graded: the values of spikes, and lists of the events of two digits.
        lists = sum(item.size * (delays[item.name] + 1) for item in hidden)
        # V, bias, input and a list for the readout.
        wanted = state + lists * (1 if bits == 1 else 4) + 4 * plan.readout.size
        assert sizes[bits] == 4 * wanted
    assert sizes[2] > 2 * sizes[1]


def test_calls_are_longer_the_deeper_the_network_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """But what all neurons sent has to fit into main memory."""
    pretend(monkeypatch, free=None)
    few = make_plan(grid_networks.convert("direct", "few-spike"))
    deep = make_plan(grid_networks.convert("residual", "few-spike", steps=1))
    filling = deep.readout.start
    assert filling >= 10
    assert [gpu.groups_at_once(item, 8) for item in (few, deep)] == [16, 4 * filling]
    recorded = 4 * 8 * sum(item.size for item in deep.neurons)
    pretend(monkeypatch, free=None, main=12 * recorded)
    assert gpu.groups_at_once(deep, 8) == 3
    pretend(monkeypatch, free=None, main=1)
    assert gpu.groups_at_once(deep, 8) == 1
