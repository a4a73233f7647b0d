"""Events in whatever form, counted in time steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.onnx_models import model, node, normal

from onnx2genn.data import load_events, prepare_events
from onnx2genn.errors import DataError
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.model import Model

FIELDS = [("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)]  # as tonic has them


def reading(*shape: int) -> Model:
    size = int(np.prod(shape))
    nodes = [node("Flatten", "x", "f"), node("MatMul", "f w", "a"), node("Relu", "a", "y")]
    return read(model(nodes, {"x": ["N", *shape]}, {"w": normal(size, 3)}))


def recording(*events: tuple[int, int, int, int], fields: Any = FIELDS) -> np.ndarray:
    return np.array(list(events), fields)


@pytest.mark.parametrize("polarity", [bool, np.int8, np.uint8, np.float32])
def test_events_fall_into_equal_steps(polarity: type) -> None:
    fields = [(name, polarity if name == "p" else kind) for name, kind in FIELDS]
    first = recording(
        (2, 1, 1, 1000), (0, 0, 0, 1250), (2, 1, 1, 1499), (1, 0, 1, 2000), fields=fields
    )
    still = recording((0, 2, 0, 5), (0, 2, 0, 5), fields=fields)
    found = prepare_events(reading(2, 3, 4), [first, still, still[:0]], 4)
    wanted = np.zeros((3, 4, 2, 3, 4), np.uint8)
    wanted[0, 0, 1, 1, 2] = 1  # y is the row
    wanted[0, 1, 0, 0, 0] = 1
    wanted[0, 1, 1, 1, 2] = 1
    wanted[0, 3, 1, 0, 1] = 1  # the last event is in the last step
    wanted[1, 0, 0, 2, 0] = 2
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == np.uint8


def test_polarities_of_both_signs() -> None:
    fields = [(name, np.int8 if name == "p" else kind) for name, kind in FIELDS]
    found = prepare_events(
        reading(2, 1, 1), [recording((0, 0, -1, 0), (0, 0, 1, 9), fields=fields)], 2
    )
    np.testing.assert_array_equal(found.reshape(2, 2), [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("shape", "place"),
    [((1, 3, 4), (0, 2, 1)), ((3, 4, 2), (2, 1, 1)), ((3, 4, 1), (2, 1, 0))],
)
def test_layouts_of_the_input(shape: tuple[int, ...], place: tuple[int, ...]) -> None:
    """One channel takes both polarities; channels may be last."""
    found = prepare_events(reading(*shape), [recording((1, 2, 1, 0))], 1)
    assert found[(0, 0, *place)] == 1 and found.sum() == 1


@pytest.mark.parametrize("shape", [(7,), (1, 7)])
def test_lines_of_places(shape: tuple[int, ...]) -> None:
    """Channels of a cochlea have no y."""
    sound = np.array([(3, 0), (6, 8)], [("x", np.int32), ("t", np.float32)])
    found = prepare_events(reading(*shape), [sound], 2).reshape(2, 7)
    assert found[0, 3] == found[1, 6] == 1 and found.sum() == 2


@pytest.mark.parametrize("bins", [1, 3, 4, 5, 8, 13])
def test_bins_are_joined_or_spread(bins: int) -> None:
    counts = np.random.default_rng(0).integers(0, 9, (5, bins, 2, 3, 4))
    found = prepare_events(reading(2, 3, 4), counts.astype(np.float32), 4)
    np.testing.assert_array_equal(found.sum(1), counts.sum(1))
    if bins == 8:
        np.testing.assert_array_equal(found, counts.reshape(5, 4, 2, 2, 3, 4).sum(2))
    if bins == 4:
        np.testing.assert_array_equal(found, counts)
        np.testing.assert_array_equal(prepare_events(reading(2, 3, 4), list(counts), 4), counts)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((5, 2, 3, 4)), r"shape \[5, 2, 3, 4\].*\[samples, bins, 2, 3, 4\]"),
        (np.full((1, 2, 2, 3, 4), 0.5), "no whole numbers from 0 on"),
        (np.full((1, 2, 2, 3, 4), -1), "no whole numbers from 0 on"),
        (np.full((1, 2, 2, 3, 4), np.nan), "no whole numbers from 0 on"),
        (np.full((1, 2, 2, 3, 4), np.inf), "255 is the most"),
        (np.full((1, 2, 2, 3, 4), 200), "400 events of one place in one step; 255 is the most"),
        ([recording((4, 0, 0, 0))], "sample 0 has events with x from 4 to 4.*0 to 3"),
        ([recording((0, -1, 0, 0))], "y from -1"),
        ([recording((0, 0, 0, 0))[["x", "y", "p"]]], "fields x, y, p, and lack t"),
        ([recording(*[(0, 0, 0, 0)] * 256)], "256 events of one place"),
        ([], "neither counts"),
        (["a"], "neither counts"),
        (7, "neither counts"),
        (None, "neither counts"),
    ],
)
def test_what_is_no_events_is_explained(x: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare_events(reading(2, 3, 4), x, 1)


def test_files(tmp_path: Path) -> None:
    net = reading(2, 3, 4)
    random = np.random.default_rng(1)
    samples = []
    for count in (5, 0, 12):
        events = np.zeros(count, FIELDS)
        for name, most in (("x", 4), ("y", 3), ("p", 2), ("t", 1000)):
            events[name] = random.integers(0, most, count)
        samples.append(events)
    wanted = prepare_events(net, samples, 6)
    x, counts, y = np.concatenate(samples), [5, 0, 12], [1, 0, 2]
    np.savez(tmp_path / "events.npz", x=x, counts=counts, y=y)
    np.savez(tmp_path / "counts.npz", x=wanted, y=y)
    np.save(tmp_path / "one.npy", samples[2])
    np.save(tmp_path / "counts.npy", wanted)
    for name in ("events.npz", "counts.npz", "counts.npy"):
        found = load_events(tmp_path / name, net, 6)
        np.testing.assert_array_equal(found.x, wanted)
        first = load_events(tmp_path / name, net, 6, limit=2)
        np.testing.assert_array_equal(first.x, wanted[:2])
        if name.endswith(".npz"):
            assert found.y is not None and first.y is not None
            assert [*found.y] == y and [*first.y] == y[:2]
    np.testing.assert_array_equal(load_events(tmp_path / "one.npy", net, 6).x, wanted[2:])
    np.savez(tmp_path / "wrong.npz", x=x, counts=[5, 1, 12])
    np.savez(tmp_path / "lacking.npz", samples=x)
    np.savez(tmp_path / "joined.npz", x=x, y=y)
    np.savez(tmp_path / "below.npz", x=x, counts=[-1, 18])
    for name, message in (
        ("wrong.npz", "17 events"),
        ("joined.npz", "no array counts"),
        ("below.npz", "number of those of each"),
        ("lacking.npz", "no array x"),
        ("", "folder"),
    ):
        with pytest.raises(DataError, match=message):
            load_events(tmp_path / name, net, 6)
